-- due: which jobs are due, and when the next one is. Reads only.
--
-- KEYS[1] schedule   Q:schedule
-- ARGV[1] now        ms, or '' for Redis' clock
-- ARGV[2] limit      ids at the most
-- ARGV[3] skip       the first so many are left out: they are known to be stuck
--
-- Returns {ms until the next job behind those listed, or -1 for none, id...}.
local schedule = KEYS[1]
local now, limit, skip = now_ms(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local ids = redis.call('ZRANGEBYSCORE', schedule, '-inf', digits(now), 'LIMIT', skip, limit)
local after = redis.call('ZRANGE', schedule, skip + #ids, skip + #ids, 'WITHSCORES')
local wait = -1
-- A stranger's score may be infinite.
if after[2] then wait = math.min(1e15, math.max(0, tonumber(after[2]) - now)) end
return {digits(wait), unpack(ids)}
