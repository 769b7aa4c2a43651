"""Random requests to every drawing endpoint, and checks of the pixels in their responses."""

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
from tests.process.faults.client import Response
from tests.process.faults.server import ROOT

Pixels = NDArray[np.uint8]
MODELS = ("fashion-mnist/2", "faces/1")


@dataclass
class Request:
    """A request, and how to check its response."""

    method: str
    path: str
    read: Callable[[bytes], Pixels]
    """Decodes a response body to images ``(n, h, w, c)``; raises if it is incomplete."""
    count: int
    rows: Callable[[], Latents] | None
    """Their latents; None where these are not simple to compute."""
    model: "Model"
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def check(self, answer: Response, sample: int = 0) -> int:
        """Check a response; returns how many images were compared. Raises AssertionError.

        ``sample`` images, evenly spaced, are compared with the model computed without the server.
        """
        assert answer.status == 200, (self.path, answer.status, answer.body[:300])
        pixels = self.read(answer.body)
        assert len(pixels) == self.count, (self.path, pixels.shape)
        if not (sample and self.rows):
            return 0
        places = np.linspace(0, self.count - 1, min(sample, self.count)).astype(int)
        expected = self.model.images(self.rows()[places])
        np.testing.assert_array_equal(pixels[places], expected, self.path)
        return len(places)


class Model:
    """A shipped model, computed without the server."""

    def __init__(self, title: str) -> None:
        self.title, (self.name, self.version) = title, title.split("/")
        folder = ROOT / "models" / title
        self.card = card.read(folder)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        path = folder / self.card.variant("cpu").file
        self._session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def latents(self, seeds: Sequence[int]) -> Latents:
        """The latents of seeds, as on the server."""
        return sampling.from_seeds(seeds, self.card.latent.width, self.card.latent.prior)

    def images(self, rows: Latents) -> Pixels:
        """The images of latents, computed one by one, unlike the server's batches."""
        run, name = self._session.run, self._session.get_inputs()[0].name
        return np.concatenate([run(None, {name: row[None]})[0] for row in rows])

    def query(self) -> str:
        """Its name and version as query parameters."""
        return f"model={self.name}&version={self.version}"


_model = cache(Model)


class Mix:
    """An endless random sequence of requests."""

    def __init__(self, seed: int, largest: int = 256) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._models = [_model(title) for title in MODELS]
        self._largest = largest
        self._kinds = (
            self._sheet,
            self._list,
            self._archive,
            self._image,
            self._path,
            self._grid,
            self._variations,
            self._arithmetic,
            self._tensors,
        )

    def next(self) -> Request:
        """A random request; nine of ten are for the smaller model."""
        model = self._random.choices(self._models, (9, 1))[0]
        return self._random.choice(self._kinds)(model)

    def _latents(self, model: Model, seed: int, n: int) -> Callable[[], Latents]:
        return lambda: model.latents(sampling.consecutive(seed, n))

    def _size(self) -> tuple[int, int]:
        """A random seed and number of images; small numbers are as likely as large ones."""
        return self._random.randrange(SEEDS), int(self._largest ** self._random.random())

    def _generate(
        self, model: Model, accept: str, read: Callable[[bytes, Model, int], Pixels]
    ) -> Request:
        seed, n = self._size()
        path = f"/generate?{model.query()}&n={n}&seed={seed}"
        reading = partial(read, model=model, n=n)
        latents = self._latents(model, seed, n)
        return Request("POST", path, reading, n, latents, model, headers={"Accept": accept})

    def _sheet(self, model: Model) -> Request:
        return self._generate(model, "image/png", _tiles)

    def _list(self, model: Model) -> Request:
        return self._generate(model, "application/json", lambda body, **_: _in_json(body))

    def _archive(self, model: Model) -> Request:
        return self._generate(model, "application/zip", lambda body, **_: _in_zip(body))

    def _image(self, model: Model) -> Request:
        seed, _ = self._size()
        path = f"/images/{model.title}/{seed}.png"
        return Request(
            "GET", path, lambda body: _png(body)[None], 1, self._latents(model, seed, 1), model
        )

    def _path(self, model: Model) -> Request:
        (one, n), (other, _) = self._size(), self._size()
        steps = max(2, n)
        path = f"/interpolate?{model.query()}&from={one}&to={other}&steps={steps}"

        def latents() -> Latents:
            start, end = model.latents([one, other])
            return sampling.interpolate(start, end, interpolation.fractions(steps))

        accept = {"Accept": "application/json"}
        return Request(
            "GET", path, partial(_in_json, key="frames"), steps, latents, model, headers=accept
        )

    def _grid(self, model: Model) -> Request:
        seed, n = self._size()
        cols = max(1, int(n**0.5))
        path = f"/grid?{model.query()}&rows={cols}&cols={cols}&seed={seed}"
        reading = partial(_tiles, model=model, n=cols * cols)
        return Request(
            "GET", path, reading, cols * cols, self._latents(model, seed, cols * cols), model
        )

    def _variations(self, model: Model) -> Request:
        seed, _ = self._size()
        path = f"/variations?{model.query()}&seed={seed}"
        return Request("GET", path, partial(_tiles, model=model, n=9), 9, None, model)

    def _arithmetic(self, model: Model) -> Request:
        seeds = [self._random.randrange(SEEDS) for _ in range(3)]
        fields = {"plus": [seeds], "model": model.name, "version": int(model.version)}
        body = json.dumps(fields).encode()
        return Request(
            "POST", "/arithmetic", partial(_tiles, model=model, n=9), 9, None, model, body
        )

    def _tensors(self, model: Model) -> Request:
        seed, _ = self._size()
        rows = model.latents([seed, (seed + 1) % SEEDS])
        tensor = {"name": "latents", "shape": list(rows.shape), "datatype": "FP32"}
        body = json.dumps({"inputs": [{**tensor, "data": rows.ravel().tolist()}]}).encode()
        path = f"/v2/models/{model.name}/versions/{model.version}/infer"
        return Request("POST", path, _tensor, 2, self._latents(model, seed, 2), model, body)


def _png(content: bytes) -> Pixels:
    with Image.open(io.BytesIO(content)) as image:
        pixels = np.asarray(image)
    return pixels.reshape(*pixels.shape[:2], -1)


def _tiles(body: bytes, model: Model, n: int) -> Pixels:
    """The images of a sheet, row by row."""
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
