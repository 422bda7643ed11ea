-- discard: dead jobs are forgotten for good.
--
-- KEYS[1] dead    Q:dead
-- KEYS[2] meta    Q:meta
-- then per job:
--   job           Q:job:<id>
-- ARGV[1] before  only jobs that died before this, ms; '' = all
-- ARGV[2..] ids
--
-- Returns per job: 'discarded', 'missing' (not dead, or died later) or 'corrupt'.
local dead, meta = KEYS[1], KEYS[2]
local before = tonumber(ARGV[1])
local discarded = 0

local function discard(job, id)
  local died = redis.call('ZSCORE', dead, id)
  if not died or (before and tonumber(died) >= before) then return 'missing' end
  local state = redis.pcall('HGET', job, 's')
  if type(state) == 'table' then return 'corrupt' end
  redis.call('ZREM', dead, id)
  if state == 'dead' then redis.call('DEL', job) end
  discarded = discarded + 1
  return 'discarded'
end

local sound = usable(dead, 'zset') and usable(meta, 'hash')
local answers = {}
for n = 3, #KEYS do answers[n - 2] = sound and discard(KEYS[n], ARGV[n - 1]) or 'corrupt' end
if discarded > 0 then count(meta, 'discard', discarded) end
return answers
