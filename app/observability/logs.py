"""Log configuration: text, as uvicorn writes it, or JSON."""

import json
import logging
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from uvicorn.config import LOGGING_CONFIG

from app.settings import Settings

# json.dumps would create an encoder for every line.
_encode = json.JSONEncoder(ensure_ascii=False).encode


def config(settings: Settings) -> dict[str, Any]:
    """Return a configuration for ``logging.config.dictConfig``.

    The access log goes to standard output, all other messages go to standard error. Both are
    written by threads of their own.
    """
    formatters: dict[str, Any] = {
        "default": LOGGING_CONFIG["formatters"]["default"],
        "access": {"format": "%(levelname)s:     %(message)s"},
    }
    if settings.log_format == "json":
        formatters = {name: {"()": "app.observability.logs.JsonFormatter"} for name in formatters}
    default = {"handlers": ["default"], "level": "INFO", "propagate": False}
    access = {"handlers": ["access"], "level": "INFO", "propagate": False}
    handlers = {
        name: {
            "()": "app.observability.log_queue.QueuedHandler",
            "formatter": name,
            "stream": stream,
        }
        for name, stream in (("default", "ext://sys.stderr"), ("access", "ext://sys.stdout"))
    }
    loggers = {
        "uvicorn": default,
        "app": default,
        "app.middleware.access_log": access,
        "python_multipart": {"level": "CRITICAL"},  # it would log parts of uploads
    }
    return {
        **LOGGING_CONFIG,
        "formatters": formatters,
        "handlers": handlers,
        "loggers": loggers,
    }


class JsonFormatter(logging.Formatter):
    """Writes one JSON object a line; the fields of the access log become its members."""

    def format(self, record: logging.LogRecord) -> str:
        """Return ``record`` as JSON without line breaks."""
        line = {
            "time": f"{_date_time(int(record.created))}.{int(record.msecs):03}Z",
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
def _date_time(seconds: int) -> str:
    """Return a Unix time in RFC 3339's format, without fraction and time zone.

    Cached, because most lines are written in the same second as the line before.
    """
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
