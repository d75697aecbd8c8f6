-- KEYS: lease
-- ARGV: holder, length
-- Gives back -1 granted, -2 held, or how long it cools.
local holder = redis.call('GET', KEYS[1])
if holder == '' then
  return math.max(redis.call('PTTL', KEYS[1]), 1)
end
if holder and holder ~= ARGV[1] then
  return -2
end
-- Takes no memory, and so what follows may: tokens are renewed also when Redis is full.
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return -1
