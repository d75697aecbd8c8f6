-- KEYS: probe
-- ARGV: channel, message
-- A write that changes nothing, so that a server that may not write says so.
redis.call('DEL', KEYS[1])
return redis.call('PUBLISH', ARGV[1], ARGV[2])
