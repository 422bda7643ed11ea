-- What several scripts need; the loader puts in front of each of them what it uses.
-- Rules of all scripts: every key is declared; everything is read and checked, then written;
-- answers are words; payloads are never opened.

local GROUP = 'workers'
local FINAL = {succeeded = true, dead = true, cancelled = true, expired = true}
local CRASH_MEMORY_MS = 86400000

-- Redis' own clock, asked once, unless a test sets one.
local clock
local function now_ms(given)
  if given ~= '' then return tonumber(given) end
  if not clock then
    local time = redis.call('TIME')
    clock = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return clock
end

-- A number as text; `tostring` would keep 14 digits only.
local function digits(number)
  return string.format('%.0f', number)
end

-- A count that a stranger may have written: whole, and not so large that it cannot be counted with.
-- Anything else is none.
local function whole(text)
  if text and #text <= 15 and string.find(text, '^%d+$') then return tonumber(text) end
end

-- Whether a key is of this type or absent, so that writing to it cannot fail half-way.
local function usable(key, kind)
  local found = redis.call('TYPE', key).ok
  return found == 'none' or found == kind
end

-- So many more of what the queue counts. A stranger may have written a text there, or the largest
-- number there is: then it is counted anew, because a counter must not cost an ending its answer.
local function count(meta, verb, more)
  if type(redis.pcall('HINCRBY', meta, verb, more)) == 'table' then
    redis.pcall('HSET', meta, verb, more)
  end
end

-- The states of a job that ended or went on since it was in a worker's hands.
local MOVED_ON = {scheduled = true, retrying = true, succeeded = true, dead = true,
                  cancelled = true, expired = true}

-- Whether a record's current entry, as it is written there, is this one. What can be no entry's id
-- names none, and so does not part the job from the entry that it has.
local function is_current(written, entry)
  return written == entry or (written and not string.find(written, '^%d+%-%d+$'))
end

-- The fields of a stream entry as a table, or nil. A foreign one may lack its envelope; what can be
-- no entry's id is none.
local function read_entry(stream, id)
  local found = redis.pcall('XRANGE', stream, id, id)[1]
  if not found then return nil end
  local fields = {m = ''}
  for i = 1, #found[2], 2 do fields[found[2][i]] = found[2][i + 1] end
  return fields
end

-- The id that an entry names, or nil: a stranger may have written anything.
local function name_of(from)
  local name = from.i
  if name and #name <= 128 and string.find(name, '^[~%w][%w._:@/+=-]*$') then return name end
end

-- When a job could first run, ms as text: it travels with every entry but the first, whose id
-- tells it.
local function first_ready(from, entry)
  return whole(from.q) and from.q or string.match(entry, '^(%d+)%-%d+$') or ''
end

-- A new entry for a job that moves: what travels with it, and the next token. Returns its id, or
-- nil where the stream takes none: it is of another type, or holds the highest id there is. So it
-- comes before the job is taken from where it stood, behind a write that Redis allows when out of
-- memory. `entry`: the one that it follows, if it is in none's place.
local function add_entry(stream, id, from, entry)
  if entry then from.q = first_ready(from, entry) end
  local words = {'i', id, 'm', from.m, 't', digits((whole(from.t) or 0) + 1)}
  for _, name in ipairs({'p', 'a', 'n', 'N', 'x', 'q'}) do
    if from[name] and from[name] ~= '' then
      words[#words + 1] = name
      words[#words + 1] = from[name]
    end
  end
  local entry = redis.pcall('XADD', stream, '*', unpack(words))
  return type(entry) == 'string' and entry or nil
end

-- A value of more than 64 bytes makes a table of the small list that a record is, which takes twice
-- the memory (hash-max-listpack-value). So a call stands in its record in pieces: the first is `m`,
-- these are the others. A call that would need more is kept whole: there it matters less.
local PIECES, PIECE_BYTES = {'m1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7'}, 64

-- Adds fields and values of a call to those of a record that has none.
local function add_call(words, call)
  local size = #call > PIECE_BYTES * (#PIECES + 1) and #call or PIECE_BYTES
  words[#words + 1], words[#words + 2] = 'm', string.sub(call, 1, size)
  for n = 1, math.ceil(#call / size) - 1 do
    words[#words + 1], words[#words + 2] = PIECES[n], string.sub(call, n * size + 1, (n + 1) * size)
  end
  return words
end

-- The call, of its first piece and of what was read of the others, from a place on; and how many
-- others there are.
local function call_of(first, read, at)
  local others = 0
  while others < #PIECES and read[at + others] do others = others + 1 end
  return first .. table.concat(read, '', at, at + others - 1), others
end

-- The fields of a record that wait with a job for its time.
local WAITS_WITH = {'m', 'p', 't', 'a', 'n', 'N', 'x', 'q', unpack(PIECES)}

-- From the schedule to the stream of the priority, or of suspects; `r` is what waited in the record.
-- Returns the lane and the bytes of the call, or nil where that stream takes no entry; the schedule
-- is left to the caller.
local function to_stream(job, id, r, streams, now, default_cap)
  local crashes = whole(r[5]) or 0
  if now - (whole(r[6]) or 0) > CRASH_MEMORY_MS then crashes = 0 end
  local priority = streams[r[2]] and r[2] or 'normal'
  local call, others = call_of(r[1], r, 9)
  local lane, from = priority, {m = call, t = r[3], a = r[4], x = r[7], q = r[8]}
  if crashes > 0 then
    lane = crashes >= (whole(r[7]) or default_cap) - 1 and 'last' or 'suspect'
    from.p, from.n, from.N = priority, r[5], r[6]
  end
  local entry = add_entry(streams[lane], id, from)
  if not entry then return nil end
  redis.call('HDEL', job, 'N', 't', 'l', 'q', 'p', 'm', unpack(PIECES, 1, others))
  redis.call('HSET', job, 's', 'queued', 'e', entry)
  -- The usual lane goes without saying.
  if lane ~= 'normal' then redis.call('HSET', job, 'l', lane) end
  return lane, #call
end

-- When a job was created stands in the id of its first entry, and in its record only when it has had
-- another since, or none yet: 13 bytes a job.
local function keep_created(job, entry)
  local at = string.match(entry, '^(%d+)%-%d+$')
  if at then redis.call('HSETNX', job, 'c', at) end
end

-- Opens the lock of a unique key if this job holds it. `lock` is the record where there is none.
local function unlock(lock, job, id)
  if lock ~= job and redis.pcall('GET', lock) == id then redis.call('DEL', lock) end
end

-- Tells the clients that wait for this job; a channel that this user may not use is nobody's.
local function tell(waiters, id)
  local channels = redis.call('HGET', waiters, id)
  if not channels then return end
  redis.call('HDEL', waiters, id)
  for channel in string.gmatch(channels, '%S+') do redis.pcall('PUBLISH', channel, id) end
end

-- Fields of a record that mean nothing after the end of its job; if it is dead the others stay, to be
-- asked for in a new life.
local GONE_IF_DEAD = {'g', 'o', 'l', 'h', 'q'}
local GONE = {'g', 'o', 'l', 'h', 'q', 'u', 'p', 'x', 't', 'N', 'm', unpack(PIECES)}

-- When what is kept for so many ms expires, as text: what ends together shares it, and Redis need not
-- work it out for its replicas.
local expiries = {}
local function expiry(keep_ms)
  expiries[keep_ms] = expiries[keep_ms] or digits(now_ms('') + keep_ms)
  return expiries[keep_ms]
end

-- The end of a job: the record keeps its last words, and expires unless it is dead. `now` is text.
local function settle(job, id, state, words, gone, keep_ms, now, waiters, cancels, lock)
  redis.call('HSET', job, 's', state, 'f', now, unpack(words))
  if gone[1] then redis.call('HDEL', job, unpack(gone)) end
  if state == 'dead' then
    redis.call('PERSIST', job)
  else
    redis.call('PEXPIREAT', job, expiry(keep_ms))
  end
  unlock(lock, job, id)
  if cancels then redis.call('HDEL', cancels, id) end
  if waiters then tell(waiters, id) end
end

-- What is due behind the first so many: {ms until the next job behind those listed, or '-1' for
-- none, id...}.
local function due_next(schedule, now, skip, limit)
  local ids = redis.call('ZRANGEBYSCORE', schedule, '-inf', digits(now), 'LIMIT', skip, limit)
  local after = redis.call('ZRANGE', schedule, skip + #ids, skip + #ids, 'WITHSCORES')
  -- A stranger's score may be infinite.
  local wait = after[2] and math.min(1e15, math.max(0, tonumber(after[2]) - now)) or -1
  return {digits(wait), unpack(ids)}
end

-- Wakes the scheduler when this job is the earliest of all; if that fails it is late by seconds.
local function wake_if_first(schedule, id, due, wake)
  if redis.call('ZRANGE', schedule, 0, 0)[1] == id then
    redis.pcall('PUBLISH', wake, digits(due))
  end
end
