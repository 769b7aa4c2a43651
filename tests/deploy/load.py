"""Clients that ask without a pause, until standard input ends or nobody answers any more.

Runs by itself in a container: ``python load.py ADDRESS [CLIENTS [TRIES]]``. Prints "begun" once
every client has had an answer, and at the end a line of JSON.
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
        """answered, refused (nobody listens any more) or what went wrong."""
        host = self.where.hostname or ""
        connection = http.client.HTTPConnection(host, self.where.port, timeout=30)
        try:
            connection.connect()
        except OSError:
            return "refused"
        try:
            connection.request("POST", "/generate?n=2", headers={"Connection": "close"})
            answer = connection.getresponse()
            content = answer.read()
            if answer.status == 503:
                return "busy"
            if answer.status != 200:
                return f"{answer.status} {content[:200]!r}"
            return "answered" if len(json.loads(content)["images"]) == 2 else "short"
        except (OSError, http.client.HTTPException, ValueError) as error:
            return repr(error)
        finally:
            connection.close()

    def asked(self) -> str:
        """The same, tried again where it went wrong."""
        for _ in range(self.tries):
            outcome = self.ask()
            if outcome == "answered":
                break
            self.found["tries"] += 1
        return outcome

    def client(self) -> None:
        first = True
        while not self.stop.is_set():
            outcome = self.asked()
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
    crowd = Clients(address, int(clients), int(tries))
    threads = [threading.Thread(target=crowd.client) for _ in range(int(clients))]
    for thread in threads:
        thread.start()
    crowd.begun.wait(60)
    print("begun", flush=True)
    sys.stdin.read()
    crowd.stop.set()
    for thread in threads:
        thread.join()
    print(json.dumps({**crowd.found, "failures": crowd.failures[:5]}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
