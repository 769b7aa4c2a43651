"""The server with an engine that fails or hangs on demand.

    python -m tests.process.faults.broken FOLDER [flags of the server]

A file ``fail`` in FOLDER makes every batch fail; a file ``stall`` makes every batch hang. While
there is a file ``hold``, the watchdog reports an engine that hangs, but does not end the process.
"""

import sys
import time
from pathlib import Path

from app.__main__ import main
from app.runtime.engine import Engine
from app.server.watchdog import Watchdog

FOLDER = Path(sys.argv[1])
_compute, _check = Engine.__call__, Watchdog.check


def _broken(engine: Engine, rows: object) -> object:
    if (FOLDER / "fail").exists():
        raise RuntimeError("device lost at 0xdeadbeef")
    while (FOLDER / "stall").exists():
        time.sleep(0.01)
    return _compute(engine, rows)


def _held(watchdog: Watchdog) -> None:
    if not (watchdog.reason and (FOLDER / "hold").exists()):
        _check(watchdog)


# A worker imports this module before it creates its application.
Engine.__call__, Watchdog.check = _broken, _held

if __name__ == "__main__":
    sys.exit(main(sys.argv[2:]))
