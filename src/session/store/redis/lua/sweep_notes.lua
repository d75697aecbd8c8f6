-- KEYS: ends of notes, bytes of notes
-- ARGV: now, how many
-- Gives back how many were over.
local over = notes_over(KEYS[1], ARGV[1], ARGV[2])
if #over > 0 then
  drop_notes(KEYS[1], KEYS[2], note_bytes(KEYS[1], KEYS[2]), over)
end
return #over
