-- book: what a worker has counted since it last did is added to the history of its queue.
--
-- KEYS[1] booked     Q:booked
-- KEYS[2] minute     Q:minute:<number>
-- KEYS[3] hour       Q:hour:<number>
-- KEYS[4] failures   Q:failures
-- ARGV[1] now        ms, or '' for Redis' clock
-- ARGV[2] minute     of the second key, since the epoch; the third is of the hour that it is in
-- ARGV[3] book       names the worker's bookings
-- ARGV[4] number     of this booking, from 1: it is booked once, however often it is sent
-- ARGV[5] tasks      how many follow
-- ARGV[6..] task, counts ...   counts: see `gather`; then the failures, the last one last
--
-- Returns {'booked'}, {'already'}, {'elsewhen', now} (it is another minute; nothing was written) or
-- {'corrupt'}.
local MOST_TASKS, MOST_FAILURES, MOST_PLACES, SOME = 200, 500, 100, 20
local HOUR = 3600000
local booked, minute, hour, failures = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now, book, number, tasks = now_ms(ARGV[1]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

if not (usable(booked, 'hash') and usable(minute, 'hash') and usable(hour, 'hash')
        and usable(failures, 'list')) then return {'corrupt'} end
-- Who was booked, and when: '<number> <ms>'.
local function last(told) return string.match(told or '', '^(%d+) (%d+)$') end
if (whole(last(redis.call('HGET', booked, book))) or 0) >= number then return {'already'} end
if digits(math.floor(now / 60000)) ~= ARGV[2] then return {'elsewhen', digits(now)} end

-- Reads '<name><first>=<count>,<count>...': counts of a name by their places, from the first on, 0
-- where it is left out; a count that is 0 may be left out as well.
local function gather(into, text)
  for name, first, list in string.gmatch(text, '(%l)(%d*)=([%d,]+)') do
    local counts, place = into[name], whole(first) or 0
    if not counts then
      counts = {low = MOST_PLACES, high = -1}
      into[name], into[#into + 1] = counts, name
    end
    for count in string.gmatch(list .. ',', '(%d*),') do
      if place >= MOST_PLACES then break end
      if whole(count) then
        counts[place] = (counts[place] or 0) + whole(count)
        counts.low, counts.high = math.min(counts.low, place), math.max(counts.high, place)
      end
      place = place + 1
    end
  end
end

-- A task beyond those that a bucket holds is counted among the others, so that it is bounded.
local function add(bucket, task, more)
  local was = redis.call('HGET', bucket, task)
  if not was and redis.call('HLEN', bucket) >= MOST_TASKS then
    task = '_other'
    was = redis.call('HGET', bucket, task)
  end
  local sums, told = {}, {}
  gather(sums, was or '')
  gather(sums, more)
  for _, name in ipairs(sums) do
    local counts, list = sums[name], {}
    for place = counts.low, counts.high do
      list[#list + 1] = counts[place] and digits(counts[place]) or ''
    end
    local first = counts.low > 0 and counts.low or ''
    if list[1] then told[#told + 1] = name .. first .. '=' .. table.concat(list, ',') end
  end
  redis.call('HSET', bucket, task, table.concat(told, ' '))
end

-- The first write is one that Redis refuses when out of memory, so that it refuses all.
redis.call('HSET', booked, book, ARGV[4] .. ' ' .. digits(now))
redis.call('PEXPIRE', booked, 25 * HOUR)
-- With each new one some, so that there are hardly more of those that are over than of others.
if number == 1 then
  local found = redis.call('HRANDFIELD', booked, SOME, 'WITHVALUES')
  for n = 1, #found, 2 do
    local _, at = last(found[n + 1])
    if not at or now - tonumber(at) > 25 * HOUR then redis.call('HDEL', booked, found[n]) end
  end
end
for n = 6, 4 + 2 * tasks, 2 do
  add(minute, ARGV[n], ARGV[n + 1])
  add(hour, ARGV[n], ARGV[n + 1])
end
if tasks > 0 then
  redis.call('PEXPIRE', minute, 25 * HOUR)
  redis.call('PEXPIRE', hour, 170 * HOUR)
end
for n = 6 + 2 * tasks, #ARGV do redis.call('LPUSH', failures, ARGV[n]) end
if #ARGV >= 6 + 2 * tasks then
  redis.call('LTRIM', failures, 0, MOST_FAILURES - 1)
  redis.call('PEXPIRE', failures, 170 * HOUR)
end
return {'booked'}
