-- renew: a worker is alive, and learns which of its jobs it must stop.
--
-- KEYS[1] leases   Q:leases
-- KEYS[2] cancels  Q:cancels
-- ARGV[1] worker
-- ARGV[2] counter  larger than every one it sent before, also in tries that got no answer
--
-- Returns {'live', id...} with the jobs to stop, or {'fenced'}: it has no lease and cannot get
-- this one back.
local leases, cancels = KEYS[1], KEYS[2]
local worker, counter = ARGV[1], ARGV[2]

-- A write that Redis allows when out of memory: after it the others are allowed too.
redis.call('ZREM', leases, '')
if redis.call('ZADD', leases, 'XX', 'CH', counter, worker) == 0 then return {'fenced'} end
local answer = {'live'}
-- A key of a wrong type must not cost the whole fleet its leases.
local count = redis.pcall('HLEN', cancels)
if type(count) == 'table' or count == 0 then return answer end
local asked = redis.call('HGETALL', cancels)
for n = 1, #asked, 2 do
  if asked[n + 1] == worker then answer[#answer + 1] = asked[n] end
end
return answer
