-- cancel: a job that waits ends now; one that runs is told to stop, and ends by its worker.
--
-- KEYS[1] job        Q:job:<id>
-- KEYS[2] source     Q:stream:<lane> as the record said, or of the usual one
-- KEYS[3] lock       Q:unique:<key> as the record said, or the job's key again
-- KEYS[4] schedule   Q:schedule
-- KEYS[5] meta       Q:meta
-- KEYS[6] waiters    Q:waiters
-- KEYS[7] cancels    Q:cancels
-- ARGV[1] now        ms, or '' for Redis' clock
-- ARGV[2] id
-- ARGV[3] lane       as the record said, or ''
-- ARGV[4] unique     as the record said, or ''
-- ARGV[5] reason     kept in the record
-- ARGV[6] keep       ms the record is kept
-- ARGV[7] control    channel of the workers
--
-- Returns 'cancelled', 'requested' (it runs), the state of a job that has ended, 'missing',
-- 'changed' (the record is not as it was read; ask again) or 'corrupt' (a key of a wrong type, or a
-- record that does not tell where the job stands; nothing touched).
local job, source, lock, schedule, meta, waiters, cancels = unpack(KEYS)
local now, id, lane, unique, reason = now_ms(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local keep, control = tonumber(ARGV[6]), ARGV[7]

local record = redis.pcall('HMGET', job, 's', 'e', 'l', 'u')
if record.err or not (usable(schedule, 'zset') and usable(meta, 'hash')
   and usable(waiters, 'hash') and usable(cancels, 'hash')) then return 'corrupt' end
local state, entry = record[1], record[2]
if not state then return 'missing' end
if FINAL[state] then return state end
if (record[3] or '') ~= lane or (record[4] or '') ~= unique then return 'changed' end

if state ~= 'scheduled' and state ~= 'retrying' then
  if not usable(source, 'stream') then return 'corrupt' end
  local group = redis.pcall('XPENDING', source, GROUP, entry, entry, 1)
  local owner = not group.err and group[1] and group[1][2]
  if owner then
    -- A write that Redis allows when out of memory: after it the others are allowed too.
    redis.call('HDEL', cancels, '')
    redis.call('HSET', job, 'g', '1', 'y', reason)
    redis.call('HSET', cancels, id, owner)
    redis.pcall('PUBLISH', control, 'cancel ' .. id)
    return 'requested'
  end
  -- No entry's id: then nobody knows which one to take away.
  if type(redis.pcall('XDEL', source, entry)) == 'table' then return 'corrupt' end
else
  redis.call('ZREM', schedule, id)
end
count(meta, 'cancel', 1)
local words = {}
if reason ~= '' then words = {'y', reason} end
if not entry then words[#words + 1], words[#words + 2] = 'e', '' end
settle(job, id, 'cancelled', words, GONE, keep, digits(now), waiters, cancels, lock)
return 'cancelled'
