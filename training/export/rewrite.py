"""Rewrites of a graph that compute the same with fewer or with faster operators.

Every public function maps a chain of steps to one that computes the same: exactly in real numbers,
up to rounding in float32. Weights are computed in float64 and rounded once. Steps to which a
rewrite does not apply are unchanged.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.export.chain import Chain, Constant, Step

Weights = NDArray[Any]

_DEFAULTS = {"strides": [1, 1], "dilations": [1, 1], "group": 1, "pads": [0] * 4}
_DOUBLING = {"strides": [2, 2], "dilations": [1, 1], "group": 1}
_MIN_CHANNELS = 16
"""Channels per block of onnxruntime's CPU convolutions."""
_SHUFFLE = Step("DepthToSpace", [], {"blocksize": 2, "mode": "DCR"})


def fold_batch_norms(chain: Chain) -> Chain:
    """Merge every batch norm into the matrix product or the convolution before it.

    In inference it only scales and shifts channels (Ioffe and Szegedy 2015, arXiv 1502.03167,
    section 3.1), which their weights can do too. A norm that follows an activation is unchanged.
    """
    steps: Chain = []
    for step in chain:
        index = _foldable(steps)
        if step.operator == "BatchNormalization" and index is not None:
            steps[index] = _folded(steps[index], step)
        else:
            steps.append(step)
    return steps


def _foldable(steps: Chain) -> int | None:
    """Index of the step into which a norm after ``steps`` can be merged; None if there is none."""
    last = [step.operator for step in steps[-2:]]
    if last == ["Gemm", "Reshape"]:
        return len(steps) - 2
    return len(steps) - 1 if last and last[-1] in {"Conv", "ConvTranspose"} else None


def _folded(step: Step, norm: Step) -> Step:
    """``step`` and the ``norm`` that follows it as one step with the operator of ``step``."""
    gain, offset, mean, variance = (_exact(values) for values in norm.constants)
    scale = gain / np.sqrt(variance + norm.attributes.get("epsilon", 1e-5))
    shift = offset - mean * scale
    weight, bias = _weights(step)
    if step.operator == "Gemm":  # the pixels of a channel are adjacent in its output
        pixels = len(bias) // len(scale)
        scale, shift = np.repeat(scale, pixels), np.repeat(shift, pixels)
    axis = 1 if step.operator == "ConvTranspose" else 0
    along = [-1 if k == axis else 1 for k in range(weight.ndim)]
    return _with(step, weight * scale.reshape(along), bias * scale + shift)


def multiply_first(chain: Chain) -> Chain:
    """Turn a first transposed convolution of a 1×1 map, as in PyTorch's example, into a Gemm."""
    first, second, *rest = chain
    if (first.operator, second.operator) != ("Reshape", "ConvTranspose"):
        return chain
    found = {**_DEFAULTS, **second.attributes}
    if any(found["pads"]) or found["group"] != 1:
        return chain
    weight, bias = _weights(second)
    width, channels, *size = weight.shape
    pixels = size[0] * size[1]
    empty = Step("Gemm", [], {"transB": 1})
    matrix = weight.reshape(width, channels * pixels).T
    return [_with(empty, matrix, np.repeat(bias, pixels)), _reshape(channels, *size), *rest]


def shuffle_pixels(chain: Chain) -> Chain:
    """Turn every doubling into one 3×3 convolution to four times the channels and a pixel shuffle.

    A transposed convolution of stride 2 is an ordinary one for each parity of the output's row and
    column, whose taps lie in a 3×3 neighbourhood (Shi et al. 2016, arXiv 1609.07009).
    """
    return [new for step in chain for new in (_convolve_3x3(step) if _doubles(step) else [step])]


def _convolve_3x3(step: Step) -> Chain:
    weight, bias = _weights(step)
    channels_in, channels = weight.shape[:2]
    wide = np.zeros((4, channels, channels_in, 3, 3))
    for parity, kernels in enumerate(_parities(step)):
        for kernel in kernels:
            wide[parity, :, :, kernel.down + 1, kernel.across + 1] = kernel.weight.T
    convolution = Step("Conv", [], {"pads": [1] * 4})
    return [_with(convolution, np.concatenate([*wide]), np.tile(bias, 4)), _SHUFFLE]


def split_parities(chain: Chain) -> Chain:
    """Turn every doubling into four convolutions, one for each parity, and a pixel shuffle.

    Each has only the taps that contribute to its outputs, so that nothing is multiplied by zero.
    """
    return [
        new for step in chain for new in (_convolve_parities(step) if _doubles(step) else [step])
    ]


def _convolve_parities(step: Step) -> Chain:
    bias = _weights(step)[1]
    branches = [[_convolution(taps, bias)] for taps in _parities(step)]
    return [Step("Concat", [], {"axis": 1}, branches), _SHUFFLE]


def interleave_parities(chain: Chain) -> Chain:
    """``split_parities`` for CPUs: two transpositions do the shuffle, narrow doublings stay.

    onnxruntime's CPU provider computes output channels in blocks, which few channels do not fill,
    and it transposes one axis at a time faster than two.
    """
    return [
        new
        for step in chain
        for new in (
            _interleave(step) if _doubles(step) and _channels(step) >= _MIN_CHANNELS else [step]
        )
    ]


def _interleave(step: Step) -> Chain:
    """Outputs at rows 2i + a and columns 2j + b are interleaved first by b, then by a."""
    concat, _ = _convolve_parities(step)
    channels, (height, width) = _channels(step), step.input_shape[1:]
    return [
        concat,
        _reshape(2, 2, channels * height * width),
        Step("Transpose", [], {"perm": [0, 1, 3, 2]}),
        _reshape(2, channels * height, 2 * width),
        Step("Transpose", [], {"perm": [0, 2, 1, 3]}),
        _reshape(channels, 2 * height, 2 * width),
    ]


def _reshape(*shape: int) -> Step:
    """A reshape to ``shape``, after the batch axis."""
    return Step("Reshape", [np.array([0, *shape], dtype=np.int64)])


def _channels(step: Step) -> int:
    """Number of output channels of a transposed convolution."""
    return int(_weights(step)[0].shape[1])


@dataclass(frozen=True)
class _Tap:
    """One element of a kernel: the offset of its input, from -1 to 1, and weights ``(in, out)``."""

    down: int
    across: int
    weight: Weights


def _convolution(taps: list[_Tap], bias: Weights) -> Step:
    """A convolution with the kernel of ``taps``, padded to keep height and width."""
    downs = sorted({tap.down for tap in taps})
    acrosses = sorted({tap.across for tap in taps})
    weight = np.zeros((*taps[0].weight.shape[::-1], len(downs), len(acrosses)))
    for tap in taps:
        weight[:, :, tap.down - downs[0], tap.across - acrosses[0]] = tap.weight.T
    pads = [-downs[0], -acrosses[0], downs[-1], acrosses[-1]]
    return _with(Step("Conv", [], {"pads": pads}), weight, bias)


def _doubles(step: Step) -> bool:
    """Whether ``step`` is a transposed convolution that doubles height and width."""
    found = {**_DEFAULTS, **step.attributes}
    if step.operator != "ConvTranspose" or not _DOUBLING.items() <= found.items():
        return False
    top, left, bottom, right = found["pads"]
    more = found.get("output_padding", [0, 0])
    return (top, left) == (bottom, right) and all(
        size in range(2, 6) and size + beyond - 2 * pad == 2
        for size, beyond, pad in zip(_weights(step)[0].shape[2:], more, (top, left), strict=True)
    )


def _parities(step: Step) -> Iterator[list[_Tap]]:
    """The taps of each parity of the output: even rows first, and in each row even columns."""
    weight, _ = _weights(step)
    top, left, *_ = step.attributes.get("pads", _DEFAULTS["pads"])
    for row in range(2):
        for column in range(2):
            yield [
                _Tap(down, across, weight[:, :, i, j])
                for down, i in _kernel_taps(row, weight.shape[2], top)
                for across, j in _kernel_taps(column, weight.shape[3], left)
            ]


def _kernel_taps(parity: int, size: int, pad: int) -> list[tuple[int, int]]:
    """The offsets of inputs that contribute to outputs of ``parity``, each with its kernel index.

    Output 2i + parity gets input i + d times the kernel's element parity + pad - 2d.
    """
    indices = [(offset, parity + pad - 2 * offset) for offset in (-1, 0, 1)]
    return [(offset, index) for offset, index in indices if 0 <= index < size]


def _weights(step: Step) -> tuple[Weights, Weights]:
    """Weight and bias in float64; a missing bias is zero."""
    weight, *bias = (_exact(values) for values in step.constants)
    channels = weight.shape[1 if step.operator == "ConvTranspose" else 0]
    return weight, bias[0] if bias else np.zeros(channels)


def _exact(values: Constant | None) -> Weights:
    return np.asarray(values, dtype=np.float64)


def _with(step: Step, weight: Weights, bias: Weights) -> Step:
    """``step`` with these weights, rounded to float32."""
    return replace(step, constants=[weight.astype(np.float32), bias.astype(np.float32)])
