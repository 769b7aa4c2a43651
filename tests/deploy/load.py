"""Clients that send requests without pause, until standard input or the last server ends.

A program without dependencies, for a container: ``python load.py ADDRESS [CLIENTS [TRIES]]``. It
prints "begun" once every client has received a response, and at the end one line of JSON.
"""

import http.client
import json
import sys
import threading
from collections import Counter
from urllib.parse import urlsplit


class Clients:
    def __init__(self, address: str, clients: int, tries: int) -> None:
        self.where, self.tries = urlsplit(address), tries
        self.stop = threading.Event()
        self.begun = threading.Barrier(clients + 1)
        self.found: Counter[str] = Counter()
        self.failures: list[str] = []
        self.lock = threading.Lock()

    def ask(self) -> str:
        """Send a request. Return answered, busy (503), refused (no server listens) or an error."""
        host = self.where.hostname or ""
        connection = http.client.HTTPConnection(host, self.where.port, timeout=30)
        try:
            connection.connect()
        except OSError:
            return "refused"
        try:
            connection.request("POST", "/generate?n=2", headers={"Connection": "close"})
            response = connection.getresponse()
            content = response.read()
            if response.status == 503:
                return "busy"
            if response.status != 200:
                return f"{response.status} {content[:200]!r}"
            return "answered" if len(json.loads(content)["images"]) == 2 else "short"
        except (OSError, http.client.HTTPException, ValueError) as error:
            return repr(error)
        finally:
            connection.close()

    def ask_repeatedly(self) -> str:
        """Send a request until it is answered, at most ``tries`` times; return the last outcome."""
        for _ in range(self.tries):
            outcome = self.ask()
            if outcome == "answered":
                break
            self.found["tries"] += 1
        return outcome

    def client(self) -> None:
        first = True
        while not self.stop.is_set():
            outcome = self.ask_repeatedly()
            known = outcome in {"answered", "refused", "busy"}
            with self.lock:
                self.found[outcome if known else "failed"] += 1
                if not known:
                    self.failures.append(outcome)
            if first:
                first = False
                self.begun.wait()
            if outcome == "refused":
                return


def main(address: str, clients: str = "8", tries: str = "1") -> None:
    group = Clients(address, int(clients), int(tries))
    threads = [threading.Thread(target=group.client) for _ in range(int(clients))]
    for thread in threads:
        thread.start()
    group.begun.wait(60)
    print("begun", flush=True)
    sys.stdin.read()
    group.stop.set()
    for thread in threads:
        thread.join()
    print(json.dumps({**group.found, "failures": group.failures[:5]}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
