-- KEYS: queue
-- Gives back how many wait and, when any do, when the first is due.
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return { redis.call('ZCARD', KEYS[1]), first[2] }
