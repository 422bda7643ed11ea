-- register: a worker joins a queue: the groups exist from here on (also when the name is taken, so
-- that a worker can restore groups that somebody destroyed), and its lease begins.
--
-- KEYS[1] leases     Q:leases
-- KEYS[2..] streams  Q:stream:<lane>, every lane
-- ARGV[1] worker     a name never used before
-- ARGV[2] counter    where its lease starts; '' = only make the groups, for a worker with a lease
-- ARGV[3] wake       channel on which schedulers hear that this queue is at work
--
-- Returns 'registered', 'taken' (the name is in use) or 'corrupt'; of a worker with a lease 'restored'
-- (groups were gone) or 'standing' (none was), and 'fenced' where it has none.
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
local made = 0
for n = 2, #KEYS do
  if redis.pcall('XGROUP', 'CREATE', KEYS[n], GROUP, '0', 'MKSTREAM').ok then made = made + 1 end
end
if standing and counter == '' then return made > 0 and 'restored' or 'standing' end
if standing then return 'taken' end
redis.call('ZADD', leases, counter, worker)
-- Who may not publish is found later.
redis.pcall('PUBLISH', wake, '')
return 'registered'
