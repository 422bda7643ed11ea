-- renew: a worker is alive; it learns which of its jobs it must stop, and who else is alive. Without
-- a counter it is only a look, also for those who have no lease.
--
-- KEYS[1] leases      Q:leases
-- KEYS[2] cancels     Q:cancels
-- KEYS[3..] streams   Q:stream:<lane>, every lane
-- ARGV[1] worker      '' = a look
-- ARGV[2] counter     larger than every one it sent before, also in tries that got no answer; '' =
--                     a look
-- ARGV[3] sweep       '1' = list the consumers without a lease as well
--
-- Returns {'live' or 'seen', {id of a job to stop...}, {worker, counter...},
-- {consumer without a lease, its lane's place, entries it holds...}}, or {'fenced'}: this worker has
-- no lease and cannot get that one back.
local leases, cancels = KEYS[1], KEYS[2]
local worker, counter, sweep = ARGV[1], ARGV[2], ARGV[3]

-- A write that Redis allows when out of memory: after it the others are allowed too. Where Redis
-- refuses writes (a full disk, a primary that became a replica) nobody can renew: so it makes every
-- look fail there, and none counts.
redis.call('ZREM', leases, '')
local status, stop = 'seen', {}
if counter ~= '' then
  if redis.call('ZADD', leases, 'XX', 'CH', counter, worker) == 0 then return {'fenced'} end
  status = 'live'
  -- A key of a wrong type must not cost the whole fleet its leases.
  local count = redis.pcall('HLEN', cancels)
  local asked = type(count) == 'number' and count > 0 and redis.call('HGETALL', cancels) or {}
  for n = 1, #asked, 2 do
    if asked[n + 1] == worker then stop[#stop + 1] = asked[n] end
  end
end

local standing = redis.call('ZRANGE', leases, 0, -1, 'WITHSCORES')
local left, alive = {}, {}
for n = 1, #standing, 2 do alive[standing[n]] = true end
for place = 1, sweep == '1' and #KEYS - 2 or 0 do
  -- A stream or a group that is not there, or is none, has no consumers: the error has no rows.
  for _, row in ipairs(redis.pcall('XINFO', 'CONSUMERS', KEYS[place + 2], GROUP)) do
    local told = {}
    for n = 1, #row, 2 do told[row[n]] = row[n + 1] end
    if not alive[told.name] then
      left[#left + 1] = told.name
      left[#left + 1] = place
      left[#left + 1] = told.pending
    end
  end
end
return {status, stop, standing, left}
