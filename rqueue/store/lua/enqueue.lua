-- enqueue: new jobs, ready now or due later; each is answered on its own.
--
-- KEYS[1] meta        Q:meta
-- KEYS[2] schedule    Q:schedule
-- KEYS[3..6] streams  Q:stream:critical, high, normal, low
-- then per job:
--   job               Q:job:<id>
--   lock              Q:unique:<key>, or the job's key again when it has none
-- ARGV[1] now         ms, or '' for Redis' clock
-- ARGV[2] wake        channel of the scheduler
-- then per job:
--   id, envelope, digest
--   priority          which stream
--   due               '' = now, '+<ms>' = from now, '<ms>' = at
--   unique            the key's name, or ''
--   max_crashes       '' = the default
--
-- Returns per job: {'accepted'}, {'duplicate'} (same id, same content), {'conflict'} (same id,
-- other content), {'locked', holder's id}, {'full'} (out of memory) or {'corrupt'}; nothing was
-- written for a job that was not accepted.
local meta, schedule = KEYS[1], KEYS[2]
local streams = {critical = KEYS[3], high = KEYS[4], normal = KEYS[5], low = KEYS[6]}
local now, wake = now_ms(ARGV[1]), ARGV[2]
local accepted = 0

local function refused(key, kind)
  return {usable(key, kind) and 'full' or 'corrupt'}
end

local function enqueue(job, lock, id, envelope, digest, priority, due, unique, max_crashes)
  local record = redis.pcall('HMGET', job, 'd', 's')
  if record.err then return {'corrupt'} end
  if record[2] then return {record[1] == digest and 'duplicate' or 'conflict'} end
  if unique ~= '' then
    local holder = redis.pcall('GET', lock)
    if type(holder) == 'table' then return {'corrupt'} end
    if holder and holder ~= id then return {'locked', holder} end
  end

  local words = {'d', digest, 'c', digits(now)}
  if unique ~= '' then words[5], words[6] = 'u', unique end
  if max_crashes ~= '' then words[#words + 1], words[#words + 2] = 'x', max_crashes end
  local at = tonumber(due)
  if string.sub(due, 1, 1) == '+' then at = now + at end
  -- The first write is one that Redis refuses when out of memory, so that it refuses all.
  if at and at > now then
    local added = redis.pcall('ZADD', schedule, digits(at), id)
    if type(added) == 'table' then return refused(schedule, 'zset') end
    redis.call('HSET', job, 's', 'scheduled', 'm', envelope, 'p', priority, unpack(words))
    wake_if_first(schedule, id, at, wake)
  else
    local from = {'i', id, 'm', envelope, 't', '1'}
    if max_crashes ~= '' then from[7], from[8] = 'x', max_crashes end
    local entry = redis.pcall('XADD', streams[priority], '*', unpack(from))
    if type(entry) == 'table' then return refused(streams[priority], 'stream') end
    redis.call('HSET', job, 's', 'queued', 'e', entry, 'l', priority, unpack(words))
  end
  if unique ~= '' then redis.call('SET', lock, id) end
  accepted = accepted + 1
  return {'accepted'}
end

local sound = usable(meta, 'hash')
local answers = {}
for n = 0, (#KEYS - 6) / 2 - 1 do
  answers[n + 1] = not sound and {'corrupt'}
    or enqueue(KEYS[n * 2 + 7], KEYS[n * 2 + 8], unpack(ARGV, n * 7 + 3, n * 7 + 9))
end
if accepted > 0 then redis.call('HINCRBY', meta, 'enqueue', accepted) end
return answers
