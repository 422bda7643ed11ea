-- pause: workers take nothing more from the queue; what runs goes on.
--
-- KEYS[1] meta      Q:meta
-- ARGV[1] now       ms, or '' for Redis' clock
-- ARGV[2] control   channel of the workers
--
-- Returns 'paused', or 'already'.
local meta = KEYS[1]
local now, control = now_ms(ARGV[1]), ARGV[2]

-- A write that Redis allows when out of memory: after it the others are allowed too.
redis.call('HDEL', meta, '')
if redis.call('HSETNX', meta, 'paused', digits(now)) == 0 then return 'already' end
redis.call('PUBLISH', control, 'pause')
return 'paused'
