-- mark: a worker starts a job of the lane `last`; a crash from here on is charged to it.
--
-- KEYS[1] leases   Q:leases
-- KEYS[2] job      Q:job:<id>
-- ARGV[1] worker   must hold a lease
-- ARGV[2] entry    the stream entry it is about to run
--
-- Returns 'marked', 'fenced', 'stale' (the record names another entry) or 'corrupt'.
local leases, job = KEYS[1], KEYS[2]
local worker, entry = ARGV[1], ARGV[2]

redis.call('ZREM', leases, '')
if not redis.call('ZSCORE', leases, worker) then return 'fenced' end
local current = redis.pcall('HGET', job, 'e')
if type(current) == 'table' then return 'corrupt' end
if current and current ~= entry then return 'stale' end
redis.call('HSET', job, 'h', entry)
return 'marked'
