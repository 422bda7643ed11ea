-- register: a worker joins a queue: the groups exist from here on (also when the name is taken, so
-- that a worker can restore groups that somebody destroyed), and its lease begins.
--
-- KEYS[1] leases     Q:leases
-- KEYS[2..] streams  Q:stream:<lane>, every lane
-- ARGV[1] worker     a name never used before
-- ARGV[2] counter    where its lease starts; '' = only make the groups, for a worker with a lease
-- ARGV[3] wake       channel on which schedulers hear that this queue is at work
--
-- Returns 'registered', 'restored', 'taken' (the name is in use), 'fenced' (no lease, and none is
-- given) or 'corrupt'.
local leases = KEYS[1]
local worker, counter, wake = ARGV[1], ARGV[2], ARGV[3]

if not usable(leases, 'zset') then return 'corrupt' end
for n = 2, #KEYS do
  if not usable(KEYS[n], 'stream') then return 'corrupt' end
end
-- A write that Redis allows when out of memory: after it the others are allowed too.
redis.call('ZREM', leases, '')
local standing = redis.call('ZSCORE', leases, worker)
if counter == '' and not standing then return 'fenced' end
-- From id 0: what was added before the first worker came is delivered. An existing group stays.
for n = 2, #KEYS do redis.pcall('XGROUP', 'CREATE', KEYS[n], GROUP, '0', 'MKSTREAM') end
if standing then return counter == '' and 'restored' or 'taken' end
redis.call('ZADD', leases, counter, worker)
-- Who may not publish is found later.
redis.pcall('PUBLISH', wake, '')
return 'registered'
