-- KEYS: queue, waiting
-- ARGV: now, when they are due again, how many
-- Gives back name and text of each.
local claimed = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])) do
  local text = redis.call('HGET', KEYS[2], id)
  if text then
    redis.call('ZADD', KEYS[1], ARGV[2], id)
    claimed[#claimed + 1] = id
    claimed[#claimed + 1] = text
  else
    redis.call('ZREM', KEYS[1], id)
  end
end
return claimed
