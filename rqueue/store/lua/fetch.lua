-- fetch: the next entries for a worker, lane by lane in the order given.
--
-- KEYS[1] leases      Q:leases
-- KEYS[2] meta        Q:meta
-- KEYS[3..] streams   Q:stream:<lane>, the lanes to read
-- ARGV[1] worker      must hold a lease
-- ARGV[2] count       entries wanted in all
-- then per lane:
--   most              entries wanted from this lane at the most
--
-- Returns {status, {lane's place, entries}...}: status 'ok', 'fenced', 'paused', or the error of a
-- lane; the other lanes are read all the same. What was read stands in the answer whatever the status: it is this worker's now.
local leases, meta = KEYS[1], KEYS[2]
local worker, wanted = ARGV[1], tonumber(ARGV[2])

if not redis.call('ZSCORE', leases, worker) then return {'fenced'} end
if redis.call('HGET', meta, 'paused') then return {'paused'} end

local answer = {'ok'}
for place = 1, #KEYS - 2 do
  local count = math.min(wanted, tonumber(ARGV[place + 2]))
  if count > 0 then
    local stream = KEYS[place + 2]
    local read = redis.pcall('XREADGROUP', 'GROUP', GROUP, worker, 'COUNT', count,
                             'STREAMS', stream, '>')
    if read and read.err then
      answer[1] = read.err
    elseif read and read[1] then
      answer[#answer + 1] = {place, read[1][2]}
      wanted = wanted - #read[1][2]
    end
  end
end
return answer
