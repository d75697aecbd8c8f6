-- KEYS: ends, order, queue, waiting, sessions...
-- ARGV: prefix of tags, channel, most that wait, then for each session its key, the expected generation or
-- nothing, and the name, the due time and the text of its revocation, or nothing three times
-- Gives back for each: 0 absent, 1 removed, 2 removed and queued, 3 changed.
local gone, outcomes = {}, {}
for at = 5, #KEYS do
  local first = 4 + (at - 5) * 5
  local member, expected, id = ARGV[first], ARGV[first + 1], ARGV[first + 2]
  local known = redis.call('HMGET', KEYS[at], 'g', 't')
  local outcome = 0
  if expected ~= '' and known[1] and known[1] ~= expected then
    outcome = 3
  elseif redis.call('DEL', KEYS[at]) == 1 then
    outcome = 1
    redis.call('ZREM', KEYS[1], member)
    redis.call('ZREM', KEYS[2], member)
    forget_tags(ARGV[1], known[2], member)
    gone[#gone + 1] = member
    if id ~= '' and redis.call('ZCARD', KEYS[3]) < tonumber(ARGV[3]) then
      redis.call('HSET', KEYS[4], id, ARGV[first + 4])
      redis.call('ZADD', KEYS[3], ARGV[first + 3], id)
      outcome = 2
    end
  end
  outcomes[#outcomes + 1] = outcome
end
if #gone > 0 then
  tell(ARGV[2], 'e' .. table.concat(gone))
end
return outcomes
