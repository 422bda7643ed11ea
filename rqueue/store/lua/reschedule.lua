-- reschedule: a job that waits gets another time; if that has come already, it is queued at once.
--
-- KEYS[1] job          Q:job:<id>
-- KEYS[2] source       Q:stream:<lane> as the record said, or of the usual one
-- KEYS[3] schedule     Q:schedule
-- KEYS[4] meta         Q:meta
-- KEYS[5..10] streams  Q:stream:critical, high, normal, low, suspect, last
-- ARGV[1] now          ms, or '' for Redis' clock
-- ARGV[2] id
-- ARGV[3] lane         as the record said, or ''
-- ARGV[4] priority     of a job in that lane that does not say its own
-- ARGV[5] due          '+<ms>' = from now, '<ms>' = at
-- ARGV[6] default_cap  crashes that make a job dead, where its record does not say
-- ARGV[7] wake         channel of the scheduler
--
-- Returns 'rescheduled' (it waits for that time); 'queued' (it waits for a worker: it was due by
-- then); 'running'; the state of a job that has ended; 'missing'; 'changed' (the record is not as it
-- was read; ask again) or 'corrupt' (a key of a wrong type, a stream that takes no more entries, or a
-- record that does not tell where the job stands; nothing touched).
local job, source, schedule, meta = unpack(KEYS, 1, 4)
local streams = {critical = KEYS[5], high = KEYS[6], normal = KEYS[7], low = KEYS[8],
                 suspect = KEYS[9], last = KEYS[10]}
local now, id, lane, priority = now_ms(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local at, default_cap, wake = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
if string.sub(ARGV[5], 1, 1) == '+' then at = now + at end

local record = redis.pcall('HMGET', job, 's', 'e', 'l', unpack(WAITS_WITH))
if record.err or not (usable(source, 'stream') and usable(schedule, 'zset') and usable(meta, 'hash')) then
  return 'corrupt'
end
local state, entry, from = record[1], record[2] or '', nil
if not state then return 'missing' end
if FINAL[state] then return state end
if (record[3] or '') ~= lane then return 'changed' end
if state == 'queued' then
  local group = redis.pcall('XPENDING', source, GROUP, entry, entry, 1)
  if not group.err and group[1] then return 'running' end
  from = read_entry(source, entry)
  if not from or name_of(from) ~= id then return 'corrupt' end
  if at <= now then return 'queued' end
elseif (state ~= 'scheduled' and state ~= 'retrying') or not record[4] then
  return 'corrupt'
end

-- A write that Redis allows when out of memory: after it the others are allowed too.
redis.call('ZREM', schedule, '')
if at <= now then
  if not to_stream(job, id, {unpack(record, 4)}, streams, now, default_cap) then return 'corrupt' end
  redis.call('ZREM', schedule, id)
  count(meta, 'reschedule', 1)
  return 'queued'
end
if from then
  redis.call('XDEL', source, entry)
  keep_created(job, entry)
  -- As if it had been delayed: then nobody who still holds that entry can take it for the present one.
  redis.call('HDEL', job, 'e', 'l', 'h')
  redis.call('HSET', job, 's', 'scheduled', 'p', from.p or priority, 't', from.t or '0',
             unpack(add_call({}, from.m)))
  for _, name in ipairs({'a', 'n', 'N', 'x', 'q'}) do
    if whole(from[name]) then redis.call('HSET', job, name, from[name]) end
  end
elseif tonumber(redis.call('ZSCORE', schedule, id) or nil) == at then
  return 'rescheduled'
end
redis.call('ZADD', schedule, digits(at), id)
wake_if_first(schedule, id, at, wake)
count(meta, 'reschedule', 1)
return 'rescheduled'
