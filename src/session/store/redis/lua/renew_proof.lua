-- KEYS: proof
-- ARGV: the one that is known, the new one
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2])
end
return 1
