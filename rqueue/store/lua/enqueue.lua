-- enqueue: new jobs, ready now or due later; each is answered on its own.
--
-- KEYS[1] meta        Q:meta
-- KEYS[2] schedule    Q:schedule
-- KEYS[3..6] streams  Q:stream:critical, high, normal, low
-- KEYS[7..9] lanes    Q:stream:released, suspect, last: only counted
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
-- and then, if a WAIT or WAITAOF follows on this connection:
--   waits             '1'
--
-- Returns per job: {'accepted'}, {'duplicate'} (same id, same content), {'conflict'} (same id,
-- other content), {'locked', holder's id}, {'capped', 'waiting', 'scheduled' or 'payload', the cap},
-- {'full'} (out of memory), {'exhausted', stream} (it holds the highest id there is, and takes no more) or
-- {'corrupt'}; nothing was written for a job that was not accepted. Returns an error where Redis
-- refuses writes for any other reason.
local meta, schedule = KEYS[1], KEYS[2]
local streams = {critical = KEYS[3], high = KEYS[4], normal = KEYS[5], low = KEYS[6]}
local found = redis.pcall('HMGET', meta, 'cap_waiting', 'cap_scheduled', 'cap_payload')
local caps = {waiting = found[1], scheduled = found[2], payload = found[3]}
local places = {waiting = {'XLEN', 3, 9}, scheduled = {'ZCARD', 2, 2}}
local wake, largest, held, accepted, now, failed = ARGV[2], whole(found[3]), {}, 0

-- Counted only where there is a cap, and once: from then on it is what this batch makes it.
local function is_capped(place)
  local cap = whole(caps[place])
  if not cap then return false end
  if not held[place] then
    local command, first, last = unpack(places[place])
    held[place] = 0
    for n = first, last do
      local length = redis.pcall(command, KEYS[n])
      -- A lane of a wrong type holds no job, and must not close the others.
      if type(length) == 'number' then held[place] = held[place] + length end
    end
  end
  return held[place] >= cap
end

local function refused(answer, key, kind)
  if not usable(key, kind) then return {'corrupt'} end
  if string.find(answer.err, 'last possible ID', 1, true) then return {'exhausted', key} end
  if not string.find(answer.err, 'OOM ', 1, true) then failed = answer end
  return {'full'}
end

local function enqueue(job, lock, id, envelope, digest, priority, due, unique, max_crashes)
  local record = redis.pcall('HMGET', job, 'd', 's', 'l')
  if record.err then return {'corrupt'} end
  if record[2] then return {record[1] == digest and 'duplicate' or 'conflict'} end
  if unique ~= '' then
    local holder = redis.pcall('GET', lock)
    if type(holder) == 'table' then return {'corrupt'} end
    if holder and holder ~= id then return {'locked', holder} end
  end

  if largest and #envelope > largest then return {'capped', 'payload', caps.payload} end
  local words = {'d', digest}
  if unique ~= '' then words[3], words[4] = 'u', unique end
  if max_crashes ~= '' then words[#words + 1], words[#words + 2] = 'x', max_crashes end
  local at = tonumber(due)
  if at then now = now or now_ms(ARGV[1]) end
  if at and string.sub(due, 1, 1) == '+' then at = now + at end
  local place = at and at > now and 'scheduled' or 'waiting'
  if is_capped(place) then return {'capped', place, caps[place]} end
  -- The first write is one that Redis refuses when out of memory, so that it refuses all.
  if place == 'scheduled' then
    local added = redis.pcall('ZADD', schedule, digits(at), id)
    if type(added) == 'table' then return refused(added, schedule, 'zset') end
    redis.call('HSET', job, 's', 'scheduled', 'p', priority, 'c', digits(now), unpack(add_call(words, envelope)))
    wake_if_first(schedule, id, at, wake)
  else
    local from = {'i', id, 'm', envelope, 't', '1'}
    if max_crashes ~= '' then from[7], from[8] = 'x', max_crashes end
    local entry = redis.pcall('XADD', streams[priority], '*', unpack(from))
    if type(entry) == 'table' then return refused(entry, streams[priority], 'stream') end
    -- The usual lane goes without saying, where nobody says another.
    if priority ~= 'normal' or record[3] then words[#words + 1], words[#words + 2] = 'l', priority end
    redis.call('HSET', job, 's', 'queued', 'e', entry, unpack(words))
  end
  if unique ~= '' then redis.call('SET', lock, id) end
  accepted = accepted + 1
  if held[place] then held[place] = held[place] + 1 end
  return {'accepted'}
end

local answers, known = {}, false
local jobs = (#KEYS - 9) / 2
for n = 0, jobs - 1 do
  answers[n + 1] = found.err and {'corrupt'}
    or enqueue(KEYS[n * 2 + 10], KEYS[n * 2 + 11], unpack(ARGV, n * 7 + 3, n * 7 + 9))
  local said = answers[n + 1][1]
  known = known or said == 'duplicate' or said == 'locked'
end
if accepted == 0 and known and ARGV[jobs * 7 + 3] then
  -- What waits covers what its connection wrote, and after a duplicate that is nothing: Valkey then
  -- answers at once that all is well. So write what replicas see and what changes nothing; behind a
  -- write that is allowed when out of memory, which must not stand before a new job's.
  redis.call('HDEL', meta, '')
  count(meta, 'enqueue', 0)
elseif accepted > 0 then
  count(meta, 'enqueue', accepted)
end
return failed or answers
