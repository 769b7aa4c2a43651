-- Requests of wrk: `wrk … URL -- SEEDS [HEADER VALUE]` asks for the images of seeds 0 to SEEDS - 1 in turn.
-- Prints one line of JSON to standard error.

local seeds, seed = 1, 0

function init(arguments)
    seeds = tonumber(arguments[1])
    if arguments[2] then
        wrk.headers[arguments[2]] = arguments[3]
    end
end

function request()
    seed = (seed + 1) % seeds
    return wrk.format("GET", wrk.path .. seed .. ".png")
end

function done(summary)
    local errors = summary.errors
    io.stderr:write(string.format(
        '{"requests": %d, "seconds": %f, "failures": %d}\n', summary.requests,
        summary.duration / 1e6,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout
    ))
end
