"""``python -m app``: flags and environment to settings, then uvicorn."""

import signal
import sys
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pydantic import ValidationError

from app.settings import PREFIX, Settings, unknown_variables

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

_NO_ENGINE = """\
onnxruntime is not installed. It comes in two builds that exclude each other; choose one:
  pip install '.[cpu]'    for any machine
  pip install '.[gpu]'    for an NVIDIA GPU with CUDA"""


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop: 0 after a stop, 2 for a wrong call, else it could not start."""
    if (settings := _settings(sys.argv[1:] if arguments is None else arguments)) is None:
        return 2
    if find_spec("onnxruntime") is None:
        print(_NO_ENGINE, file=sys.stderr)
        return 1
    return _serve(settings) if settings.workers == 1 else _supervise(settings)


def _settings(arguments: list[str]) -> Settings | None:
    unknown = unknown_variables()
    try:
        settings = Settings(_cli_parse_args=arguments)
    except ValidationError as error:
        for problem in error.errors():
            name = ".".join(map(str, problem["loc"]))
            print(f"error: {name or 'settings'}: {problem['msg']}", file=sys.stderr)
        return None
    if unknown:
        known = ", ".join(PREFIX + name.upper() for name in Settings.model_fields)
        print(f"error: {', '.join(unknown)}: no such setting; there is {known}", file=sys.stderr)
        return None
    return settings


def _serve(settings: Settings) -> int:
    import uvicorn

    from app.errors import StartupError
    from app.main import create_app

    try:
        # uvicorn stops gracefully and then raises its signal again: a stop is not a failure.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        uvicorn.Server(_config(settings, partial(create_app, settings))).run()
    except StartupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _supervise(settings: Settings) -> int:
    from app import workers

    return workers.supervise(_config(settings, workers.factory(settings)))


def _config(settings: Settings, create: "partial[FastAPI]") -> "uvicorn.Config":
    import uvicorn
    from uvicorn.config import LOGGING_CONFIG

    loggers = {**LOGGING_CONFIG["loggers"], "app": {"handlers": ["default"], "level": "INFO"}}
    return uvicorn.Config(
        create,
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        server_header=False,
        access_log=settings.access_log,
        log_config={**LOGGING_CONFIG, "loggers": loggers},
    )


if __name__ == "__main__":
    sys.exit(main())
