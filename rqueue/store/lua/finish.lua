-- finish: what a worker's attempts came to. Refused as a whole without a lease; then each job on
-- its own, by three layers: the record names this entry, the entry is still pending (XACK), and
-- the job has not ended.
--
-- KEYS[1] leases      Q:leases
-- KEYS[2] meta        Q:meta
-- KEYS[3] waiters     Q:waiters
-- KEYS[4] cancels     Q:cancels
-- KEYS[5] dead        Q:dead
-- KEYS[6] schedule    Q:schedule
-- then per job:
--   job               Q:job:<id>
--   source            Q:stream:<lane> the entry was read from
--   target            Q:stream:<lane> it is released to, else the job's key again
--   lock              Q:unique:<key>, or the job's key again when it has none
-- ARGV[1] now         ms, or '' for Redis' clock
-- ARGV[2] worker      must hold a lease
-- ARGV[3] wake        channel of the scheduler
-- ARGV[4] keep        ms a cancelled record is kept
-- then per job:
--   id, entry
--   verb              complete | bury | cancel | expire | retry | snooze | park | release
--   ms                how long the record is kept, or how long the job waits
--   detail            the reason of bury and cancel; how often to park
--   lane              where it is released to
--   priority          its own
--   count, words...   what else the record shall hold: field, value, ...
--
-- Returns 'fenced', or per job: 'recorded'; 'already' (this very ending stands, the answer was
-- lost); 'stale' (a copy of a job that moved on; removed); 'lost' (not this worker's any more;
-- nothing touched); 'undeclared' (the record holds another unique key than declared; nothing
-- touched, ask again with that lock); 'corrupt' (a key of a wrong type, or a lane that takes no more
-- entries; nothing touched).
local leases, meta, waiters, cancels, dead, schedule = unpack(KEYS, 1, 6)
local now, worker, wake, keep = now_ms(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local ENDS = {complete = 'succeeded', bury = 'dead', cancel = 'cancelled', expire = 'expired'}
local WAITS = {retry = 'retrying', snooze = 'scheduled', park = 'scheduled'}
local counts = {}

-- Why a job may not be finished by this call, or nil.
local function refusal(record, known, entry, from, id, source)
  if known and is_current(record[1], entry) then
    if not has_moved_on(record[2]) then return nil end
    if record[1] == entry then return 'already' end
  end
  local named = from and name_of(from)
  if not from or (named and named ~= id) then return 'lost' end
  if not known then return nil end
  redis.call('XACK', source, GROUP, entry)
  redis.call('XDEL', source, entry)
  return 'stale'
end

local function finish(job, source, target, lock, id, entry, verb, ms, detail, lane, priority, words)
  local record = redis.pcall('HMGET', job, 'e', 's', 'g', 'o', 'u')
  if record.err or not usable(source, 'stream') then return 'corrupt' end
  local known = record[1] or record[2]
  local from
  if verb ~= 'complete' or not known or record[1] ~= entry then from = read_entry(source, entry) end
  local refused = refusal(record, known, entry, from, id, source)
  if refused then return refused end
  if verb ~= 'complete' and not from then return 'lost' end

  if not known and from.t then verb, detail = 'bury', 'orphan' end
  if record[3] and not ENDS[verb] then verb, ms, detail = 'cancel', keep, '' end
  local parked = (whole(record[4]) or 0) + 1
  if verb == 'park' and parked > tonumber(detail) then verb, detail = 'bury', 'unknown_task' end

  local unique = record[5] or ''
  -- Compared, not used: the lock that is opened is the declared one.
  local queue = string.sub(job, 1, -#id - 5)
  if ENDS[verb] and unique ~= '' and lock ~= queue .. 'unique:' .. unique then return 'undeclared' end

  local new
  if verb == 'release' then
    if lane ~= priority then from.p = priority end
    new = add_entry(target, id, from)
    if not new then return 'corrupt' end
  end
  if redis.call('XACK', source, GROUP, entry) == 0 then
    if new then redis.call('XDEL', target, new) end
    return 'lost'
  end
  redis.call('XDEL', source, entry)
  if not known then redis.call('HSET', job, 'c', digits(now)) end
  counts[verb] = (counts[verb] or 0) + 1
  if verb == 'bury' then
    redis.call('HSET', job, 'y', detail, 'm', from.m, 'p', priority, 't', from.t or '0')
    redis.call('ZADD', dead, digits(now), id)
  elseif verb == 'cancel' and detail ~= '' then
    redis.call('HSET', job, 'y', detail)
  elseif record[3] and verb ~= 'cancel' then
    redis.call('HDEL', job, 'y')
  end
  if ENDS[verb] then
    settle(job, id, ENDS[verb], entry, words, ms, now, waiters, cancels, lock)
  elseif verb == 'release' then
    redis.call('HSET', job, 's', 'queued', 'e', new, 'l', lane, unpack(words))
  else
    redis.call('HSET', job, 's', WAITS[verb], 'e', entry, 'm', from.m, 'p', priority,
               't', from.t or '0', unpack(words))
    if whole(from.n) then redis.call('HSET', job, 'n', from.n, 'N', from.N or '0') end
    if verb == 'park' then
      redis.call('HSET', job, 'o', digits(parked))
    else
      redis.call('HDEL', job, 'o')
    end
    redis.call('ZADD', schedule, digits(now + ms), id)
    wake_if_first(schedule, id, now + ms, wake)
  end
  return 'recorded'
end

-- A write that Redis allows when out of memory: after it the others are allowed too.
redis.call('ZREM', leases, '')
if not redis.call('ZSCORE', leases, worker) then return 'fenced' end
local sound = usable(meta, 'hash') and usable(waiters, 'hash') and usable(cancels, 'hash')
              and usable(dead, 'zset') and usable(schedule, 'zset')
local answers, at = {}, 5
for n = 0, (#KEYS - 6) / 4 - 1 do
  local job, source, target, lock = unpack(KEYS, n * 4 + 7, n * 4 + 10)
  local id, entry, verb, ms, detail, lane, priority, size = unpack(ARGV, at, at + 7)
  local words = {unpack(ARGV, at + 8, at + 7 + size)}
  at = at + 8 + size
  answers[n + 1] = not sound and 'corrupt'
    or finish(job, source, target, lock, id, entry, verb, tonumber(ms), detail, lane, priority, words)
end
for verb, ended in pairs(counts) do count(meta, verb, ended) end
return answers
