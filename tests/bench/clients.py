"""Clients of a server in several processes, since one process is limited to one CPU.

    python -m tests.bench.clients URL ACCEPT CONNECTIONS START SECONDS

starts at the Unix time START, and prints the number of answers and the time of the last one.
"""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent.parent
_AWAKE = 2.0
"""Seconds until all processes have started."""


def load(url: str, accept: str, processes: int, connections: int, seconds: float) -> float:
    """Answered requests per second, for ``processes`` with ``connections`` each."""
    start = time.time() + _AWAKE
    arguments = [url, accept, str(connections), str(start), str(seconds)]
    command = [sys.executable, "-m", "tests.bench.clients", *arguments]
    running = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    found = [client.communicate()[0].split() for client in running]
    return sum(int(answered) for answered, _ in found) / (
        max(float(end) for _, end in found) - start
    )


def main(url: str, accept: str, connections: str, start: str, seconds: str) -> None:
    end = float(start) + float(seconds)

    def ask(_: int) -> int:
        done = 0
        with httpx.Client(headers={"Accept": accept}, timeout=60) as client:
            time.sleep(max(0.0, float(start) - time.time()))
            while time.time() < end:
                client.post(url).raise_for_status()
                done += 1
        return done

    with ThreadPoolExecutor(int(connections)) as threads:
        answered = sum(threads.map(ask, range(int(connections))))
    print(answered, time.time())


if __name__ == "__main__":
    main(*sys.argv[1:])
