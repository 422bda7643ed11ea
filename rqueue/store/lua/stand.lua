-- stand: which of the releases that run side by side declares the schedules of a queue.
--
-- KEYS[1] releases   Q:releases
-- ARGV[1] now        ms, or '' for Redis' clock
-- ARGV[2] release    names a set of declared schedules
-- ARGV[3] life       ms for which it is taken to run from now on
--
-- The one that came last stands, whatever its age: that of a deploy, and that of a roll-back. Those of
-- which nobody was heard for their life are forgotten.
--
-- Returns 'stands', 'yields' (a later one runs) or 'corrupt'.
local releases = KEYS[1]
local now, release, life = now_ms(ARGV[1]), ARGV[2], tonumber(ARGV[3])

if not usable(releases, 'hash') then return 'corrupt' end
local found = redis.call('HGETALL', releases)
local since, rivals = now, {}
for n = 1, #found, 2 do
  local came, ends = string.match(found[n + 1], '^(%d+) (%d+)$')
  if not came or tonumber(ends) < now then
    redis.call('HDEL', releases, found[n])
  elseif found[n] == release then
    since = tonumber(came)
  else
    rivals[found[n]] = tonumber(came)
  end
end
-- Refused when out of memory: then the release is forgotten in its time, and comes anew.
redis.pcall('HSET', releases, release, digits(since) .. ' ' .. digits(now + life))
redis.call('PEXPIRE', releases, life)
for rival, came in pairs(rivals) do
  if came > since or (came == since and rival > release) then return 'yields' end
end
return 'stands'
