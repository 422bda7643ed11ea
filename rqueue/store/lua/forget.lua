-- forget: a schedule is deleted, with its history; its jobs are not touched.
--
-- KEYS[1] cron     Q:cron
-- KEYS[2] plan     Q:plan:<name>
-- KEYS[3] ran      Q:ran:<name>
-- ARGV[1] name
-- ARGV[2] seen     the revision that was read, or '*' for whatever is there
--
-- Returns 'forgotten', 'missing' or 'changed' (the revision is another than was seen).
local cron, plan, ran = KEYS[1], KEYS[2], KEYS[3]
local name, seen = ARGV[1], ARGV[2]

local known = redis.pcall('HGET', plan, 'v')
local is_listed = redis.pcall('ZSCORE', cron, name)
if not known and type(is_listed) ~= 'string' then return 'missing' end
if seen ~= '*' and known ~= seen then return 'changed' end
redis.call('DEL', plan, ran)
if usable(cron, 'zset') then redis.call('ZREM', cron, name) end
return 'forgotten'
