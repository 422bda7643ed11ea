-- record: a call that a process ran itself (`task.now`) leaves the record of a finished job.
--
-- KEYS[1] job     Q:job:<id>
-- KEYS[2] dead    Q:dead
-- KEYS[3] meta    Q:meta
-- ARGV[1] now     ms, or '' for Redis' clock
-- ARGV[2] id
-- ARGV[3] state   succeeded | dead | cancelled
-- ARGV[4] keep    ms the record is kept; a dead one stays
-- ARGV[5..] words field, value, ...
--
-- Returns 'recorded', 'conflict' (the id is taken) or 'corrupt'.
local job, dead, meta = KEYS[1], KEYS[2], KEYS[3]
local now, id, state, keep = now_ms(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]

local taken = redis.pcall('HGET', job, 's')
if type(taken) == 'table' then return 'corrupt' end
if taken then return 'conflict' end
if not (usable(dead, 'zset') and usable(meta, 'hash')) then return 'corrupt' end

redis.call('HSET', job, 's', state, 'c', digits(now), 'f', digits(now), unpack(ARGV, 5))
if state == 'dead' then
  redis.call('ZADD', dead, digits(now), id)
else
  redis.call('PEXPIRE', job, keep)
end
count(meta, 'record', 1)
return 'recorded'
