-- Requests of wrk: `wrk … URL -- METHOD [HEADER VALUE]…`. A path that ends in `/` asks for the images of seeds 0 to 99 in turn.
-- Prints one line of JSON to standard error.

local method, seed = "GET", 0

function init(arguments)
    method = arguments[1]
    for place = 2, #arguments, 2 do
        wrk.headers[arguments[place]] = arguments[place + 1]
    end
end

function request()
    if wrk.path:sub(-1) ~= "/" then
        return wrk.format(method)
    end
    seed = (seed + 1) % 100
    return wrk.format(method, wrk.path .. seed .. ".png")
end

function done(summary)
    local errors = summary.errors
    io.stderr:write(string.format(
        '{"requests": %d, "seconds": %f, "failures": %d}\n', summary.requests,
        summary.duration / 1e6,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout
    ))
end
