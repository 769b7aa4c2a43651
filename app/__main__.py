"""``python -m app``: reads flags and environment, then serves, renders, pulls or pushes."""

import argparse
import logging
import math
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError
from pydantic_settings import CliSettingsSource

from app import __version__
from app.exchange.options import PullSettings, PushSettings
from app.rendering.options import RenderSettings
from app.settings import PREFIX, Settings, unknown_variables

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from app.registry.trial_client import TrialProcess

_Options = TypeVar("_Options", Settings, RenderSettings, PullSettings, PushSettings)

# An address may contain a password by mistake; its errors show it without.
_SECRET = ("api_keys", "admin_keys", "source", "target")
_NO_ONNXRUNTIME = """\
onnxruntime is not installed. Its builds exclude each other; install one of them:
  pip install '.[cpu]'               any machine
  pip install '.[openvino]'          an Intel CPU with bfloat16 units
  pip install '.[openvino-build]'    another CPU with bfloat16 units
  pip install '.[gpu]'               an NVIDIA GPU with CUDA"""


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal stops the server, or do what another command says.

    Returns the exit status: 0 on success, 2 for invalid arguments, 128 and the number of the signal
    that interrupted another command, 1 for other failures.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments == ["--version"]:
        print(f"python -m app {__version__}")
        return 0
    command = {"render": render, "pull": pull, "push": push}.get("".join(arguments[:1]))
    if command:
        return command(arguments[1:], f"python -m app {arguments[0]}")
    return serve(arguments, "python -m app")


def serve(arguments: list[str], program: str) -> int:
    """Serve until a signal stops the server; returns the exit status.

    ``program`` is how the user calls it, for the help.
    """
    return _run(Settings, arguments, program, _listen)


def render(arguments: list[str], program: str) -> int:
    """Write generated images into files; returns the exit status. ``program`` as in ``serve``."""
    return _run(RenderSettings, arguments, program, _render)


def pull(arguments: list[str], program: str) -> int:
    """Copy a version into the models folder; returns the exit status. ``program`` as above."""
    return _run(PullSettings, arguments, program, _pull)


def push(arguments: list[str], program: str) -> int:
    """Copy a version to elsewhere; returns the exit status. ``program`` as above."""
    return _run(PushSettings, arguments, program, _push)


def _run(
    kind: type[_Options], arguments: list[str], program: str, action: Callable[[_Options], int]
) -> int:
    _open_standard_streams()
    options = _parse(kind, arguments, program)
    if options is None:
        return 2
    if find_spec("onnxruntime") is None:
        print(_NO_ONNXRUNTIME, file=sys.stderr)
        return 1
    return action(options)


def _open_standard_streams() -> None:
    """Open the null device for each standard stream that was closed before the process started.

    Otherwise the next file or socket would get its number, and what libraries write there.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode)  # noqa: SIM115 # it stays open
            os.set_inheritable(stream.fileno(), True)  # for workers
            setattr(sys, name, stream)


def _parse(kind: type[_Options], arguments: list[str], program: str) -> _Options | None:
    """The options from flags and environment; None, with the errors printed, if any is invalid."""
    unknown = unknown_variables()
    try:
        source = CliSettingsSource[Any](
            kind,
            cli_parse_args=arguments,
            cli_prog_name=program,
            case_sensitive=False,
            add_argument_method=_add_argument,
        )
        options = kind(_cli_settings_source=source)
    except ValidationError as error:
        _print_errors(error)
        return None
    if unknown:
        known = ", ".join(PREFIX + name.upper() for name in Settings.model_fields)
        print(f"error: {', '.join(unknown)}: no such setting; known: {known}", file=sys.stderr)
        return None
    return options


def _add_argument(
    parser: argparse.ArgumentParser,
    *names: str,
    **options: Any,  # noqa: ANN401 # those of argparse
) -> argparse.Action:
    """Add an argument to ``parser``, without Python's types and values in its help.

    A flag is followed by its own name, as in ``--port PORT``, or by the values that it may have.
    """
    metavar = options.pop("metavar", "")
    if metavar == "bool":
        metavar = "{true,false}"
    if metavar.startswith("{") or not names[0].startswith("-"):
        options["metavar"] = metavar
    text = options["help"]
    for value, written in (("()", "empty"), ("True", "true"), ("False", "false")):
        text = text.replace(f"(default: {value})", f"(default: {written})")
    options["help"] = text.removesuffix(" (default: none)") if "; default: " in text else text
    return parser.add_argument(*names, **options)


def _print_errors(error: ValidationError) -> None:
    for problem in error.errors():
        name = ".".join(map(str, problem["loc"])) or "settings"
        if problem["type"] == "missing":
            print(f"error: --{name.replace('_', '-')} is required", file=sys.stderr)
            continue
        value = problem["input"]
        # Never print a key, nor a collection, which may be long or contain keys.
        printable = isinstance(value, str | int | float) and not name.startswith(_SECRET)
        received = f", not {value!r}" if printable else ""
        message = problem["msg"].removeprefix("Value error, ")
        print(f"error: {name}: {message}{received}", file=sys.stderr)


def _listen(settings: Settings) -> int:
    """Serve at the address of ``settings``, which is bound before anything else starts."""
    # Until uvicorn's handler replaces this one: process 1 of a container would ignore the signal.
    # After a graceful shutdown uvicorn raises the signal again, which is no failure here.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    from app.artifact import models_folder
    from app.errors import StartupError
    from app.server import listeners

    if reason := models_folder.misplaced(settings.models):
        print(f"error: {reason}", file=sys.stderr)
        return 1
    if advice := models_folder.missing(settings.models):
        print(f"warning: {advice}", file=sys.stderr)  # it may be made and loaded later
    try:
        with listeners.bound(settings) as sockets:
            serve = _serve if settings.workers == 1 else _supervise
            return serve(settings, sockets)
    except StartupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _serve(settings: Settings, sockets: list[socket.socket]) -> int:
    trial_process = _trial_process(settings)

    from app.main import START_SECONDS, Start, create_app
    from app.server.single_process import Server

    start = Start(START_SECONDS, _exit_with_failure, trial_process)
    create = partial(create_app, settings, start=start)
    try:
        Server(_config(settings, create), settings).run(sockets)
    except KeyboardInterrupt:
        return 0
    return 0


def _trial_process(settings: Settings) -> "TrialProcess | None":
    """A process for trials of versions, which starts while this one imports its modules."""
    from app.registry.trial_client import TrialProcess, TrialProcessError

    # With a state folder, all versions have probably passed before.
    if settings.state_folder or not (settings.load_timeout or settings.load_memory):
        return None
    try:
        return TrialProcess()
    except TrialProcessError:
        return None  # the first trial reports it


def _exit_with_failure(error: Exception) -> None:
    """End the process, which already listens but can serve no model."""
    print(f"error: {error}", file=sys.stderr, flush=True)
    logging.shutdown()
    os._exit(1)


def _render(options: RenderSettings) -> int:
    from app.artifact import models_folder
    from app.errors import AppError
    from app.rendering.outputs import OutputError
    from app.rendering.render import render

    if advice := models_folder.missing(options.models):
        print(f"error: {advice}", file=sys.stderr)
        return 1

    def rendered() -> Iterator[str]:
        made = render(options)
        yield f"{options.out}: {made.count} images of {made.model}/{made.version}"

    advice = "; run the same command again to continue"
    return _reported(rendered, (AppError, OutputError), advice)


def _pull(options: PullSettings) -> int:
    from app.exchange.pull import pull
    from app.exchange.store import ExchangeError

    return _reported(lambda: pull(options).lines(), (ExchangeError,))


def _push(options: PushSettings) -> int:
    from app.exchange.push import push
    from app.exchange.store import ExchangeError

    def pushed() -> Iterator[str]:
        for address, size in push(options).items():
            yield f"{address}: {size:,} bytes"

    return _reported(pushed, (ExchangeError,))


def _reported(
    action: Callable[[], Iterable[str]], errors: tuple[type[Exception], ...], advice: str = ""
) -> int:
    """Print the lines that ``action`` returns, or its error; returns the exit status.

    ``errors`` are reported by their text alone; ``advice`` is said where it is interrupted.
    """
    from app.errors import StartupError

    known: tuple[type[Exception], ...] = (*errors, StartupError, OSError)
    try:
        with _interrupted_by_signals():
            for line in action():
                print(line)
    except known as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ValidationError as error:  # an environment variable that is invalid for the server
        _print_errors(error)
        return 2
    except KeyboardInterrupt as error:
        print(f"\ninterrupted{advice}", file=sys.stderr)
        return 128 + int(next(iter(error.args), signal.SIGINT))
    return 0


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP do what SIGINT does, so that unfinished files are removed."""

    def interrupt(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # `timeout` sends it twice
        raise KeyboardInterrupt(number)

    numbers = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]  # no HUP on Windows
    before = {one: signal.getsignal(one) for one in numbers if one}
    # A signal that the caller ignores, as nohup does, stays ignored.
    caught = {one: handler for one, handler in before.items() if handler != signal.SIG_IGN}
    for number in caught:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in caught.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _supervise(settings: Settings, sockets: list[socket.socket]) -> int:
    from app.registry.reload_log import ReloadLog, ReloadOrder
    from app.runtime.cpus import available
    from app.server import listeners, workers

    with workers.shared_folder() as shared:
        own = workers.worker_settings(settings, available())
        create = workers.worker_factory("app.main:create_worker_app", own, shared)
        log = ReloadLog(shared / "orders")
        config = _config(settings, create)
        where = listeners.address(settings, sockets)
        return workers.supervise(config, sockets, where, lambda: log.append(ReloadOrder()))


def _config(settings: Settings, create: "partial[FastAPI]") -> "uvicorn.Config":
    import uvicorn

    from app.observability import logs
    from app.server.protocol import HttpConnection

    return uvicorn.Config(
        create,
        factory=True,
        workers=settings.workers,
        http=HttpConnection,
        ws="none",
        timeout_keep_alive=settings.keep_alive,
        # From the shutdown on: for the computation of the last response, and for reading it.
        timeout_graceful_shutdown=math.ceil(settings.timeout + settings.patience),
        # A thread of each worker answers the supervisor, so that only a thread which keeps Python's
        # lock can delay it. That is as bad as an engine that stalls, and ends as late.
        timeout_worker_healthcheck=math.ceil(2 * settings.stalled),
        server_header=False,
        proxy_headers=False,  # app.middleware.proxy_headers accepts nothing but IP addresses
        access_log=False,  # app.middleware.access_log writes a more detailed one
        log_config=logs.config(settings),
    )


if __name__ == "__main__":
    sys.exit(main())
