"""Batches in device buffers of a few fixed sizes, which CUDA graphs require.

A CUDA graph replays what was captured: the same kernels on the same addresses. Each batch size
therefore has buffers that stay on the device, and a batch is padded to the next larger size
(onnxruntime, "CUDA Execution Provider", "Using CUDA Graphs"; ``gpu_graph_id`` selects the graph).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort

from app.artifact.card import OUTPUT
from app.imaging.sheets import Pixels
from app.runtime import arrays
from app.runtime.arrays import GraphInputs

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

    inputs: Mapping[str, ort.OrtValue]
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
        widths: Mapping[str, int],
        image_shape: tuple[int, int, int],
        largest: int,
        device: str = "cuda",
    ) -> None:
        """Allocate and warm up buffers for batches of up to ``largest`` images.

        ``widths`` are those of the graph's inputs, float32 ``(n, width)``; ``image_shape`` is
        (height, width, channels).
        """
        self._session, self._widths, self._largest = session, widths, largest
        self._buckets = {
            size: self._bucket(number, size, (size, *image_shape), device)
            for number, size in enumerate(bucket_sizes(largest), 1)
        }
        for size, bucket in self._buckets.items():
            for _ in range(_WARM_UP_RUNS):
                self._run(bucket, arrays.zeros(widths, size))

    def __call__(self, inputs: GraphInputs) -> Pixels:
        """Inputs of n ≥ 1 images to uint8 ``(n, height, width, channels)``."""
        starts = range(0, arrays.count(inputs), self._largest)
        parts = [self._part(arrays.part(inputs, slice(k, k + self._largest))) for k in starts]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _part(self, inputs: GraphInputs) -> Pixels:
        count = arrays.count(inputs)
        size = next(size for size in self._buckets if size >= count)
        padded = arrays.zeros(self._widths, size)
        for name, values in inputs.items():
            padded[name][:count] = values
        # Copied, because on some devices this is the buffer itself, which the next batch reuses.
        return self._run(self._buckets[size], padded)[:count].copy()

    def _run(self, bucket: _Bucket, inputs: GraphInputs) -> Pixels:
        for name, buffer in bucket.inputs.items():
            buffer.update_inplace(inputs[name])
        self._session.run_with_iobinding(bucket.binding, bucket.options)
        pixels: Pixels = bucket.pixels.numpy()
        return pixels

    def _bucket(
        self,
        number: int,
        size: int,
        pixels_shape: tuple[int, ...],
        device: str,
    ) -> _Bucket:
        allocate = ort.OrtValue.ortvalue_from_shape_and_type
        inputs = {
            name: allocate((size, width), np.float32, device)
            for name, width in self._widths.items()
        }
        pixels = allocate(pixels_shape, np.uint8, device)
        binding = self._session.io_binding()
        for name, buffer in inputs.items():
            binding.bind_ortvalue_input(name, buffer)
        binding.bind_ortvalue_output(OUTPUT, pixels)
        options = ort.RunOptions()
        options.add_run_config_entry("gpu_graph_id", str(number))
        return _Bucket(inputs, pixels, binding, options)
