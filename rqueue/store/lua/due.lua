-- due: which jobs are due, and when the next one is. Reads only.
--
-- KEYS[1] schedule   Q:schedule
-- ARGV[1] now        ms, or '' for Redis' clock
-- ARGV[2] limit      ids at the most
-- ARGV[3] skip       the first so many are left out: they are known to be stuck
--
-- Returns {ms until the next job behind those listed, or -1 for none, id...}.
return due_next(KEYS[1], now_ms(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[2]))
