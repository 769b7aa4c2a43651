"""Batches in device buffers of a few fixed sizes, which CUDA graphs require.

A CUDA graph replays what was captured: the same kernels on the same addresses. Each batch size
therefore has buffers that stay on the device, and a batch is padded to the next larger size
(onnxruntime, "CUDA Execution Provider", "Using CUDA Graphs"; ``gpu_graph_id`` selects the graph).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort

from app.artifact.card import INPUT, OUTPUT
from app.imaging.sheets import Pixels
from app.runtime.arrays import Latents

_WARM_UP_RUNS = 2
"""The first run allocates memory, the second is captured."""


def bucket_sizes(largest: int) -> Iterator[int]:
    """Powers of two up to ``largest``, and ``largest``: padding never doubles a batch."""
    size = 1
    while size < largest:
        yield size
        size *= 2
    yield largest


@dataclass(frozen=True)
class _Bucket:
    """The buffers of one batch size."""

    latents: ort.OrtValue
    pixels: ort.OrtValue
    binding: ort.IOBinding
    options: ort.RunOptions


class CudaGraphs:
    """Runs a session with inputs and outputs that stay on its device.

    The session's own options decide whether the runs are captured as CUDA graphs.
    """

    def __init__(
        self,
        session: ort.InferenceSession,
        width: int,
        image_shape: tuple[int, int, int],
        largest: int,
        device: str = "cuda",
    ) -> None:
        """Allocate and warm up buffers for batches of up to ``largest`` latents of ``width``.

        ``image_shape`` is (height, width, channels).
        """
        self._session, self._largest = session, largest
        self._buckets = {
            size: self._bucket(number, (size, width), (size, *image_shape), device)
            for number, size in enumerate(bucket_sizes(largest), 1)
        }
        for size, bucket in self._buckets.items():
            for _ in range(_WARM_UP_RUNS):
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
        padded = np.zeros((size, *latents.shape[1:]), np.float32)
        padded[:count] = latents
        # Copied, because on some devices this is the buffer itself, which the next batch reuses.
        return self._run(self._buckets[size], padded)[:count].copy()

    def _run(self, bucket: _Bucket, latents: Latents) -> Pixels:
        bucket.latents.update_inplace(latents)
        self._session.run_with_iobinding(bucket.binding, bucket.options)
        pixels: Pixels = bucket.pixels.numpy()
        return pixels

    def _bucket(
        self,
        number: int,
        latents_shape: tuple[int, ...],
        pixels_shape: tuple[int, ...],
        device: str,
    ) -> _Bucket:
        latents = ort.OrtValue.ortvalue_from_shape_and_type(latents_shape, np.float32, device)
        pixels = ort.OrtValue.ortvalue_from_shape_and_type(pixels_shape, np.uint8, device)
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(INPUT, latents)
        binding.bind_ortvalue_output(OUTPUT, pixels)
        options = ort.RunOptions()
        options.add_run_config_entry("gpu_graph_id", str(number))
        return _Bucket(latents, pixels, binding, options)
