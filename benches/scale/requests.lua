-- Each request is of another session. Their cookies stand in a file, one in a line: so many are passed over, so many taken.
local requests, count, at = {}, 0, 0
function init(arguments)
  local over, most = tonumber(arguments[2]), tonumber(arguments[3])
  for cookie in io.lines(arguments[1]) do
    over = over - 1
    if over < 0 and count < most then
      count = count + 1
      wrk.headers["Cookie"] = "__Host-schoolgate=" .. cookie .. "; a=b; lang=de; theme=dark"
      requests[count] = wrk.format("GET", "/page/" .. count)
    end
  end
end
function request()
  at = at % count + 1
  return requests[at]
end
