-- KEYS: order
-- ARGV: prefix of sessions, where to begin, how many
-- Gives back how many were looked at, the last of them, and of each that is there: session key, generation,
-- last seen, record.
local members = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[2], '+', 'LIMIT', 0, ARGV[3])
local page = { #members, members[#members] or '' }
for _, member in ipairs(members) do
  local known = redis.call('HMGET', ARGV[1] .. member, 'g', 's', 'r')
  if known[1] and known[2] and known[3] then
    page[#page + 1] = member
    page[#page + 1] = known[1]
    page[#page + 1] = known[2]
    page[#page + 1] = known[3]
  end
end
return page
