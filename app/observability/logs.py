"""How the log is written: in text, as uvicorn writes it, or in JSON."""

import json
import logging
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from uvicorn.config import LOGGING_CONFIG

from app.settings import Settings

# What json.dumps would build anew for every line.
_encode = json.JSONEncoder(ensure_ascii=False).encode


def config(settings: Settings) -> dict[str, Any]:
    """What ``logging.config`` takes: requests to standard output, all else to standard error."""
    formatters: dict[str, Any] = {
        "default": LOGGING_CONFIG["formatters"]["default"],
        "access": {"format": "%(levelname)s:     %(message)s"},
    }
    if settings.log_format == "json":
        formatters = {name: {"()": "app.observability.logs.Json"} for name in formatters}
    default = {"handlers": ["default"], "level": "INFO", "propagate": False}
    requests = {"handlers": ["access"], "level": "INFO", "propagate": False}
    return {
        **LOGGING_CONFIG,
        "formatters": formatters,
        "loggers": {"uvicorn": default, "app": default, "app.middleware.access_log": requests},
    }


class Json(logging.Formatter):
    """One JSON object a line; a request's facts are its members."""

    def format(self, record: logging.LogRecord) -> str:
        """``record`` without line breaks."""
        line = {
            "time": f"{_second(int(record.created))}.{int(record.msecs):03}Z",
            "level": record.levelname,
            "logger": record.name,
        }
        if isinstance(record.args, dict):
            line.update(record.args)
        else:
            line["message"] = record.getMessage()
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encode(line)


@lru_cache(1)
def _second(seconds: int) -> str:
    """Seconds since 1970 by RFC 3339, without what follows."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
