-- KEYS: probe
-- ARGV: channel
-- Tries every command that the scripts use, on a key of its own. Gives back the first that is refused, and
-- why.
local key = KEYS[1]
redis.call('DEL', key)
local commands = {
  { 'SET', key, '1', 'PX', '1000' }, { 'GET', key }, { 'PTTL', key }, { 'PEXPIRE', key, '1000' },
  { 'EXISTS', key }, { 'DEL', key },
  { 'HSET', key, 'f', '1' }, { 'HGET', key, 'f' }, { 'HMGET', key, 'f' }, { 'HEXISTS', key, 'f' },
  { 'HDEL', key, 'f' },
  { 'ZADD', key, '0', 'm' }, { 'ZCARD', key }, { 'ZRANGE', key, '0', '-1' }, { 'ZRANGEBYLEX', key, '-', '+' },
  { 'ZRANGEBYSCORE', key, '-inf', '+inf' }, { 'ZREM', key, 'm' },
  { 'PUBLISH', ARGV[1], '' },
}
for _, command in ipairs(commands) do
  local answer = redis.pcall(unpack(command))
  if type(answer) == 'table' and answer.err then
    redis.pcall('DEL', key)
    return { command[1], answer.err }
  end
end
return 1
