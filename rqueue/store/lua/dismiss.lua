-- dismiss: a worker is taken out of the registry, if its card is still the one that was read. It may
-- have introduced itself anew meanwhile, for the queues on which it still has a lease.
--
-- KEYS[1] workers  <namespace>:workers
-- ARGV[1] worker
-- ARGV[2] card     as it was read
--
-- Returns 'dismissed' or 'changed'.
local workers, worker, card = KEYS[1], ARGV[1], ARGV[2]

if redis.call('HGET', workers, worker) ~= card then return 'changed' end
redis.call('HDEL', workers, worker)
return 'dismissed'
