-- KEYS: note, ends of notes, bytes of notes
-- ARGV: name, expected edition or nothing, new one at rest or nothing, how long it is kept, now, what a note takes
-- besides, most bytes of notes, how many are dropped at once
-- Gives back: 0 changed, 1 done, 2 full, 3 full, and some are dropped that are over: ask again.
local name, new, span, now, besides = ARGV[1], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local known = redis.call('GET', KEYS[1]) or ''
if string.sub(known, 1, 16) ~= ARGV[2] then
  return 0
end
local bytes = note_bytes(KEYS[2], KEYS[3])
local over = notes_over(KEYS[2], ARGV[5], ARGV[8])
local own = name .. whole(#known + besides)
local left = bytes
for _, member in ipairs(over) do
  left = left - note_weight(member)
  if member == own then
    own = nil
  end
end
if own and known ~= '' then
  left = left - note_weight(own)
  over[#over + 1] = own
end
if new ~= '' and left + #new + besides > tonumber(ARGV[7]) then
  if #over == 0 or #over == 1 and over[1] == own then
    return 2
  end
  if over[#over] == own then
    over[#over] = nil
  end
  drop_notes(KEYS[2], KEYS[3], bytes, over)
  return 3
end
if new == '' then
  -- Takes no memory, and so what follows may: a note can be taken away also when Redis is full.
  redis.call('DEL', KEYS[1])
  drop_notes(KEYS[2], KEYS[3], bytes, over)
  return 1
end
redis.call('SET', KEYS[1], new, 'PX', ARGV[4])
-- One of its own that is over, and was not among the first of those.
local member = name .. whole(#new + besides)
over[#over + 1] = member
bytes = drop_notes(KEYS[2], KEYS[3], bytes, over)
redis.call('ZADD', KEYS[2], whole(now + span), member)
keep(KEYS[2], span)
set_note_bytes(KEYS[2], KEYS[3], bytes + note_weight(member))
return 1
