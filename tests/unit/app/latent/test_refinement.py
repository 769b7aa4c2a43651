"""Latents come nearer to images by the images of other latents."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from app.latent.refinement import CANDIDATES, MAX_DIRECTIONS, Refinement
from app.latent.sampling import Latents, Prior

Draw = Callable[[Latents], NDArray[np.uint8]]
WIDTH = 12
random = np.random.default_rng(0)
WEIGHTS = random.standard_normal((WIDTH, 64))


def linear(latents: Latents) -> NDArray[np.uint8]:
    """Images ``(n, 8, 8, 1)`` whose pixels are weighted sums of the latent."""
    return (128 + 16 * latents @ WEIGHTS).clip(0, 255).astype(np.uint8).reshape(-1, 8, 8, 1)


def curved(latents: Latents) -> NDArray[np.uint8]:
    """The same with a nonlinearity, as generators have."""
    return (127.5 + 127 * np.tanh(latents @ WEIGHTS / 5)).astype(np.uint8).reshape(-1, 8, 8, 1)


def error(image: NDArray[np.uint8], target: NDArray[np.uint8]) -> float:
    return float(np.square((image.astype(float) - target) / 255).mean())


def start(draw: Draw, target: Latents, prior: Prior = "normal", directions: int = 64) -> Refinement:
    """The refinement of zeros towards the image of ``target``."""
    zeros = np.zeros_like(target)
    images = draw(np.stack([target, zeros]))
    return Refinement(images[0], zeros, images[1], prior, directions)


def step(refinement: Refinement, draw: Draw) -> tuple[Latents, Latents]:
    probes = refinement.probes()
    candidates = refinement.candidates(draw(probes))
    refinement.choose(draw(candidates))
    return probes, candidates


@pytest.mark.parametrize("draw", [linear, curved])
def test_a_few_steps_find_the_latent_of_an_image(draw: Draw) -> None:
    target = random.standard_normal(WIDTH).astype(np.float32)
    refinement = start(draw, target)
    for _ in range(8):
        if not refinement.done:
            step(refinement, draw)
    np.testing.assert_allclose(refinement.latent, target, atol=0.15)
    np.testing.assert_array_equal(refinement.image, draw(refinement.latent[None])[0])
    assert error(refinement.image, draw(target[None])[0]) < 1e-4


def test_no_step_makes_it_worse_and_it_ends() -> None:
    noise = random.integers(0, 256, (8, 8, 1), dtype=np.uint8)
    zeros = np.zeros(WIDTH, np.float32)
    refinement, errors = Refinement(noise, zeros, curved(zeros[None])[0], "normal"), []
    for _ in range(100):
        if refinement.done:
            break
        step(refinement, curved)
        errors.append(
            error(refinement.image, noise)
            + 0.07**2 * float(refinement.latent @ refinement.latent) / 64
        )
    assert refinement.done
    assert 3 < len(errors) < 100
    assert (np.diff(errors) <= 1e-9).all()


def test_a_step_draws_one_image_for_each_direction_and_a_few_candidates() -> None:
    refinement = start(linear, np.ones(WIDTH, np.float32))
    probes, candidates = step(refinement, linear)
    assert probes.shape == (WIDTH, WIDTH)
    assert candidates.shape == (CANDIDATES, WIDTH)
    assert probes.dtype == candidates.dtype == refinement.latent.dtype == np.float32


def test_a_wide_latent_is_tried_in_random_directions() -> None:
    wide, weights = 200, np.random.default_rng(1).standard_normal((200, 64))

    def draw(latents: Latents) -> NDArray[np.uint8]:
        return (128 + 2 * latents @ weights).clip(0, 255).astype(np.uint8).reshape(-1, 8, 8, 1)

    target = random.standard_normal(wide).astype(np.float32)
    for directions, most in ((MAX_DIRECTIONS, 0.1), (16, 0.7)):
        refinement = start(draw, target, directions=directions)
        before = error(refinement.image, draw(target[None])[0])
        probes, _ = step(refinement, draw)
        assert len(probes) == directions
        for _ in range(4):
            step(refinement, draw)
        assert error(refinement.image, draw(target[None])[0]) < most * before


def test_uniform_latents_stay_in_their_cube() -> None:
    target = np.full(WIDTH, 3, np.float32)
    refinement = start(linear, target, "uniform")
    for _ in range(5):
        for latents in step(refinement, linear):
            assert np.abs(latents).max() <= 1
    assert refinement.latent.max() == 1


def test_an_image_that_is_met_already_needs_no_step() -> None:
    assert start(linear, np.zeros(WIDTH, np.float32)).done


def test_a_generator_that_ignores_its_latent_ends_it() -> None:
    def flat(latents: Latents) -> NDArray[np.uint8]:
        return np.full((len(latents), 8, 8, 1), 99, np.uint8)

    zeros = np.zeros(WIDTH, np.float32)
    refinement = Refinement(linear(zeros[None])[0], zeros, flat(zeros[None])[0], "normal")
    for _ in range(3):
        assert not refinement.done
        step(refinement, flat)
    assert refinement.done
    np.testing.assert_array_equal(refinement.latent, zeros)
