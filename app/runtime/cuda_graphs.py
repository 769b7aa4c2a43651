"""Batches in buffers of a few fixed sizes, as CUDA graphs want them.

A CUDA graph replays what it captured: the same kernels on the same addresses. So every bucket has
buffers on the device that stay, and a batch is filled up to the smallest bucket that holds it
(onnxruntime, "CUDA Execution Provider", "Using CUDA Graphs"; ``gpu_graph_id`` tells them apart).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort

from app.artifact.card import INPUT, OUTPUT
from app.imaging.sheets import Pixels
from app.latent.sampling import Latents

_WARMING = 2
"""Runs before a bucket is in use: one allocates, one is captured."""


def sizes(largest: int) -> Iterator[int]:
    """Powers of two, and ``largest``: no batch is filled up to twice its length."""
    size = 1
    while size < largest:
        yield size
        size *= 2
    yield largest


@dataclass(frozen=True)
class _Bucket:
    latents: ort.OrtValue
    pixels: ort.OrtValue
    binding: ort.IOBinding
    options: ort.RunOptions


class Buckets:
    """A session whose inputs and outputs stay on its device."""

    def __init__(
        self,
        session: ort.InferenceSession,
        width: int,
        image_shape: tuple[int, int, int],
        largest: int,
        device: str = "cuda",
    ) -> None:
        """Buckets for up to ``largest`` latents of ``width``, each warmed up.

        ``image_shape`` is (height, width, channels).
        """
        self._session, self._largest = session, largest
        self._buckets = {
            size: self._bucket(number, (size, width), (size, *image_shape), device)
            for number, size in enumerate(sizes(largest), 1)
        }
        for size, bucket in self._buckets.items():
            for _ in range(_WARMING):
                self._run(bucket, np.zeros((size, width), np.float32))

    def __call__(self, latents: Latents) -> Pixels:
        """Latents float32 ``(n, width)``, n ≥ 1, to uint8 ``(n, height, width, channels)``."""
        parts = [
            self._part(latents[k : k + self._largest])
            for k in range(0, len(latents), self._largest)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _part(self, latents: Latents) -> Pixels:
        count = len(latents)
        size = next(size for size in self._buckets if size >= count)
        filled = np.zeros((size, *latents.shape[1:]), np.float32)
        filled[:count] = latents
        # A copy: on some devices it is the buffer itself, which is the next batch's, too.
        return self._run(self._buckets[size], filled)[:count].copy()

    def _run(self, bucket: _Bucket, latents: Latents) -> Pixels:
        bucket.latents.update_inplace(latents)
        self._session.run_with_iobinding(bucket.binding, bucket.options)
        pixels: Pixels = bucket.pixels.numpy()
        return pixels

    def _bucket(
        self, number: int, taken: tuple[int, ...], given: tuple[int, ...], device: str
    ) -> _Bucket:
        latents = ort.OrtValue.ortvalue_from_shape_and_type(taken, np.float32, device)
        pixels = ort.OrtValue.ortvalue_from_shape_and_type(given, np.uint8, device)
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(INPUT, latents)
        binding.bind_ortvalue_output(OUTPUT, pixels)
        options = ort.RunOptions()
        options.add_run_config_entry("gpu_graph_id", str(number))
        return _Bucket(latents, pixels, binding, options)
