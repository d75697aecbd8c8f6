-- KEYS: session, tags...
-- ARGV: session key, expected generation, generation, tags, record, prefix of tags, channel, lifetimes
local member, tags = ARGV[1], ARGV[4]
local known = redis.call('HMGET', KEYS[1], 'g', 't', 'c')
if known[1] ~= ARGV[2] then
  return 0
end
-- Takes no memory, and so what follows may: the tokens of a refresh must find a place.
redis.call('HDEL', KEYS[1], 'r')
redis.call('HSET', KEYS[1], 'r', ARGV[5], 'g', ARGV[3], 't', tags)
-- The names are hashed with the current key, which may be another now.
if known[2] ~= tags then
  local life = times(8)
  local last = life.last(tonumber(known[3]) or 0)
  forget_tags(ARGV[6], known[2], member)
  for at = 2, #KEYS do
    redis.call('ZADD', KEYS[at], whole(last), member)
    keep(KEYS[at], life.span(last))
  end
end
tell(ARGV[7], 'c' .. member .. ARGV[3])
return 1
