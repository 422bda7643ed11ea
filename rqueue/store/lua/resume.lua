-- resume: workers take jobs from the queue again.
--
-- KEYS[1] meta      Q:meta
-- ARGV[1] control   channel of the workers
--
-- Returns 'resumed', or 'already'.
local meta = KEYS[1]
local control = ARGV[1]

if redis.call('HDEL', meta, 'paused') == 0 then return 'already' end
redis.call('PUBLISH', control, 'resume')
return 'resumed'
