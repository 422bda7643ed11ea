-- pending: what a worker has read and not settled. Reads only, and only the pending lists:
-- `XREADGROUP ... 0` would count one more delivery.
--
-- KEYS[1..] streams   Q:stream:<lane>, every lane
-- ARGV[1] worker
-- ARGV[2] limit       entries of a lane at the most
--
-- Returns {{entry...}...}, lane by lane.
local worker, limit = ARGV[1], ARGV[2]

local answer = {}
for place, stream in ipairs(KEYS) do
  local entries = {}
  -- A stream or a group that is not there, or is none, holds nothing: the error has no rows.
  for n, row in ipairs(redis.pcall('XPENDING', stream, GROUP, '-', '+', limit, worker)) do
    entries[n] = row[1]
  end
  answer[place] = entries
end
return answer
