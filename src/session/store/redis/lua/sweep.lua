-- KEYS: ends, order
-- ARGV: prefix of sessions, prefix of tags, channel, now, how many
local members = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[4], 'LIMIT', 0, ARGV[5])
for _, member in ipairs(members) do
  local key = ARGV[1] .. member
  local tags = redis.call('HGET', key, 't')
  redis.call('DEL', key)
  redis.call('ZREM', KEYS[1], member)
  redis.call('ZREM', KEYS[2], member)
  forget_tags(ARGV[2], tags, member)
end
if #members > 0 then
  tell(ARGV[3], 'e' .. table.concat(members))
end
return #members
