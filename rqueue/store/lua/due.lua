-- due: which jobs are due, and when the next one is. Reads only.
--
-- KEYS[1] schedule   Q:schedule
-- ARGV[1] now        ms, or '' for Redis' clock
-- ARGV[2] limit      ids at the most
--
-- Returns {ms until the next job that is not listed, or -1 for none, id...}.
local schedule = KEYS[1]
local now, limit = now_ms(ARGV[1]), tonumber(ARGV[2])

local ids = redis.call('ZRANGEBYSCORE', schedule, '-inf', digits(now), 'LIMIT', 0, limit)
local after = redis.call('ZRANGE', schedule, #ids, #ids, 'WITHSCORES')
local wait = -1
if after[2] then wait = math.max(0, tonumber(after[2]) - now) end
return {digits(wait), unpack(ids)}
