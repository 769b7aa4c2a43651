"""Reloads under load: ``python -m tests.process.faults.reload``.

Eight connections send requests all the time, and the pixels of each response must be those of the
version that it names. Meanwhile valid and damaged versions are published, old ones are removed, and
the server is asked to reload, in turn through its API and by SIGHUP.
"""

import argparse
import asyncio
import base64
import io
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
from PIL import Image

from tests.process.faults.figures import keep
from tests.process.faults.server import Server, started
from tests.versions import WIDTH, publish

KEY = "the-administrators-key"
MODEL = "cats"
CONNECTIONS = 8
TIMES = 20
PATIENCE = 60
DAMAGES = {
    "no model file": lambda folder: (folder / "generator.onnx").write_bytes(b"no graph"),
    "no card": lambda folder: (folder / "card.json").unlink(),
    "half a card": lambda folder: (folder / "card.json").write_text('{"name": "cats"'),
}


@dataclass
class Tally:
    """The responses of all clients."""

    requests: int = 0
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    versions: set[int] = field(default_factory=set)

    def add(self, seconds: float, version: int, pixels: np.ndarray) -> None:
        """Count a response, and check its pixels."""
        self.requests += 1
        self.slowest = max(self.slowest, seconds)
        self.versions.add(version)
        if not (pixels == version).all():
            self.failures.append(f"{MODEL}/{version} returned pixels {np.unique(pixels)}")


def _decoded(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


async def _json(client: httpx.AsyncClient) -> tuple[int, np.ndarray]:
    answer = await client.post(f"/generate?n=3&model={MODEL}")
    content = answer.raise_for_status().json()
    images = [_decoded(base64.b64decode(one["png"])) for one in content["images"]]
    assert len(images) == 3
    return int(content["version"]), np.stack(images)


async def _sheet(client: httpx.AsyncClient) -> tuple[int, np.ndarray]:
    answer = await client.get(f"/grid?rows=4&cols=4&seed=1&padding=0&model={MODEL}")
    content = answer.raise_for_status().content
    return int(answer.headers["X-Model"].split("/")[1]), _decoded(content)


async def _tensors(client: httpx.AsyncClient) -> tuple[int, np.ndarray]:
    rows = [[0.5] * WIDTH] * 5
    sent = {"name": "latents", "shape": [5, WIDTH], "datatype": "FP32", "data": rows}
    answer = await client.post(f"/v2/models/{MODEL}/infer", json={"inputs": [sent]})
    content = answer.raise_for_status().json()
    (output,) = content["outputs"]
    assert output["shape"] == [5, 2, 2, 1]
    return int(content["model_version"]), np.array(output["data"])


def _client(address: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {KEY}"}
    return httpx.AsyncClient(base_url=address, headers=headers, timeout=PATIENCE)


async def _send(address: str, tally: Tally, stop: asyncio.Event) -> None:
    kinds = (_json, _sheet, _tensors)
    async with _client(address) as client:
        while not stop.is_set():
            began = time.perf_counter()
            try:
                version, pixels = await kinds[tally.requests % 3](client)
            except (httpx.HTTPError, AssertionError) as error:
                tally.failures.append(repr(error))
                await asyncio.sleep(0.1)
            else:
                tally.add(time.perf_counter() - began, version, pixels)


class Administrator:
    """Publishes versions, and requests reloads, in turn through the API and by SIGHUP."""

    def __init__(self, client: httpx.AsyncClient, process: int, models: Path) -> None:
        self._client = client
        self._process, self._models, self._turn = process, models, 0

    async def publish_valid(self, version: int) -> None:
        """Publish a valid version, remove the version before the last, and reload."""
        publish(self._models, MODEL, version)
        shutil.rmtree(self._models / MODEL / str(version - 2), ignore_errors=True)
        await self._reload(200, f"{MODEL}/{version}", lambda state, _: state == "READY")

    async def publish_damaged(self, version: int, damage: str) -> str:
        """Publish a damaged version and reload; returns the reason of the refusal."""
        folder = publish(self._models, MODEL, version)
        DAMAGES[damage](folder)
        reason = await self._reload(409, f"{MODEL}/{version}", lambda _, reason: bool(reason))
        shutil.rmtree(folder)
        return reason

    async def _reload(self, status: int, folder: str, done: Callable[[str, str], bool]) -> str:
        """Reload, and wait until ``done`` holds for state and reason of ``folder`` in the index."""
        self._turn += 1
        if self._turn % 2:
            answer = await self._client.post(f"/v2/repository/models/{MODEL}/load")
            assert answer.status_code == status, answer.text
        else:
            os.kill(self._process, signal.SIGHUP)
        async with asyncio.timeout(PATIENCE):
            while True:
                for one in (await self._client.post("/v2/repository/index")).json():
                    found = f"{one['name']}/{one['version']}"
                    if found == folder and done(one["state"], one["reason"]):
                        return str(one["reason"])
                await asyncio.sleep(0.05)


async def reload(server: Server, models: Path, numbers: range) -> Tally:
    """Publish valid versions ``numbers``, and as many damaged ones, under load."""
    tally, stop = Tally(), asyncio.Event()
    address = f"http://127.0.0.1:{server.port}"
    async with _client(address) as client, asyncio.TaskGroup() as group:
        administrator = Administrator(client, server.process.pid, models)
        for _ in range(CONNECTIONS):
            group.create_task(_send(address, tally, stop))
        try:
            for number in numbers:
                await administrator.publish_damaged(
                    100 + number, list(DAMAGES)[number % len(DAMAGES)]
                )
                await administrator.publish_valid(number)
                async with asyncio.timeout(PATIENCE):
                    while number not in tally.versions:  # noqa: ASYNC110 # requests add to it
                        await asyncio.sleep(0.01)
            seen = tally.requests
            async with asyncio.timeout(PATIENCE):
                while tally.requests < seen + 10 * CONNECTIONS:  # noqa: ASYNC110 # as above
                    await asyncio.sleep(0.01)
        finally:
            stop.set()
    return tally


def run(times: int, workers: int) -> tuple[Tally, int, int]:
    """Run a server under load; returns the tally, and its memory in bytes before and after."""
    with TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        publish(models, MODEL, 1)
        flags = ("--models", str(models), "--workers", str(workers), "--admin-keys", KEY)
        flags += ("--keep-alive", str(PATIENCE))  # no client sends while its connection is closed
        with started(*flags, "--provider", "cpu") as server:
            asyncio.run(reload(server, models, range(2, 4)))  # memory settles
            before = server.resident()
            tally = asyncio.run(reload(server, models, range(4, 4 + times)))
            after = server.resident()
            server.process.terminate()
            assert server.ends() == 0, server.output
            return tally, before, after


def main() -> None:
    """Measure, and write the figures into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=TIMES)
    times = parser.parse_args().times
    text = f"""\
{times} good and {times} bad versions of a small generator, loaded alternately through the API and
by SIGHUP, under {CONNECTIONS} connections. `python -m tests.process.faults.reload`

| workers | requests | failed | versions that served | slowest response | memory before | after |
| --- | --- | --- | --- | --- | --- | --- |
"""
    for workers in (1, 2):
        tally, before, after = run(times, workers)
        sys.stderr.write("".join(f"{failure}\n" for failure in tally.failures[:10]))
        text += (
            f"| {workers} | {tally.requests:,} | {len(tally.failures)} | {len(tally.versions)} "
            f"| {1000 * tally.slowest:.0f} ms | {before / 1e6:.0f} MB | {after / 1e6:.0f} MB |\n"
        )
    sys.stdout.write(text)
    keep("Reload under load", text)


if __name__ == "__main__":
    main()
