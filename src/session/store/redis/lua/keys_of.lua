-- KEYS: tags...
-- ARGV: prefix of sessions
local found, met = {}, {}
for _, key in ipairs(KEYS) do
  for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
    if redis.call('EXISTS', ARGV[1] .. member) == 0 then
      redis.call('ZREM', key, member)
    elseif not met[member] then
      met[member] = true
      found[#found + 1] = member
    end
  end
end
return found
