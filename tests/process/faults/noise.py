"""Random bodies for the Open Inference Protocol must never cause a server error.

    python -m tests.process.faults.noise [--times 100000] [--connections 8]

One third is random bytes; one third is a valid request with some bytes changed, repeated or
removed; one third has a binary part with random lengths. Every status must be 200, 4xx or 503.
"""

import argparse
import asyncio
import json
import random
from collections import Counter

from tests.process.faults.client import Client, LostError
from tests.process.faults.figures import keep
from tests.process.faults.server import started

PATH = "/v2/models/fashion-mnist/infer"
HEADER = "Inference-Header-Content-Length"
TENSOR = {"name": "latents", "shape": [1, 64], "datatype": "FP32"}


class Noise:
    """An endless random sequence of bodies."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311

    def next(self) -> tuple[bytes, dict[str, str]]:
        """A random body and its headers."""
        return self._random.choice((self._any, self._changed, self._binary))()

    def _any(self) -> tuple[bytes, dict[str, str]]:
        return self._random.randbytes(int(4000 ** self._random.random())), {}

    def _valid(self) -> bytearray:
        data = [self._random.gauss(0, 1) for _ in range(64)]
        return bytearray(json.dumps({"inputs": [{**TENSOR, "data": data}]}).encode())

    def _changed(self) -> tuple[bytes, dict[str, str]]:
        body = self._valid()
        for _ in range(self._random.randint(1, 8)):
            place = self._random.randrange(len(body))
            change = self._random.choice(("set", "cut", "double"))
            if change == "set":
                body[place] = self._random.randrange(256)
            elif change == "cut":
                del body[place : place + self._random.randint(1, 20)]
            else:
                body[place:place] = body[place : place + self._random.randint(1, 20)]
        return bytes(body), {}

    def _binary(self) -> tuple[bytes, dict[str, str]]:
        size = self._random.choice((256, 256, self._random.randrange(600)))
        tensor = {**TENSOR, "parameters": {"binary_data_size": size}}
        head = json.dumps({"inputs": [tensor]}).encode()
        length = self._random.choice((len(head), self._random.randrange(-5, 2 * len(head))))
        return head + self._random.randbytes(self._random.choice((256, size))), {
            HEADER: str(length)
        }


async def send_noise(port: int, times: int, connections: int) -> tuple[Counter[int], list[str]]:
    """Send ``times`` bodies; returns the counts of statuses, and descriptions of failures."""
    statuses: Counter[int] = Counter()
    wrong: list[str] = []
    left = iter(range(times))

    async def client(seed: int) -> None:
        noise, connection = Noise(seed), Client(port)
        for _ in left:
            body, headers = noise.next()
            try:
                answer = await connection.send("POST", PATH, body, **headers)
            except LostError as error:
                wrong.append(f"{error}: {body!r}")
                continue
            statuses[answer.status] += 1
            if answer.status >= 500 and answer.status != 503:
                wrong.append(f"{answer.status}: {headers} {body!r}")
            elif answer.status != 200:
                assert json.loads(answer.body)["error"]
        await connection.close()

    await asyncio.gather(*(client(seed) for seed in range(connections)))
    return statuses, wrong


def main() -> None:
    """Measure, and write the figures into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args()
    with started() as server:
        statuses, wrong = asyncio.run(send_noise(server.port, options.times, options.connections))
        assert "Traceback" not in server.output, server.output[-4000:]
    text = (
        "`python -m tests.process.faults.noise`: "
        f"{options.times:,} bodies, {dict(sorted(statuses.items()))}"
    )
    text += f" by status, {len(wrong)} without a response or with a server error."
    keep("Random bodies", "\n".join([text, *wrong[:10]]))


if __name__ == "__main__":
    main()
