-- KEYS: probe, proof
-- ARGV: channel, message
-- A write that changes nothing, so that a server that may not write says so.
redis.call('DEL', KEYS[1])
-- Whoever threw everything away told nobody.
if redis.call('EXISTS', KEYS[2]) == 0 then
  return redis.error_reply('FORGOTTEN everything that was here is gone')
end
return redis.call('PUBLISH', ARGV[1], ARGV[2])
