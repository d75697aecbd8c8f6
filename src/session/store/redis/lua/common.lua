-- What the scripts share. Moments and spans are whole milliseconds; Lua would write large ones as 1.8e+12.
local function whole(number)
  return string.format('%.0f', number)
end

-- Lets a key live for at least so long.
local function keep(key, span)
  if redis.call('PTTL', key) < span then
    redis.call('PEXPIRE', key, whole(span))
  end
end

-- Calls back with each tag of a session, 32 bytes each.
local function each_tag(tags, visit)
  for at = 1, #tags, 32 do
    visit(string.sub(tags, at, at + 31))
  end
end

-- Takes a session out of the sets of its tags. In a cluster whose slots are just moving such a set may be
-- out of reach: a name that leads nowhere does no harm.
local function forget_tags(prefix, tags, member)
  each_tag(tags or '', function(tag)
    redis.pcall('ZREM', prefix .. tag, member)
  end)
end

-- Tells who listens. What was done is done, also when nobody may be told: then no beat comes back either, and
-- everybody knows that they hear nothing.
local function tell(channel, message)
  redis.pcall('PUBLISH', channel, message)
end

-- The lifetimes, from the present moment on, in four arguments: now, idle time, longest life, slack.
local function times(at)
  local now, idle, longest, slack = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local function span(till)
    return math.max(till - now, 0) + slack
  end
  return {
    -- When a session ends if it is not used again.
    ends = function(created, seen)
      return math.min(seen + idle, created + longest)
    end,
    -- The last moment that a session may have.
    last = function(created)
      return created + longest
    end,
    span = span,
  }
end

-- What notes take. They go away by themselves, and what is known of them stays a while: a member of the set of their
-- ends is the name of a note, 32 bytes, and its weight.
local function note_weight(member)
  return tonumber(string.sub(member, 33)) or 0
end

local function note_bytes(ends, bytes)
  if redis.call('ZCARD', ends) == 0 then
    return 0
  end
  return tonumber(redis.call('GET', bytes) or 0)
end

-- Some of those that are over.
local function notes_over(ends, now, most)
  return redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, most)
end

-- Lives as long as the set. Without one it counts for nothing.
local function set_note_bytes(ends, key, bytes)
  local lives = math.max(redis.call('PTTL', ends), 1)
  redis.call('SET', key, whole(math.max(bytes, 0)), 'PX', whole(lives))
end

-- Forgets some, and gives back what is left of the bytes.
local function drop_notes(ends, key, bytes, members)
  for _, member in ipairs(members) do
    if redis.call('ZREM', ends, member) == 1 then
      bytes = bytes - note_weight(member)
    end
  end
  set_note_bytes(ends, key, bytes)
  return math.max(bytes, 0)
end

