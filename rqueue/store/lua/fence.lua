-- fence: a worker is dead; it can record nothing from here on.
--
-- KEYS[1] leases   Q:leases
-- ARGV[1] worker
-- ARGV[2] counter  only if its lease still stands at this; '' = whatever it is
--
-- Returns 'fenced', 'alive' (it renewed since) or 'missing'.
local leases = KEYS[1]
local worker, counter = ARGV[1], tonumber(ARGV[2])

local current = redis.call('ZSCORE', leases, worker)
if not current then return 'missing' end
if counter and tonumber(current) ~= counter then return 'alive' end
redis.call('ZREM', leases, worker)
return 'fenced'
