-- plan: a schedule is put, changed, paused or resumed.
--
-- KEYS[1] cron       Q:cron
-- KEYS[2] plan       Q:plan:<name>
-- ARGV[1] now        ms, or '' for Redis' clock
-- ARGV[2] name
-- ARGV[3] seen       the revision that was read, '' = it was not there; or '*' for whatever is there
-- ARGV[4] definition
-- ARGV[5] revision   tells one definition from another
-- ARGV[6] origin     'code' or 'api'
-- ARGV[7] paused     '1', '0', or '' = as it is
-- ARGV[8] mark       ms of the last tick that is not to fire any more, or '' = as it is
-- ARGV[9] next       ms of the next tick, '' = there is none; of no meaning where the mark stays
-- ARGV[10] due       ms of when it fires
-- ARGV[11] wake      channel of the scheduler
--
-- Returns 'planned', 'unchanged' (it is so already), 'changed' (the revision is another than was seen)
-- or 'corrupt'.
local cron, plan = KEYS[1], KEYS[2]
local name, seen, definition, revision = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local origin, paused, mark, next_tick, due = ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]

local found = redis.pcall('HMGET', plan, 'v', 'q', 'm', 'n', 'u', 'o')
if found.err or not usable(cron, 'zset') then return 'corrupt' end
local known = found[1] or ''
local was = found[2] or '0'
if paused == '' then paused = was end
local is_marked = mark == '' or mark == found[3]
if known == revision and paused == was and is_marked and found[6] == origin then return 'unchanged' end
if seen ~= '*' and known ~= seen then return 'changed' end

if mark == '' then mark, next_tick, due = found[3] or '', found[4] or '', found[5] or '' end
-- The first write is one that Redis refuses when out of memory, so that it refuses all.
redis.call('HSET', plan, 'd', definition, 'v', revision, 'o', origin, 'q', paused, 'm', mark,
           'n', next_tick, 'u', due)
if known == '' then redis.call('HSET', plan, 'c', digits(now_ms(ARGV[1]))) end
-- Who is paused, or has no tick left, is never due, and still in the list of all.
redis.call('ZADD', cron, (paused == '1' or due == '') and '+inf' or due, name)
if paused ~= '1' and due ~= '' then wake_if_first(cron, name, tonumber(due), ARGV[11]) end
return 'planned'
