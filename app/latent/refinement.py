"""Brings a latent nearer to an image, by the images of other latents alone.

The error is a sum of squares over many pixels, of few numbers. So each step estimates how every
pixel changes along each direction, by finite differences, and solves the resulting least-squares
problem: the Levenberg-Marquardt method (Marquardt, SIAM J. Appl. Math. 11, 1963), which needs no
derivative of the generator. Images of one step are independent of each other: they fill a batch.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.latent.sampling import Latents, Prior

MAX_STEPS: Final = 100
"""The most steps that a request or a program may ask for."""
MAX_DIRECTIONS: Final = 64
"""The most directions that a step tries; wider latents get as many random ones."""
_DAMPINGS: Final = np.array([0.01, 0.1, 1.0, 10.0])
"""The candidates of a step, as factors of the damping."""
CANDIDATES: Final = len(_DAMPINGS)
_DIFFERENCE: Final = 0.5
"""Pixels are whole numbers, so small differences of a latent would change none of them."""
_WEIGHT: Final = 0.07**2
"""Of the squared length of a latent: the variance of pixels, from 0 to 1, that counts as noise.

It keeps latents where the generator has seen them in training.
"""
_LEAST_GAIN: Final = 1e-3
"""Of the error; a step that gains less has failed."""
_MOST_FAILURES: Final = 3
_FULL: Final = np.float32(255)

Image = NDArray[np.uint8]
_Residuals = NDArray[np.float32]


class Refinement:
    """One latent on its way to one image.

    A step is ``probes``, ``candidates`` with the images of the probes, and ``choose`` with those of
    the candidates.
    """

    def __init__(
        self,
        target: Image,
        latent: Latents,
        image: Image,
        prior: Prior,
        directions: int = MAX_DIRECTIONS,
    ) -> None:
        """``image`` is that of ``latent`` ``(width,)``, and as large as ``target``."""
        self.latent, self.image = latent, image
        self._target, self._prior = target, prior
        self._residual = self._residuals(image[None])[0]
        self._count = min(len(latent), directions)
        self._random = np.random.default_rng(0)
        self._difference, self._damping, self._failures = _DIFFERENCE, 1e-2, 0
        self._steps = np.empty((0, len(latent)))
        self._candidates = latent[None]

    @property
    def done(self) -> bool:
        """Whether further steps would gain nothing."""
        return self._failures >= _MOST_FAILURES or not self._residual.any()

    def probes(self) -> Latents:
        """The latents whose images the step needs: ``(n, width)``."""
        width = len(self.latent)
        directions = np.eye(width)
        if self._count < width:
            directions = np.linalg.qr(self._random.standard_normal((width, self._count)))[0].T
        # Towards zero, so that uniform latents stay in their cube.
        signs = np.where(directions @ self.latent > 0, -1.0, 1.0)
        self._steps = self._difference * signs[:, None] * directions
        moved: Latents = (self.latent + self._steps).astype(np.float32)
        return moved

    def candidates(self, images: Image) -> Latents:
        """The latents that may be better, from the images of the probes: ``(CANDIDATES, width)``.

        ``images`` is ``(n, height, width, channels)``.
        """
        changes = self._residuals(images) - self._residual
        products = (changes @ changes.T).astype(np.float64)
        lengths = _WEIGHT * self._steps @ self._steps.T
        gradient = changes @ self._residual + _WEIGHT * self._steps @ self.latent
        scale = np.trace(products + lengths) / len(products)
        eye = np.eye(len(products))
        found = [
            self.latent
            - np.linalg.solve(products + lengths + damping * scale * eye, gradient) @ self._steps
            for damping in self._damping * _DAMPINGS
        ]
        most = 1.0 if self._prior == "uniform" else np.inf
        self._candidates = np.stack(found).clip(-most, most).astype(np.float32)
        return self._candidates

    def choose(self, images: Image) -> None:
        """Take the best of the candidates, whose ``images`` these are, unless all are worse."""
        residuals = self._residuals(images)
        costs = np.array([*map(_cost, residuals, self._candidates)])
        best, before = int(costs.argmin()), _cost(self._residual, self.latent)
        gained = costs[best] < (1 - _LEAST_GAIN) * before
        self._failures = 0 if gained else self._failures + 1
        if costs[best] < before:
            self.latent, self.image = self._candidates[best], images[best]
            self._residual = residuals[best]
            self._damping = float(np.clip(self._damping * _DAMPINGS[best], 1e-6, 1e3))
        else:
            self._damping *= 10
            self._difference /= 2

    def run(self, steps: int, draw: Callable[[Latents], Image]) -> None:
        """Do up to ``steps`` steps; ``draw`` returns the images of latents."""
        for _ in range(steps):
            if self.done:
                break
            self.choose(draw(self.candidates(draw(self.probes()))))

    def _residuals(self, images: Image) -> _Residuals:
        """Images minus the target, in pixels from 0 to 1: ``(n, pixels)``."""
        differences = images.astype(np.float32) - self._target
        return (differences / _FULL).reshape(len(images), -1)


def _cost(residual: _Residuals, latent: Latents) -> float:
    return float(residual @ residual) + _WEIGHT * float(latent @ latent)
