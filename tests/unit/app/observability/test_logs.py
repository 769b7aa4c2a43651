"""The JSON formatter of the log."""

import json
import logging

from app.observability.logs import JsonFormatter


def test_an_exception_is_a_member_of_the_same_line() -> None:
    error = ValueError("first line\nsecond line")
    record = logging.LogRecord(
        "app", logging.ERROR, __file__, 1, "failed: %s", ("faces",), (ValueError, error, None)
    )
    line = JsonFormatter().format(record)
    assert "\n" not in line
    found = json.loads(line)
    assert (found["level"], found["logger"]) == ("ERROR", "app")
    assert found["message"] == "failed: faces"
    assert found["exception"] == "ValueError: first line\nsecond line"
