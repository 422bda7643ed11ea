-- retire: a consumer without lease and without pending entries is forgotten.
--
-- KEYS[1] leases   Q:leases
-- KEYS[2] stream   Q:stream:<lane>
-- ARGV[1] worker
--
-- Returns 'retired', 'alive' (it has a lease) or 'pending' (it holds entries; reap them first:
-- deleting it now would lose them).
local leases, stream = KEYS[1], KEYS[2]
local worker = ARGV[1]

-- A write that Redis allows when out of memory: after it Redis 6.2 allows XGROUP too.
redis.call('ZREM', leases, '')
if redis.call('ZSCORE', leases, worker) then return 'alive' end
local held = redis.pcall('XPENDING', stream, GROUP, '-', '+', 1, worker)
if held.err then return 'retired' end
if #held > 0 then return 'pending' end
redis.call('XGROUP', 'DELCONSUMER', stream, GROUP, worker)
return 'retired'
