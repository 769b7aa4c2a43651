"""``python -m app``: flags and environment to settings, then uvicorn, or files of images."""

import signal
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from app.rendering.options import RenderSettings
from app.settings import PREFIX, Settings, unknown_variables

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

_Told = TypeVar("_Told", Settings, RenderSettings)

_SECRET = ("api_keys", "admin_keys")
_NO_ENGINE = """\
onnxruntime is not installed. It comes in builds that exclude each other; choose one:
  pip install '.[cpu]'               for any machine
  pip install '.[openvino]'          for an Intel CPU with bfloat16 units
  pip install '.[openvino-build]'    for another CPU with them
  pip install '.[gpu]'               for an NVIDIA GPU with CUDA"""


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop, or render: 0 when that is done, 2 for a wrong call, else 1."""
    arguments = sys.argv[1:] if arguments is None else arguments
    told: RenderSettings | Settings | None
    if arguments[:1] == ["render"]:
        told = _told(RenderSettings, arguments[1:])
    else:
        told = _told(Settings, arguments)
    if told is None:
        return 2
    if find_spec("onnxruntime") is None:
        print(_NO_ENGINE, file=sys.stderr)
        return 1
    if isinstance(told, RenderSettings):
        return _render(told)
    return _serve(told) if told.workers == 1 else _supervise(told)


def _told(kind: type[_Told], arguments: list[str]) -> _Told | None:
    unknown = unknown_variables()
    try:
        settings = kind(_cli_parse_args=arguments)
    except ValidationError as error:
        _tell(error)
        return None
    if unknown:
        known = ", ".join(PREFIX + name.upper() for name in Settings.model_fields)
        print(f"error: {', '.join(unknown)}: no such setting; there is {known}", file=sys.stderr)
        return None
    return settings


def _tell(error: ValidationError) -> None:
    for problem in error.errors():
        name = ".".join(map(str, problem["loc"])) or "settings"
        value = problem["input"]
        # A key is told to nobody; other values that are no single one are long.
        single = isinstance(value, str | int | float) and not name.startswith(_SECRET)
        given = f", not {value!r}" if single else ""
        print(f"error: {name}: {problem['msg']}{given}", file=sys.stderr)


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


def _render(options: RenderSettings) -> int:
    from app.errors import AppError, StartupError
    from app.rendering.outputs import OutputError
    from app.rendering.render import render

    try:
        there = render(options)
    except (AppError, OutputError, StartupError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ValidationError as error:  # a variable that the server would not start with either
        _tell(error)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on", file=sys.stderr)
        return 130
    print(f"{options.out}: {there.count} images of {there.model}/{there.version}")
    return 0


def _supervise(settings: Settings) -> int:
    from app.registry.reload_log import Orders
    from app.server import workers

    with TemporaryDirectory(prefix="dcgan-") as folder:
        shared = Path(folder)
        config = _config(settings, workers.factory(settings, shared))
        return workers.supervise(config, Orders(shared / "orders"))


def _config(settings: Settings, create: "partial[FastAPI]") -> "uvicorn.Config":
    import uvicorn

    from app.observability import logs
    from app.server.protocol import Connection

    return uvicorn.Config(
        create,
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        http=Connection,
        ws="none",
        timeout_keep_alive=settings.keep_alive,
        server_header=False,
        access_log=False,  # app.middleware.access_log writes it, and knows more
        log_config=logs.config(settings),
    )


if __name__ == "__main__":
    sys.exit(main())
