-- Requests of wrk: `wrk … URL -- [BODY]`. Prints one line of JSON to standard error.
-- `wrk … URL -- stages` adds the mean milliseconds of each stage in the header Server-Timing.

local threads = {}
queue, compute, encode, answers = 0, 0, 0, 0 -- per thread: each has its own globals

function setup(thread)
    table.insert(threads, thread)
end

function init(arguments)
    wrk.method = "POST"
    wrk.headers["Accept"] = "image/png"
    if arguments[1] == "stages" then
        response = add_stages
    elseif arguments[1] then
        wrk.body = arguments[1]
        wrk.headers["Content-Type"] = "application/json"
    end
end

function add_stages(_, headers)
    local timing = headers["Server-Timing"] or headers["server-timing"]
    for name, milliseconds in timing:gmatch("(%a+);dur=([%d.]+)") do
        _G[name] = _G[name] + tonumber(milliseconds)
    end
    answers = answers + 1
end

function done(summary, latency)
    local errors, stages = summary.errors, ""
    for _, name in ipairs({"queue", "compute", "encode"}) do
        local sum, count = 0, 0
        for _, thread in ipairs(threads) do
            sum, count = sum + thread:get(name), count + thread:get("answers")
        end
        stages = stages .. string.format(', "%s": %f', name, sum / math.max(count, 1))
    end
    io.stderr:write(string.format(
        '{"requests": %d, "seconds": %f, "failures": %d, "p50": %f, "p99": %f, "mean": %f%s}\n',
        summary.requests, summary.duration / 1e6,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.mean / 1e3, stages
    ))
end
