-- KEYS: ends, order, sessions...
-- ARGV: prefix of tags, lifetimes, then for each session its key and when it was seen
local life = times(2)
local furthest = nil
for at = 3, #KEYS do
  local member, seen = ARGV[at * 2], tonumber(ARGV[at * 2 + 1])
  local known = redis.call('HMGET', KEYS[at], 's', 'c', 't')
  if known[1] and known[2] and seen > tonumber(known[1]) then
    local created = tonumber(known[2])
    local ends, last = life.ends(created, seen), life.last(created)
    -- First, for it needs no memory.
    redis.call('PEXPIRE', KEYS[at], whole(life.span(ends)))
    redis.call('HSET', KEYS[at], 's', whole(seen))
    redis.call('ZADD', KEYS[1], whole(ends), member)
    -- The lifetimes of the configuration may have grown since the session was made: it must be found by its
    -- names for as long as it lives.
    each_tag(known[3] or '', function(tag)
      redis.call('ZADD', ARGV[1] .. tag, whole(last), member)
      keep(ARGV[1] .. tag, life.span(last))
    end)
    furthest = math.max(furthest or last, last)
  end
end
if furthest then
  keep(KEYS[1], life.span(furthest))
  keep(KEYS[2], life.span(furthest))
end
return 1
