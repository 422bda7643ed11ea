-- fire: a tick of a schedule makes its job, or passes without one; once, whoever comes.
--
-- KEYS[1] cron         Q:cron
-- KEYS[2] plan         Q:plan:<name>
-- KEYS[3] ran          Q:ran:<name>
-- KEYS[4] meta         Q:meta
-- KEYS[5] stream       Q:stream:<priority>
-- KEYS[6] job          Q:job:<id>
-- KEYS[7] lock         Q:unique:<key>, or the job's key again when it has none
-- KEYS[8] last         Q:job:<id> of the run before, or the job's key again when there is none
-- ARGV[1] now          ms, or '' for Redis' clock
-- ARGV[2] name
-- ARGV[3] revision     of the definition that was read
-- ARGV[4] mark         ms of the last tick, as it was read
-- ARGV[5] last         id of the run before, as it was read, or ''
-- ARGV[6] verdict      'run', 'pass' (the tick was missed), or 'trigger' (a run beside all ticks)
-- ARGV[7] overlap      what a run before that has not ended means: 'allow', 'skip' or 'queue'
-- ARGV[8] tick         ms
-- ARGV[9] since        ms of the first tick that is passed over with this one, or '0'
-- ARGV[10] due         ms before which it must not fire
-- ARGV[11] next        ms of the tick after it, or '' = there is none
-- ARGV[12] next_due    ms of when that one fires, or ''
-- ARGV[13] keep        lines of the history
-- then, unless it passes:
--   id, envelope, digest, priority, unique, max_crashes   as `enqueue` takes them
--
-- Returns {'ran', ms}, {'passed', ms}, {'overlapped', ms}, {'taken', ms} (there is a job of that id) or
-- {'locked', ms} (another job holds its unique key): the tick is done, by Redis' clock at that time.
-- Nothing was written: {'held'} (the run before goes on), {'beaten'} (another scheduler was first),
-- {'early', ms to wait}, {'paused'}, {'changed'}, {'missing'}, {'full'} (out of memory), {'corrupt'}.
local cron, plan, ran, meta, stream, job, lock, last = unpack(KEYS)
local now, name, verdict, overlap, tick = now_ms(ARGV[1]), ARGV[2], ARGV[6], ARGV[7], ARGV[8]
local id, envelope, digest, priority, unique, max_crashes = unpack(ARGV, 14, 19)

local function refusal()
  local p = redis.pcall('HMGET', plan, 'v', 'm', 'q', 'j')
  if p.err or not (usable(cron, 'zset') and usable(ran, 'list') and usable(meta, 'hash')) then
    return {'corrupt'}
  end
  if not p[1] then return {'missing'} end
  if verdict ~= 'trigger' then
    if p[2] ~= ARGV[4] then return {'beaten'} end
    if p[3] == '1' then return {'paused'} end
    local wait = tonumber(ARGV[10]) - now
    if wait > 0 then return {'early', digits(wait)} end
  end
  if p[1] ~= ARGV[3] or (p[4] or '') ~= ARGV[5] then return {'changed'} end
end

-- How the run before ended: its state, and when.
local function run_before()
  local record = ARGV[5] ~= '' and redis.pcall('HMGET', last, 's', 'f') or {}
  return not record.err and record[1] or nil, record[2]
end

-- Why this tick makes no job, or nil.
local function hindrance(state)
  if verdict == 'pass' then return 'passed' end
  if verdict == 'run' and state and not FINAL[state] and overlap ~= 'allow' then
    return overlap == 'queue' and 'held' or 'overlapped'
  end
  local found = redis.pcall('HGET', job, 's')
  if type(found) == 'table' then return 'corrupt' end
  if found then return 'taken' end
  local holder = unique ~= '' and redis.pcall('GET', lock)
  if type(holder) == 'table' then return 'corrupt' end
  if holder and holder ~= id then return 'locked' end
end

-- The first write is one that Redis refuses when out of memory, so that it refuses all.
local function make()
  local from = {'i', id, 'm', envelope, 't', '1'}
  if max_crashes ~= '' then from[7], from[8] = 'x', max_crashes end
  local entry = redis.pcall('XADD', stream, '*', unpack(from))
  if type(entry) == 'table' then return string.find(entry.err, 'OOM ', 1, true) and 'full' or 'corrupt' end
  local words = {'s', 'queued', 'e', entry, 'd', digest}
  if unique ~= '' then words[7], words[8] = 'u', unique end
  if max_crashes ~= '' then words[#words + 1], words[#words + 2] = 'x', max_crashes end
  -- The usual lane goes without saying.
  if priority ~= 'normal' then words[#words + 1], words[#words + 2] = 'l', priority end
  redis.call('HSET', job, unpack(words))
  if unique ~= '' then redis.call('SET', lock, id) end
  count(meta, 'enqueue', 1)
  return 'ran'
end

local refused = refusal()
if refused then return refused end
local state, ended = run_before()
local said = hindrance(state) or make()
if said == 'held' or said == 'corrupt' or said == 'full' then return {said} end
local words = {'r', digits(now)}
if said == 'ran' or said == 'taken' then words[3], words[4] = 'j', id end
if state == 'succeeded' and ended then words[#words + 1], words[#words + 2] = 's', ended end
if type(redis.pcall('HSET', plan, unpack(words))) == 'table' then return {'full'} end
if verdict ~= 'trigger' then
  redis.call('HSET', plan, 'm', tick, 'n', ARGV[11], 'u', ARGV[12])
  redis.call('ZADD', cron, ARGV[12] == '' and '+inf' or ARGV[12], name)
end
redis.call('LPUSH', ran, table.concat({tick, digits(now), said, ARGV[9], id or ''}, ' '))
redis.call('LTRIM', ran, 0, tonumber(ARGV[13]) - 1)
count(meta, verdict == 'trigger' and 'trigger' or 'fire', 1)
return {said, digits(now)}
