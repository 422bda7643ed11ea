-- requeue: dead jobs get a new life: attempts and crashes are forgotten, the history is kept.
--
-- KEYS[1] dead        Q:dead
-- KEYS[2] meta        Q:meta
-- KEYS[3..6] streams  Q:stream:critical, high, normal, low
-- then per job:
--   job               Q:job:<id>
--   lock              Q:unique:<key> as the record said, or the job's key again when it has none
-- then per job, ARGV[1..]:
--   id
--   unique            as the record said, or ''
--
-- Returns per job: 'requeued', 'missing' (not dead, or without its envelope), 'locked' (another job
-- holds its unique key; it stays dead), 'changed' (the record is not as it was read; ask again) or
-- 'corrupt' (a key of a wrong type, or a stream that takes no more entries; nothing touched).
local dead, meta = KEYS[1], KEYS[2]
local streams = {critical = KEYS[3], high = KEYS[4], normal = KEYS[5], low = KEYS[6]}
local requeued = 0

local function requeue(job, lock, id, unique)
  local record = redis.pcall('HMGET', job, 's', 'm', 'p', 'x', 't', 'u', 'e', unpack(PIECES))
  if record.err then return 'corrupt' end
  if record[1] ~= 'dead' or not record[2] then return 'missing' end
  if (record[6] or '') ~= unique then return 'changed' end
  if unique ~= '' then
    local holder = redis.pcall('GET', lock)
    if type(holder) == 'table' then return 'corrupt' end
    if holder and holder ~= id then return 'locked' end
  end
  local priority = streams[record[3]] and record[3] or 'normal'
  local call = call_of(record[2], record, 8)
  local entry = add_entry(streams[priority], id, {m = call, x = record[4], t = record[5]})
  if not entry then return 'corrupt' end
  -- Errors of this life get its token before their number; the next life counts from 1 again.
  local life = '!' .. (record[5] or '0') .. '.'
  local fields = redis.call('HGETALL', job)
  for i = 1, #fields, 2 do
    if string.find(fields[i], '^![c%d]+$') then
      redis.call('HSET', job, life .. string.sub(fields[i], 2), fields[i + 1])
      redis.call('HDEL', job, fields[i])
    end
  end
  redis.call('ZREM', dead, id)
  keep_created(job, record[7] or '')
  redis.call('HDEL', job, 'a', 'n', 'N', 'f', 'b', 'w', 'y', 't', 'h', 'o', 'l', 'm', unpack(PIECES))
  redis.call('HSET', job, 's', 'queued', 'e', entry)
  -- The usual lane goes without saying.
  if priority ~= 'normal' then redis.call('HSET', job, 'l', priority) end
  if unique ~= '' then redis.call('SET', lock, id) end
  requeued = requeued + 1
  return 'requeued'
end

local sound = usable(dead, 'zset') and usable(meta, 'hash')
local answers = {}
-- A write that Redis allows when out of memory: after it the others are allowed too.
if sound then redis.call('ZREM', dead, '') end
for n = 1, #ARGV, 2 do
  answers[#answers + 1] = sound and requeue(KEYS[n + 6], KEYS[n + 7], ARGV[n], ARGV[n + 1]) or 'corrupt'
end
if requeued > 0 then count(meta, 'requeue', requeued) end
return answers
