-- KEYS: session, ends, order, tags...
-- ARGV: session key, tags, generation, created, last seen, record, lifetimes
local member, created, seen = ARGV[1], tonumber(ARGV[4]), tonumber(ARGV[5])
local life = times(7)
local ends, last = life.ends(created, seen), life.last(created)
redis.call('HSET', KEYS[1], 'r', ARGV[6], 'g', ARGV[3], 'c', ARGV[4], 's', ARGV[5], 't', ARGV[2])
redis.call('PEXPIRE', KEYS[1], whole(life.span(ends)))
redis.call('ZADD', KEYS[2], whole(ends), member)
redis.call('ZADD', KEYS[3], 0, member)
keep(KEYS[2], life.span(last))
keep(KEYS[3], life.span(last))
for at = 4, #KEYS do
  redis.call('ZADD', KEYS[at], whole(last), member)
  keep(KEYS[at], life.span(last))
end
return 1
