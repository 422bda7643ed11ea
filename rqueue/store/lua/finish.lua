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
-- KEYS[7..13] lanes   Q:stream:released, suspect, last, critical, high, normal, low
-- then per job:
--   job               Q:job:<id>
--   lock              Q:unique:<key>, if it has one
-- ARGV[1] now         ms, or '' for Redis' clock
-- ARGV[2] worker      must hold a lease
-- ARGV[3] wake        channel of the scheduler
-- ARGV[4] keep        ms a cancelled record is kept
-- ARGV[5] base        length of Q:job: in the key of a job; the id follows
-- then per group of jobs that follow each other and have in common:
--   lane              where they were read
--   verb              complete | bury | cancel | expire | retry | snooze | park | release
--   ms                how long the record is kept, or how long the job waits
--   detail            the reason of bury and cancel; how often to park, and after a space the reason
--                     of its death then, if it is not unknown_task
--   priority          their own
--   locks             1 with a lock, else 0
--   count, fields...  what else the record shall hold
--   jobs              how many they are; then for each of them:
--     entry             what was read
--     values...         of the fields
--
-- Returns 'fenced', or per job: 'recorded'; 'cancel' or 'bury' (recorded, but as that: somebody had
-- asked for it, or it cannot go on); 'already' (this very ending stands, the answer was lost);
-- 'stale' (a copy of a job that moved on; removed); 'lost' (not this worker's any more; nothing
-- touched); 'undeclared' (the record holds another unique key than declared; nothing touched, ask
-- again with that lock); 'corrupt' (a key of a wrong type, or a lane that takes no more entries;
-- nothing touched).
local leases, meta, waiters, cancels, dead, schedule = unpack(KEYS, 1, 6)
local lanes = {released = KEYS[7], suspect = KEYS[8], last = KEYS[9], critical = KEYS[10],
               high = KEYS[11], normal = KEYS[12], low = KEYS[13]}
local now, worker, wake, keep = now_ms(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local base = tonumber(ARGV[5])
local ENDS = {complete = 'succeeded', bury = 'dead', cancel = 'cancelled', expire = 'expired'}
local WAITS = {retry = 'retrying', snooze = 'scheduled', park = 'scheduled'}
local FIELDS = {'e', 's', 'u', 'p', 'x', 'g', 'o', 'l', 'h'}
local counts, removed, has_waiters, stamp = {}, {}, nil, digits(now)

-- Entries are deleted together at the end: one at a time this is the dearest of all commands.
local function remove(source, entry)
  local list = removed[source] or {}
  removed[source], list[#list + 1] = list, entry
end

-- Why a job may not be finished by this call, or nil.
local function refusal(record, known, entry, from, id, source)
  local stands = known and is_current(record[1], entry)
  if stands and not MOVED_ON[record[2]] then return nil end
  stands = stands and record[1] == entry
  local named = from and name_of(from)
  if not from or (named and named ~= id) then return stands and 'already' or 'lost' end
  if not known then return nil end
  -- Also where the ending stands: an entry that outlived it would run again every lease.
  redis.call('XACK', source, GROUP, entry)
  remove(source, entry)
  return stands and 'already' or 'stale'
end

-- The end of a job whose record is as it was read; only what is there is deleted.
local function ends(job, id, entry, record, state, detail, words, ms, lock)
  local gone, asked = {}, record[6] or not record[2]
  for n = state == 'dead' and 6 or 3, 9 do
    if record[n] then gone[#gone + 1] = FIELDS[n] end
  end
  if record[1] ~= entry then words[#words + 1], words[#words + 2] = 'e', entry end
  if state == 'dead' or (state == 'cancelled' and detail ~= '') then
    words[#words + 1], words[#words + 2] = 'y', detail
  elseif record[6] and state ~= 'cancelled' then
    gone[#gone + 1] = 'y'
  end
  if has_waiters == nil then has_waiters = redis.call('HLEN', waiters) > 0 end
  settle(job, id, state, words, gone, ms, stamp, has_waiters and waiters, asked and cancels, lock)
end

local function finish(job, lock, entry, lane, sent, ms, detail, priority, words)
  local verb, id, source = sent, string.sub(job, base + 1), lanes[lane]
  local record = redis.pcall('HMGET', job, unpack(FIELDS))
  if record.err then return 'corrupt' end
  local known = record[1] or record[2]
  local is_usual = verb == 'complete' and record[1] == entry and not MOVED_ON[record[2]]
  local from, parked
  if not is_usual then
    from = read_entry(source, entry)
    local refused = refusal(record, known, entry, from, id, source)
    if refused then return refused end
    if verb ~= 'complete' and not from then return 'lost' end
    if not known and from.t then verb, detail = 'bury', 'orphan' end
    if record[6] and not ENDS[verb] then verb, ms, detail = 'cancel', keep, '' end
    parked = (whole(record[7]) or 0) + 1
    if verb == 'park' and parked > tonumber(string.match(detail, '^%d+')) then
      verb, detail = 'bury', string.match(detail, ' (.+)') or 'unknown_task'
    end
  end

  local state, unique = ENDS[verb], record[3] or ''
  -- Compared, not used: the lock that is opened is the declared one.
  if state and unique ~= '' and lock ~= string.sub(job, 1, base - 4) .. 'unique:' .. unique then
    return 'undeclared'
  end

  local new
  if verb == 'release' then
    lane = (lane == 'suspect' or lane == 'last') and lane or 'released'
    if lane ~= priority then from.p = priority end
    new = add_entry(lanes[lane], id, from, entry)
    if not new then return 'corrupt' end
  end
  if redis.call('XACK', source, GROUP, entry) == 0 then
    if new then redis.call('XDEL', lanes[lane], new) end
    return 'lost'
  end
  remove(source, entry)
  counts[verb] = (counts[verb] or 0) + 1
  if not state then keep_created(job, entry) end
  if verb == 'bury' then
    redis.call('HSET', job, 'p', priority, 't', from.t or '0', unpack(add_call({}, from.m)))
    redis.call('ZADD', dead, stamp, id)
  end
  if state then
    ends(job, id, entry, record, state, detail, words, ms, lock)
  elseif new then
    redis.call('HSET', job, 's', 'queued', 'e', new, 'l', lane, unpack(words))
  else
    redis.call('HSET', job, 's', WAITS[verb], 'e', entry, 'p', priority, 't', from.t or '0',
               'q', first_ready(from, entry), unpack(add_call(words, from.m)))
    if whole(from.n) then redis.call('HSET', job, 'n', from.n, 'N', from.N or '0') end
    if verb == 'park' then redis.call('HSET', job, 'o', digits(parked)) else redis.call('HDEL', job, 'o') end
    redis.call('ZADD', schedule, digits(now + ms), id)
    wake_if_first(schedule, id, now + ms, wake)
  end
  return verb == sent and 'recorded' or verb
end

-- A write that Redis allows when out of memory: after it the others are allowed too.
redis.call('ZREM', leases, '')
if not redis.call('ZSCORE', leases, worker) then return 'fenced' end
local sound = usable(meta, 'hash') and usable(waiters, 'hash') and usable(cancels, 'hash')
              and usable(dead, 'zset') and usable(schedule, 'zset')
local answers, key, at = {}, 14, 6
while ARGV[at] do
  local lane, verb, ms, detail, priority, locks, size = unpack(ARGV, at, at + 6)
  ms, locks, size = tonumber(ms), tonumber(locks), tonumber(size)
  local words, first, jobs = {}, at + 8 + size, ARGV[at + 7 + size]
  for i = 1, size do words[i * 2 - 1] = ARGV[at + 6 + i] end
  local settles = sound and usable(lanes[lane], 'stream')
  at = first + jobs * (1 + size)
  for n = first, at - 1, 1 + size do
    for i = 1, size do words[i * 2] = ARGV[n + i] end
    for i = size * 2 + 1, #words do words[i] = nil end  -- what the job before has added
    answers[#answers + 1] = settles and finish(KEYS[key], KEYS[key + locks], ARGV[n], lane, verb, ms,
                                               detail, priority, words) or 'corrupt'
    key = key + 1 + locks
  end
end
for source, entries in pairs(removed) do redis.call('XDEL', source, unpack(entries)) end
for verb, ended in pairs(counts) do count(meta, verb, ended) end
return answers
