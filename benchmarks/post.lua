-- Has wrk post the lines of the file that BODY names in turn, and print what it counted as one line of JSON.
local headers = { ["Content-Type"] = os.getenv("TYPE") or "application/json" }
local requests, last = {}, 0

init = function(arguments)
  for body in io.lines(os.getenv("BODY")) do
    requests[#requests + 1] = wrk.format("POST", nil, headers, body)
  end
end

request = function()
  last = last % #requests + 1
  return requests[last]
end

done = function(summary, latency)
  local wrong = summary.errors
  io.write(string.format('{"requests": %d, "seconds": %.6f, "p50": %.3f, "p99": %.3f, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    wrong.status, wrong.connect + wrong.read + wrong.write + wrong.timeout))
end
