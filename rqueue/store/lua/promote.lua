-- promote: due jobs go from the schedule to their streams; then it lists what is due next, as `due`
-- does.
--
-- KEYS[1] schedule    Q:schedule
-- KEYS[2] meta        Q:meta
-- KEYS[3..8] streams  Q:stream:critical, high, normal, low, suspect, last
-- then per job:
--   job               Q:job:<id>
-- ARGV[1] now         ms, or '' for Redis' clock
-- ARGV[2] default_cap crashes that make a job dead, where its record does not say
-- ARGV[3] limit       ids to list at the most
-- ARGV[4] skip        the first so many are left out: they are known to be stuck
-- ARGV[5..] ids       as they were listed
--
-- Returns {{answer per job...}, {as `due` returns it}}. An answer is 'promoted'; 'early' (not due, or
-- not scheduled any more; nothing touched); 'later' (due, but what was moved before is enough for one
-- call; nothing touched); 'orphan' (no record or no envelope: there is nothing to run, the id is
-- dropped); 'corrupt' (a key of a wrong type, or a stream that takes no more entries; nothing
-- touched): it is listed no more in this answer.
local schedule, meta = KEYS[1], KEYS[2]
local streams = {critical = KEYS[3], high = KEYS[4], normal = KEYS[5], low = KEYS[6],
                 suspect = KEYS[7], last = KEYS[8]}
local now, default_cap = now_ms(ARGV[1]), tonumber(ARGV[2])
local limit, skip = tonumber(ARGV[3]), tonumber(ARGV[4])
-- Of envelopes: more would keep all others waiting for longer than 10 ms.
local MOST_BYTES = 4194304
local gone, promoted, size = {}, 0, 0

local function promote(job, id, due)
  if not due or tonumber(due) > now then return 'early' end
  if size > MOST_BYTES then return 'later' end
  local r = redis.pcall('HMGET', job, 's', unpack(WAITS_WITH))
  if r.err then return 'corrupt' end
  if not r[2] or r[1] == 'queued' or FINAL[r[1]] then
    gone[#gone + 1] = id
    count(meta, 'orphan', 1)
    return 'orphan'
  end
  local lane, bytes = to_stream(job, id, {unpack(r, 2)}, streams, now, default_cap)
  if not lane then return 'corrupt' end
  gone[#gone + 1] = id
  promoted, size = promoted + 1, size + bytes
  return 'promoted'
end

local answers = {}
local sound = usable(schedule, 'zset') and usable(meta, 'hash')
if not sound then
  for n = 9, #KEYS do answers[n - 8] = 'corrupt' end
  return {answers, {'-1'}}
end
-- A write that Redis allows when out of memory: after it the others are allowed too.
redis.call('ZREM', schedule, '')
local dues = #KEYS > 8 and redis.call('ZMSCORE', schedule, unpack(ARGV, 5)) or {}
for n = 9, #KEYS do
  local answer = promote(KEYS[n], ARGV[n - 4], dues[n - 8])
  answers[n - 8] = answer
  if answer == 'corrupt' then skip = skip + 1 end
end
if gone[1] then redis.call('ZREM', schedule, unpack(gone)) end
if promoted > 0 then count(meta, 'promote', promoted) end
return {answers, due_next(schedule, now, skip, limit)}
