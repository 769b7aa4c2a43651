"""Graphs that compute the same with fewer, or with faster, operators.

Every function takes a chain of steps and gives another one that computes the same: exactly in real
numbers, in float32 up to rounding. Weights are rewritten in float64 and rounded once. A step that
a function does not know stays as it is.
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
_BLOCK = 16
_SHUFFLE = Step("DepthToSpace", [], {"blocksize": 2, "mode": "DCR"})


def folded(chain: Chain) -> Chain:
    """With every batch norm inside the matrix product or the convolution before it.

    What has learned scales and shifts channels (Ioffe and Szegedy 2015, arXiv 1502.03167, section
    3.1), which these can do by themselves. A norm that follows an activation stays.
    """
    steps: Chain = []
    for step in chain:
        place = _scalable(steps)
        if step.operator == "BatchNormalization" and place is not None:
            steps[place] = _scaled(steps[place], step)
        else:
            steps.append(step)
    return steps


def _scalable(steps: Chain) -> int | None:
    """Where the step stands whose output channels a norm after ``steps`` would see."""
    last = [step.operator for step in steps[-2:]]
    if last == ["Gemm", "Reshape"]:
        return len(steps) - 2
    return len(steps) - 1 if last and last[-1] in {"Conv", "ConvTranspose"} else None


def _scaled(step: Step, norm: Step) -> Step:
    """``step`` followed by ``norm``, as one step of its own kind."""
    gain, offset, mean, variance = (_exact(values) for values in norm.constants)
    scale = gain / np.sqrt(variance + norm.attributes.get("epsilon", 1e-5))
    shift = offset - mean * scale
    weight, bias = _weights(step)
    if step.operator == "Gemm":  # a channel's pixels are neighbours in its output
        pixels = len(bias) // len(scale)
        scale, shift = np.repeat(scale, pixels), np.repeat(shift, pixels)
    axis = 1 if step.operator == "ConvTranspose" else 0
    along = [-1 if k == axis else 1 for k in range(weight.ndim)]
    return _with(step, weight * scale.reshape(along), bias * scale + shift)


def multiplied(chain: Chain) -> Chain:
    """With a first convolution of a 1×1 map, as PyTorch's example has it, as a matrix product."""
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
    return [_with(empty, matrix, np.repeat(bias, pixels)), _shaped(channels, *size), *rest]


def shuffled(chain: Chain) -> Chain:
    """With every doubling as one 3×3 convolution to four times the channels, and a shuffle.

    A transposed convolution of stride 2 is an ordinary one for each parity of the output's row and
    column, whose taps lie in a 3×3 neighbourhood (Shi et al. 2016, arXiv 1609.07009).
    """
    return [new for step in chain for new in (_neighbourhood(step) if _doubles(step) else [step])]


def _neighbourhood(step: Step) -> Chain:
    weight, bias = _weights(step)
    channels_in, channels = weight.shape[:2]
    wide = np.zeros((4, channels, channels_in, 3, 3))
    for parity, kernels in enumerate(_parities(step)):
        for kernel in kernels:
            wide[parity, :, :, kernel.down + 1, kernel.across + 1] = kernel.weight.T
    convolution = Step("Conv", [], {"pads": [1] * 4})
    return [_with(convolution, np.concatenate([*wide]), np.tile(bias, 4)), _SHUFFLE]


def split(chain: Chain) -> Chain:
    """With every doubling as four convolutions, one for each parity, and a shuffle.

    Each has only the taps that reach its outputs, so that nothing is multiplied by zero.
    """
    return [new for step in chain for new in (_four(step) if _doubles(step) else [step])]


def _four(step: Step) -> Chain:
    bias = _weights(step)[1]
    branches = [[_rectangle(taps, bias)] for taps in _parities(step)]
    return [Step("Concat", [], {"axis": 1}, branches), _SHUFFLE]


def woven(chain: Chain) -> Chain:
    """As ``split`` on a CPU: a narrow doubling stays, and two transpositions do the shuffle.

    onnxruntime's CPU provider convolves to channels in blocks, which few channels leave empty,
    and moves one axis at a time faster than two.
    """
    return [
        new
        for step in chain
        for new in (_woven(step) if _doubles(step) and _channels(step) >= _BLOCK else [step])
    ]


def _woven(step: Step) -> Chain:
    """What goes to rows 2i + a and columns 2j + b is woven in b first, then in a."""
    concat, _ = _four(step)
    channels, (height, width) = _channels(step), step.taken[1:]
    return [
        concat,
        _shaped(2, 2, channels * height * width),
        Step("Transpose", [], {"perm": [0, 1, 3, 2]}),
        _shaped(2, channels * height, 2 * width),
        Step("Transpose", [], {"perm": [0, 2, 1, 3]}),
        _shaped(channels, 2 * height, 2 * width),
    ]


def _shaped(*shape: int) -> Step:
    """To ``shape``, which the batch is before."""
    return Step("Reshape", [np.array([0, *shape], dtype=np.int64)])


def _channels(step: Step) -> int:
    """How many channels a transposed convolution gives."""
    return int(_weights(step)[0].shape[1])


@dataclass(frozen=True)
class _Tap:
    """One element of the kernel: the input's offset from -1 to 1, and weights ``(in, out)``."""

    down: int
    across: int
    weight: Weights


def _rectangle(taps: list[_Tap], bias: Weights) -> Step:
    """One convolution over the rectangle of ``taps``, padded so that it stays in place."""
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
    """The taps that reach each parity of the output: even rows first, in a row even columns."""
    weight, _ = _weights(step)
    top, left, *_ = step.attributes.get("pads", _DEFAULTS["pads"])
    for row in range(2):
        for column in range(2):
            yield [
                _Tap(down, across, weight[:, :, i, j])
                for down, i in _reaching(row, weight.shape[2], top)
                for across, j in _reaching(column, weight.shape[3], left)
            ]


def _reaching(parity: int, size: int, pad: int) -> list[tuple[int, int]]:
    """The input's offsets that reach outputs of ``parity``, and the kernel's index for each.

    Output 2i + parity takes input i + d by the kernel's element parity + pad - 2d.
    """
    reached = [(offset, parity + pad - 2 * offset) for offset in (-1, 0, 1)]
    return [(offset, index) for offset, index in reached if 0 <= index < size]


def _weights(step: Step) -> tuple[Weights, Weights]:
    """Weight and bias in float64; a bias that is not there is zero."""
    weight, *bias = (_exact(values) for values in step.constants)
    channels = weight.shape[1 if step.operator == "ConvTranspose" else 0]
    return weight, bias[0] if bias else np.zeros(channels)


def _exact(values: Constant | None) -> Weights:
    return np.asarray(values, dtype=np.float64)


def _with(step: Step, weight: Weights, bias: Weights) -> Step:
    """``step`` with these, rounded once."""
    return replace(step, constants=[weight.astype(np.float32), bias.astype(np.float32)])
