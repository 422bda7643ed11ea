-- mark: a worker starts a job of the lane `last`; a crash from here on is charged to it.
--
-- KEYS[1] leases   Q:leases
-- KEYS[2] job      Q:job:<id>
-- ARGV[1] worker   must hold a lease
-- ARGV[2] entry    the stream entry it is about to run
--
-- Returns 'marked', 'fenced', 'stale' (the record is gone, has ended, or names another entry) or 'corrupt'.
local leases, job = KEYS[1], KEYS[2]
local worker, entry = ARGV[1], ARGV[2]

redis.call('ZREM', leases, '')
if not redis.call('ZSCORE', leases, worker) then return 'fenced' end
local record = redis.pcall('HMGET', job, 'e', 's')
if record.err then return 'corrupt' end
if not is_current(record[1], entry) or FINAL[record[2]] then return 'stale' end
redis.call('HSET', job, 'h', entry)
return 'marked'
