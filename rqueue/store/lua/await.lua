-- await: a client reads how a job ended, or is told when it does.
--
-- KEYS[1] job      Q:job:<id>
-- KEYS[2] waiters  Q:waiters
-- ARGV[1] now      ms, or '' for Redis' clock
-- ARGV[2] id
-- ARGV[3] channel  where the client listens, or '' to only look
--
-- Returns {state, result or nil, reason, encoded last error}; the state is
-- "missing" when there is no record, "corrupt" for one of a wrong type.
local job, waiters = KEYS[1], KEYS[2]
local id, channel = ARGV[2], ARGV[3]

local record = redis.pcall('HMGET', job, 's', 'r', 'y', 'a', 'z', 'f', 'n')
if record.err or not usable(waiters, 'hash') then return {'corrupt'} end
local state = record[1]
if not state then return {'missing'} end
if not FINAL[state] then
  if channel ~= '' then
    local known = redis.call('HGET', waiters, id) or ''
    if not string.find(' ' .. known .. ' ', ' ' .. channel .. ' ', 1, true) then
      -- Refused when out of memory: then the client, which looks again now and then, is late.
      redis.pcall('HSET', waiters, id, known == '' and channel or known .. ' ' .. channel)
    end
  end
  return {state}
end
local ended, keep = whole(record[6]), whole(record[5])
local gone = ended and keep and now_ms(ARGV[1]) - ended > keep
-- An attempt that was not charged (its arguments did not fit) stands one above the last charged.
local attempts = whole(record[4]) or 0
local errors = redis.call('HMGET', job, '!' .. digits(attempts + 1), '!' .. digits(attempts),
                          '!c' .. (record[7] or ''))
local failed = record[3] == 'crashed' and errors[3] or errors[1] or errors[2]
return {state, not gone and record[2] or false, record[3] or '', failed or ''}
