"""Latents from seeds, and interpolation between two latents.

A latent is a row of float32 numbers, the input of a generator. A seed is an unsigned 32-bit
integer that alone determines its latent, independent of the batch and the request. All randomness
comes from one SplitMix64 sequence (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
Generators", OOPSLA 2014, figure 17). The sequence is counter-based: word k is a hash of k alone.
Seed s owns the 2**32 words from s * 2**32 on. Its latent uses the first of them, its class or
attributes use the word at a quarter, and the noise of its neighbours uses the second half.
"""

import random
from collections.abc import Sequence
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Prior = Literal["normal", "uniform"]
Method = Literal["slerp", "lerp"]
Latents = NDArray[np.float32]
Float64Array = NDArray[np.float64]
Point = int | list[float]
"""A seed, or the numbers of a latent."""
Points = Sequence[Point]

VARIANCE: dict[Prior, float] = {"normal": 1.0, "uniform": 1 / 3}
"""Of one number of a latent."""

SEEDS = 2**32
"""Number of seeds: 0 to 2**32 - 1, which JavaScript's numbers represent exactly."""

MAX_TRUNCATION = 2
"""The largest factor by which a client may multiply latents."""

MAX_LATENT = 100
"""Far above the largest number in any seed's latent; long before it, images are uniform."""

_CONSTANTS = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_WORD = 2**64 - 1
# Operations with arrays without an axis take a third less time than those with NumPy's scalars.
_GAMMA, _MIX_1, _MIX_2 = (np.array(word, dtype=np.uint64) for word in _CONSTANTS)
_SHIFT_27, _SHIFT_30, _SHIFT_31 = (np.array(bits, dtype=np.uint64) for bits in (27, 30, 31))
_HALF, _STEP = np.array(0.5), np.array(2.0**-32)
_UINT64, _UINT32 = np.dtype("<u8"), np.dtype("<u4")
# The words of one seed begin 2**32 places after those of the seed before it.
_SEED_GAMMA = np.array(_CONSTANTS[0] << 32 & _WORD, dtype=np.uint64)

# The noise of a seed starts half-way through its words. Every neighbour owns as many words as the
# widest latent needs, at two numbers per word.
_NOISE, _NEIGHBOUR = np.uint64(2**31), np.uint64(2**11)

# Position of the word that decides the class or the attributes of a seed.
_CONDITION_WORD = 2**30
_CONDITION = np.uint64(_CONDITION_WORD)
_SHIFT_11, _SHIFT_32, _DOUBLES = np.uint64(11), np.uint64(32), 2.0**53

_FEW = 16
"""For up to this many seeds, Python computes one number of each faster than NumPy does."""

# Below this sine, two directions are parallel or opposite to float32 accuracy.
_PARALLEL = 1e-6


def random_seed() -> int:
    """Return any seed. It is no secret, so that it need not come from the operating system."""
    return random.getrandbits(32)


def consecutive(seed: int, count: int) -> list[int]:
    """Return the ``count`` seeds ``seed, seed + 1, …``, modulo 2**32."""
    first = seed % SEEDS
    end = first + count
    return [*range(first, min(end, SEEDS)), *range(end - SEEDS)]


def random_words(seeds: Sequence[int], count: int) -> NDArray[np.uint64]:
    """Return the first ``count`` random 64-bit words of every seed: ``(len(seeds), count)``."""
    return _mixed(np.array(seeds, dtype=np.uint64)[:, None] * _SEED_GAMMA + _gammas(count))


def _words_from(first: NDArray[np.uint64], count: int) -> NDArray[np.uint64]:
    """Return the ``count`` words after each position in ``first``: ``(len(first), count)``."""
    return _mixed(first[:, None] * _GAMMA + _gammas(count))


def _mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the words whose positions, times gamma, are ``z``, in its place."""
    z ^= z >> _SHIFT_30
    z *= _MIX_1
    z ^= z >> _SHIFT_27
    z *= _MIX_2
    z ^= z >> _SHIFT_31
    return z


@cache
def _gammas(count: int) -> NDArray[np.uint64]:
    return np.arange(1, count + 1, dtype=np.uint64) * _GAMMA


def _unit_pairs(random: NDArray[np.uint64]) -> tuple[Float64Array, Float64Array]:
    """Return two numbers in (0, 1) per word, from its upper and from its lower 32 bits."""
    both = random.astype(_UINT64, copy=False).view(_UINT32) + _HALF
    # Half a step above zero, so that the logarithm is finite.
    both *= _STEP
    return both[:, 1::2], both[:, ::2]


def from_seeds(seeds: Sequence[int], width: int, prior: Prior = "normal") -> Latents:
    """Return the latents of ``seeds``: float32 ``(len(seeds), width)``.

    ``normal`` is N(0, 1) by the Box-Muller transform (Ann. Math. Stat. 29, 1958), two numbers per
    word and never beyond ±6.77; ``uniform`` is U(-1, 1). Raises ValueError for a seed outside
    0…2**32 - 1.
    """
    if len(seeds) and not 0 <= min(seeds) <= max(seeds) < SEEDS:
        raise ValueError(f"seeds must be from 0 to {SEEDS - 1}, got {list(seeds)}")
    u, v = _unit_pairs(random_words(seeds, (width + 1) // 2))
    pairs = np.empty((*u.shape, 2), dtype=np.float32)
    if prior == "uniform":
        pairs[..., 0], pairs[..., 1] = 2 * u - 1, 2 * v - 1
    else:
        radius, angle = np.sqrt(-2 * np.log(u)), 2 * np.pi * v
        pairs[..., 0], pairs[..., 1] = radius * np.cos(angle), radius * np.sin(angle)
    return np.ascontiguousarray(pairs.reshape(len(seeds), 2 * u.shape[1])[:, :width])


def condition_numbers(seeds: Sequence[int]) -> list[float]:
    """Return one number in [0, 1) per seed, which decides its condition.

    It is independent of the latent of the seed.
    """
    if len(seeds) <= _FEW:
        return [_condition_number(seed) for seed in seeds]
    first = (np.array(seeds, dtype=np.uint64) << _SHIFT_32) + _CONDITION
    numbers: list[float] = ((_words_from(first, 1)[:, 0] >> _SHIFT_11) / _DOUBLES).tolist()
    return numbers


def _condition_number(seed: int) -> float:
    """Return what ``condition_numbers`` does, for one seed."""
    gamma, mix_1, mix_2 = _CONSTANTS
    z = ((seed << 32) + _CONDITION_WORD + 1) * gamma & _WORD
    z = (z ^ z >> 30) * mix_1 & _WORD
    z = (z ^ z >> 27) * mix_2 & _WORD
    return ((z ^ z >> 31) >> 11) / _DOUBLES


def truncate(rows: Latents, truncation: float) -> Latents:
    """Return ``rows`` times ``truncation``: nearer to the mean if below 1, farther if above.

    Karras et al. 2019 (arXiv 1812.04948), appendix B: a latent is moved towards the mean, which is
    zero for both priors, so that the image of a seed changes continuously, and not at all for 1.
    Brock et al. 2019 (arXiv 1809.11096), section 3.1, resample the numbers beyond a threshold
    instead, which gives every seed a different image for every threshold. For the uniform prior
    both give the same distribution, U(-t, t). For the normal prior the distributions of a single
    number differ in shape, but the first layer of a generator sums so many numbers that only their
    variance matters.
    """
    return rows if truncation == 1 else rows * np.float32(truncation)


def noise(seed: int, count: int, width: int) -> Float64Array:
    """Return uniform noise in (-1, 1) for ``count`` neighbours of ``seed``: ``(count, width)``.

    Row k is a function of ``seed`` and k alone, and independent of every latent. ``width`` is at
    most 4096.
    """
    neighbours = np.arange(count, dtype=np.uint64) * _NEIGHBOUR
    first = (np.uint64(seed) << _SHIFT_32) + _NOISE + neighbours
    pairs = (width + 1) // 2
    u, v = _unit_pairs(_words_from(first, pairs))
    return np.stack((2 * u - 1, 2 * v - 1), axis=-1).reshape(count, 2 * pairs)[:, :width]


def lerp(start: Latents, end: Latents, fractions: Float64Array) -> Latents:
    """Return latents on the straight line from ``start`` (fraction 0) to ``end`` (fraction 1).

    ``start`` and ``end`` have shape ``(width,)`` and are returned bit for bit at 0 and 1;
    ``fractions`` has shape ``(n,)``. Returns float32 ``(n, width)``.
    """
    t = fractions[:, None]
    return ((1 - t) * start + t * end).astype(np.float32)


def slerp(start: Latents, end: Latents, fractions: Float64Array) -> Latents:
    """Return latents on the arc from ``start`` to ``end``, by spherical linear interpolation.

    Arguments and result are those of ``lerp``. Shoemake, "Animating Rotation with Quaternion
    Curves", SIGGRAPH 1985, section 3.3. Latents of a normal prior keep their typical length along
    the arc, but not along a straight line (White 2016, arXiv 1609.04468). For parallel and opposite
    latents the arc is undefined; they are joined by a line.
    """
    a, b = start.astype(np.float64), end.astype(np.float64)
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    if lengths == 0:
        return lerp(start, end, fractions)
    omega = np.arccos(np.clip(a @ b / lengths, -1, 1))
    if np.sin(omega) < _PARALLEL:
        return lerp(start, end, fractions)
    t = fractions[:, None]
    path = (np.sin((1 - t) * omega) * a + np.sin(t * omega) * b) / np.sin(omega)
    return np.asarray(path, dtype=np.float32)


def interpolate(
    start: Latents, end: Latents, fractions: Float64Array, method: Method = "slerp"
) -> Latents:
    """Return latents between ``start`` and ``end`` by ``slerp`` or ``lerp``."""
    return (slerp if method == "slerp" else lerp)(start, end, fractions)
