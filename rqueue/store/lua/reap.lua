-- reap: entries that a dead worker holds go where others find them, one crash added.
--
-- KEYS[1] leases    Q:leases
-- KEYS[2] meta      Q:meta
-- KEYS[3] waiters   Q:waiters
-- KEYS[4] cancels   Q:cancels
-- KEYS[5] dead      Q:dead
-- KEYS[6] source    Q:stream:<lane> they were read from
-- KEYS[7] suspect   Q:stream:suspect
-- KEYS[8] last      Q:stream:last
-- then per entry:
--   job             Q:job:<id>
--   lock            Q:unique:<key>, or the job's key again when it has none
-- ARGV[1] now       ms, or '' for Redis' clock
-- ARGV[2] owner     who held them; must have no lease
-- ARGV[3] lane      of the source
-- ARGV[4] cap       crashes that make a job dead, where the entry does not say
-- ARGV[5] keep      ms a cancelled record is kept
-- ARGV[6] error     the crash as an encoded attempt error
-- then per entry:
--   id, entry, priority
--
-- Returns 'alive' when the owner has a lease, or per entry: 'suspect', 'last', 'dead', 'cancelled',
-- 'stale' (a copy of a job that moved on or ended; removed), 'lost' (not pending with the owner;
-- nothing touched) or 'corrupt' (a key of a wrong type, or a lane that takes no more entries;
-- nothing touched).
local leases, meta, waiters, cancels, dead, source, suspect, last = unpack(KEYS, 1, 8)
local now, owner, lane = now_ms(ARGV[1]), ARGV[2], ARGV[3]
local default_cap, keep, crash_error = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local counts = {reap = 0, cancel = 0, crash = 0}

local function take(entry)
  redis.call('XACK', source, GROUP, entry)
  redis.call('XDEL', source, entry)
end

local function reap(job, lock, id, entry, priority)
  local record = redis.pcall('HMGET', job, 'e', 's', 'g', 'h')
  if record.err then return 'corrupt' end
  if #redis.pcall('XPENDING', source, GROUP, entry, entry, 1, owner) == 0 then return 'lost' end
  local from = read_entry(source, entry)
  local known = record[1] or record[2]
  if not from or (known and (not is_current(record[1], entry) or FINAL[record[2]])) then
    take(entry)
    return 'stale'
  end
  local crashes = whole(from.n) or 0
  if now - (whole(from.N) or 0) > CRASH_MEMORY_MS then crashes = 0 end
  local started = lane ~= 'last' or record[4] == entry
  if started then crashes = crashes + 1 end
  local cap = whole(from.x) or default_cap
  local orphan = not known and from.t
  local goes, new = crashes >= cap - 1 and 'last' or 'suspect', nil
  if not (record[3] or orphan or crashes >= cap) then
    from.n, from.N, from.p = digits(crashes), started and digits(now) or from.N, priority
    new = add_entry(goes == 'last' and last or suspect, id, from, entry)
    if not new then return 'corrupt' end
  end

  take(entry)
  counts.reap = counts.reap + 1
  if record[3] then
    settle(job, id, 'cancelled', {'e', entry, 'w', owner}, GONE, keep, digits(now), waiters, cancels, lock)
    counts.cancel = counts.cancel + 1
    return 'cancelled'
  end
  if started then redis.call('HSET', job, '!c' .. digits(crashes), crash_error) end
  if not new then
    redis.call('ZADD', dead, digits(now), id)
    local words = {'e', entry, 'y', orphan and 'orphan' or 'crashed', 'p', priority,
                   't', from.t or '0', 'n', digits(crashes), 'w', owner}
    settle(job, id, 'dead', add_call(words, from.m), GONE_IF_DEAD, 0, digits(now), waiters, cancels, lock)
    counts.crash = counts.crash + 1
    return 'dead'
  end
  keep_created(job, entry)
  redis.call('HSET', job, 's', 'queued', 'e', new, 'l', goes, 'n', digits(crashes))
  return goes
end

-- A write that Redis allows when out of memory: after it the others are allowed too.
redis.call('ZREM', leases, '')
if redis.call('ZSCORE', leases, owner) then return 'alive' end
local sound = usable(meta, 'hash') and usable(waiters, 'hash') and usable(cancels, 'hash')
              and usable(dead, 'zset') and usable(suspect, 'stream') and usable(last, 'stream')
              and usable(source, 'stream')
local answers = {}
for n = 0, (#KEYS - 8) / 2 - 1 do
  answers[n + 1] = not sound and 'corrupt'
    or reap(KEYS[n * 2 + 9], KEYS[n * 2 + 10], unpack(ARGV, n * 3 + 7, n * 3 + 9))
end
for verb, many in pairs(counts) do if many > 0 then count(meta, verb, many) end end
return answers
