-- KEYS: lease
-- ARGV: holder, how long it cools
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
  if ARGV[2] ~= '0' then
    redis.call('SET', KEYS[1], '', 'PX', ARGV[2])
  end
end
return 1
