import numpy as np
import torch
from torch import Tensor

from app.latent.sampling import Latents, from_seeds
from training.evaluation import steering

WIDTH = 8
NORMALS = np.zeros((3, WIDTH), dtype=np.float32)
NORMALS[0, 0] = NORMALS[1, 0] = NORMALS[1, 1] = NORMALS[2, 2] = 4


def logits(z: Tensor) -> Tensor:
    """Logits of three attributes given by hyperplanes; the first two are correlated."""
    return z @ torch.from_numpy(NORMALS.T)


def test_steering_changes_the_other_attributes_less() -> None:
    z = from_seeds(range(2000), WIDTH)
    has = z @ NORMALS.T > 0
    without = ~has[:, 0]
    z, has = z[without], has[without]
    straight = np.array([2, 0, 1, 0, 0, 0, 0, 0], dtype=np.float32)
    step = steering.steer(straight, z, has, 0, logits)
    assert (step.shape, step.dtype) == ((WIDTH,), np.float32)

    def kept(way: Latents) -> float:
        return float((((z + way) @ NORMALS.T > 0) == has)[:, 1:].mean())

    gained = ((z + step) @ NORMALS.T > 0)[:, 0].mean()
    assert gained > 0.8
    assert kept(step) > kept(straight) + 0.1
    assert step[1] < -0.5  # against the first number's part in the second attribute
    assert abs(step[2]) < 0.3
    np.testing.assert_array_equal(straight, [2, 0, 1, 0, 0, 0, 0, 0])


def test_conditions_do_not_change() -> None:
    z = from_seeds(range(200), WIDTH)
    rows = np.hstack([z, np.ones((200, 2), np.float32)])
    seen = list[Tensor]()

    def conditional(moved: Tensor) -> Tensor:
        seen.append(moved[:, WIDTH:])
        return logits(moved[:, :WIDTH] * moved[:, WIDTH:].mean())

    step = steering.steer(np.ones(WIDTH, np.float32), rows, z @ NORMALS.T > 0, 0, conditional)
    assert step.shape == (WIDTH,)
    assert all((found == 1).all() for found in seen)


def test_steering_is_deterministic() -> None:
    z = from_seeds(range(200), WIDTH)
    z = z[z[:, 0] < 0]
    call = (np.ones(WIDTH, dtype=np.float32), z, z @ NORMALS.T > 0, 0, logits)
    np.testing.assert_array_equal(steering.steer(*call), steering.steer(*call))
