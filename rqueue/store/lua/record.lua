-- record: a call that a process ran itself (`task.now`) leaves the record of a finished job.
--
-- KEYS[1] job     Q:job:<id>
-- KEYS[2] dead    Q:dead
-- KEYS[3] meta    Q:meta
-- ARGV[1] now     ms, or '' for Redis' clock
-- ARGV[2] id
-- ARGV[3] state   succeeded | dead | cancelled
-- ARGV[4] keep    ms the record is kept; a dead one stays
-- ARGV[5] digest   of the call
-- ARGV[6..] words field, value, ...
--
-- Returns 'recorded', 'duplicate' (the id is taken by a call with this digest), 'conflict' (by another)
-- or 'corrupt'.
local job, dead, meta = KEYS[1], KEYS[2], KEYS[3]
local now, id, state, keep, digest = now_ms(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local taken = redis.pcall('HMGET', job, 's', 'd')
if taken.err then return 'corrupt' end
if taken[1] then return taken[2] == digest and 'duplicate' or 'conflict' end
if not (usable(dead, 'zset') and usable(meta, 'hash')) then return 'corrupt' end

redis.call('HSET', job, 'd', digest, 's', state, 'c', digits(now), 'f', digits(now), unpack(ARGV, 6))
if state == 'dead' then
  redis.call('ZADD', dead, digits(now), id)
else
  redis.call('PEXPIRE', job, keep)
end
count(meta, 'record', 1)
return 'recorded'
