"""Requests of every kind, and what must come back: whole pictures, of the right pixels."""

import base64
import io
import json
import random
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from PIL import Image

from app.artifact import card
from app.latent import interpolation, sampling
from app.latent.sampling import SEEDS, Latents
from tests.process.faults.client import Answer
from tests.process.faults.server import ROOT

Pixels = NDArray[np.uint8]
MODELS = ("fashion-mnist/2", "faces/1")


@dataclass
class Request:
    """What is asked, and how its answer is read."""

    method: str
    path: str
    read: Callable[[bytes], Pixels]
    """The images ``(n, h, w, c)`` of an answer; raises where it is not whole."""
    count: int
    rows: Callable[[], Latents] | None
    """Their latents; None where that is no simple matter."""
    model: "Model"
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def check(self, answer: Answer, sample: int = 0) -> int:
        """How many images were compared; raises unless they are what was asked for.

        ``sample`` of them, evenly taken, are held against the model computed without the server.
        """
        assert answer.status == 200, (self.path, answer.status, answer.body[:300])
        pixels = self.read(answer.body)
        assert len(pixels) == self.count, (self.path, pixels.shape)
        if not (sample and self.rows):
            return 0
        places = np.linspace(0, self.count - 1, min(sample, self.count)).astype(int)
        expected = self.model.of(self.rows()[places])
        np.testing.assert_array_equal(pixels[places], expected, self.path)
        return len(places)


class Model:
    """One of the shipped models, computed without the server."""

    def __init__(self, title: str) -> None:
        self.title, (self.name, self.version) = title, title.split("/")
        folder = ROOT / "models" / title
        self.card = card.read(folder)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        path = folder / self.card.variant("cpu").file
        self._session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def latents(self, seeds: Sequence[int]) -> Latents:
        """As the server draws them."""
        return sampling.from_seeds(seeds, self.card.latent.width, self.card.latent.prior)

    def of(self, rows: Latents) -> Pixels:
        """Their images, one by one: no batch that the server computed."""
        run, name = self._session.run, self._session.get_inputs()[0].name
        return np.concatenate([run(None, {name: row[None]})[0] for row in rows])

    def query(self) -> str:
        """Its name and version."""
        return f"model={self.name}&version={self.version}"


_model = cache(Model)


class Mix:
    """An endless choice of requests."""

    def __init__(self, seed: int, largest: int = 256) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._models = [_model(title) for title in MODELS]
        self._largest = largest
        self._kinds = (
            self._sheet,
            self._each,
            self._archive,
            self._image,
            self._way,
            self._grid,
            self._around,
            self._sum,
            self._tensors,
        )

    def next(self) -> Request:
        """Any of them; the smaller model more often."""
        model = self._random.choices(self._models, (9, 1))[0]
        return self._random.choice(self._kinds)(model)

    def _drawn(self, model: Model, seed: int, n: int) -> Callable[[], Latents]:
        return lambda: model.latents(sampling.consecutive(seed, n))

    def _asked(self) -> tuple[int, int]:
        """A seed, and how many images: few as often as many."""
        return self._random.randrange(SEEDS), int(self._largest ** self._random.random())

    def _generate(
        self, model: Model, accept: str, read: Callable[[bytes, Model, int], Pixels]
    ) -> Request:
        seed, n = self._asked()
        path = f"/generate?{model.query()}&n={n}&seed={seed}"
        reading = partial(read, model=model, n=n)
        drawn = self._drawn(model, seed, n)
        return Request("POST", path, reading, n, drawn, model, headers={"Accept": accept})

    def _sheet(self, model: Model) -> Request:
        return self._generate(model, "image/png", _apart)

    def _each(self, model: Model) -> Request:
        return self._generate(model, "application/json", lambda body, **_: _in_json(body))

    def _archive(self, model: Model) -> Request:
        return self._generate(model, "application/zip", lambda body, **_: _in_zip(body))

    def _image(self, model: Model) -> Request:
        seed, _ = self._asked()
        path = f"/images/{model.title}/{seed}.png"
        return Request(
            "GET", path, lambda body: _png(body)[None], 1, self._drawn(model, seed, 1), model
        )

    def _way(self, model: Model) -> Request:
        (one, n), (other, _) = self._asked(), self._asked()
        steps = max(2, n)
        path = f"/interpolate?{model.query()}&from={one}&to={other}&steps={steps}"

        def between() -> Latents:
            start, end = model.latents([one, other])
            return sampling.interpolate(start, end, interpolation.fractions(steps))

        accept = {"Accept": "application/json"}
        return Request(
            "GET", path, partial(_in_json, key="frames"), steps, between, model, headers=accept
        )

    def _grid(self, model: Model) -> Request:
        seed, n = self._asked()
        cols = max(1, int(n**0.5))
        path = f"/grid?{model.query()}&rows={cols}&cols={cols}&seed={seed}"
        reading = partial(_apart, model=model, n=cols * cols)
        return Request(
            "GET", path, reading, cols * cols, self._drawn(model, seed, cols * cols), model
        )

    def _around(self, model: Model) -> Request:
        seed, _ = self._asked()
        path = f"/variations?{model.query()}&seed={seed}"
        return Request("GET", path, partial(_apart, model=model, n=9), 9, None, model)

    def _sum(self, model: Model) -> Request:
        seeds = [self._random.randrange(SEEDS) for _ in range(3)]
        told = {"plus": [seeds], "model": model.name, "version": int(model.version)}
        body = json.dumps(told).encode()
        return Request(
            "POST", "/arithmetic", partial(_apart, model=model, n=9), 9, None, model, body
        )

    def _tensors(self, model: Model) -> Request:
        seed, _ = self._asked()
        rows = model.latents([seed, (seed + 1) % SEEDS])
        tensor = {"name": "latents", "shape": list(rows.shape), "datatype": "FP32"}
        body = json.dumps({"inputs": [{**tensor, "data": rows.ravel().tolist()}]}).encode()
        path = f"/v2/models/{model.name}/versions/{model.version}/infer"
        return Request("POST", path, _tensor, 2, self._drawn(model, seed, 2), model, body)


def _png(content: bytes) -> Pixels:
    with Image.open(io.BytesIO(content)) as image:
        pixels = np.asarray(image)
    return pixels.reshape(*pixels.shape[:2], -1)


def _apart(body: bytes, model: Model, n: int) -> Pixels:
    """The images of a sheet."""
    sheet, image = _png(body), model.card.image
    rows, cols = sheet.shape[0] // image.height, sheet.shape[1] // image.width
    by_row = sheet.reshape(rows, image.height, cols, image.width, image.channels)
    return by_row.swapaxes(1, 2).reshape(-1, image.height, image.width, image.channels)[:n]


def _in_json(body: bytes, key: str = "images") -> Pixels:
    listed = json.loads(body)[key]
    return np.stack([_png(base64.b64decode(one["png"])) for one in listed])


def _in_zip(body: bytes) -> Pixels:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return np.stack([_png(archive.read(name)) for name in archive.namelist()])


def _tensor(body: bytes) -> Pixels:
    (output,) = json.loads(body)["outputs"]
    return np.array(output["data"], np.uint8).reshape(output["shape"])
