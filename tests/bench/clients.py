"""Clients of a server in processes of their own: one process asks no more than its one CPU can.

    python -m tests.bench.clients URL ACCEPT CONNECTIONS START SECONDS

begins at the Unix time START and prints how many requests were answered, and until when.
"""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent.parent
_AWAKE = 2.0
"""Seconds until all processes have begun."""


def load(url: str, accept: str, processes: int, connections: int, seconds: float) -> float:
    """Requests a second that are answered to so many processes with so many connections each."""
    start = time.time() + _AWAKE
    told = [url, accept, str(connections), str(start), str(seconds)]
    command = [sys.executable, "-m", "tests.bench.clients", *told]
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
