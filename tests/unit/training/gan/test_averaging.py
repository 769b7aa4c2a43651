import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from training.config import Architecture
from training.gan import averaging, networks
from training.image_size import ImageSize

FLAT = Architecture(generator="deepest")
"""The architecture of a generator without blocks, whose layers a test can walk."""


def filled(module: nn.Linear, value: float) -> nn.Linear:
    nn.init.constant_(module.weight, value)
    return module


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
def test_the_average_follows_its_closed_form(decay: float) -> None:
    module = filled(nn.Linear(2, 2), 7.0)
    average = averaging.Average(module, decay)
    values = [3.0, -1.0, 4.0, 1.5]
    for value in values:
        average.update(filled(module, value))
        average.ramp(10**9)
    first, *rest = values  # the first update copies
    later = [(1 - decay) * value * decay**k for k, value in enumerate(reversed(rest))]
    expected = decay ** len(rest) * first + sum(later)
    torch.testing.assert_close(average.module.weight, torch.full((2, 2), expected))


@pytest.mark.parametrize("decay", [0.9, 0.999])
def test_the_average_of_a_short_run_has_a_twentieth_of_it_as_half_life(decay: float) -> None:
    longest = math.log(0.5) / math.log(decay)
    for step in (1, 20, 400, 10**6):
        average = averaging.Average(filled(nn.Linear(2, 2), 0.0), decay)
        average.update(filled(nn.Linear(2, 2), 0.0))
        average.ramp(step)
        half_life = min(longest, step / 20)
        average.update(filled(nn.Linear(2, 2), 1.0))
        expected = 1 - 0.5 ** (1 / half_life)
        assert average.module.weight.mean().item() == pytest.approx(expected, rel=1e-5)


def test_without_averaging_every_update_copies() -> None:
    average = averaging.Average(filled(nn.Linear(2, 2), 0.0), 0.0)
    average.ramp(1000)
    average.update(filled(nn.Linear(2, 2), 3.0))
    assert average.module.weight.eq(3).all()


def test_the_average_does_not_share_weights_with_the_generator() -> None:
    module = filled(nn.Linear(2, 2), 1.0)
    average = averaging.Average(module, 0.5)
    average.update(module)
    filled(module, 2.0)
    assert average.module.weight.eq(1).all()


def statistics(network: nn.Sequential, batches: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Mean and variance of each batch norm's input, averaged over batches."""
    found: list[list[tuple[Tensor, Tensor]]] = []
    for batch in batches:
        found.append([])
        x = batch
        for layer in network:
            if isinstance(layer, nn.BatchNorm2d):
                found[-1].append((x.mean((0, 2, 3)), x.var((0, 2, 3))))
                x = batch_norm(x, None, None, layer.weight, layer.bias, training=True)
            else:
                x = layer(x)
    return [
        (torch.stack(means).mean(0), torch.stack(variances).mean(0))
        for means, variances in (zip(*layer, strict=True) for layer in zip(*found, strict=True))
    ]


@pytest.mark.parametrize("count", [1, 3])
def test_calibrated_statistics_are_those_of_the_averages_own_activations(count: int) -> None:
    torch.manual_seed(0)
    generator = networks.generator(4, 1, ImageSize.square(16), 3, FLAT)
    average = averaging.Average(generator, 0.9)
    for number in range(3):
        generator(10 * torch.randn(8, 4))  # training gathers other statistics
        average.update(generator)
        average.ramp(number)
    batches = [torch.randn(16, 4) for _ in range(count)]
    with torch.no_grad():
        expected = statistics(average.module, batches)
    network = averaging.calibrated(average, batches)
    norms = [layer for layer in network if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == len(expected) == 4
    for norm, (mean, variance) in zip(norms, expected, strict=True):
        torch.testing.assert_close(norm.running_mean, mean)
        torch.testing.assert_close(norm.running_var, variance)


def test_calibration_changes_neither_generator() -> None:
    torch.manual_seed(0)
    generator = networks.generator(4, 1, ImageSize.square(16), 2)
    average = averaging.Average(generator, 0.9)
    generator(torch.randn(8, 4))
    average.update(generator)
    before = copy.deepcopy((generator.state_dict(), average.state_dict()))
    network = averaging.calibrated(average, [torch.randn(8, 4)])
    torch.testing.assert_close(
        (generator.state_dict(), average.state_dict()), before, rtol=0, atol=0
    )
    assert generator.training
    assert average.module.training
    assert not any(module.training for module in network.modules())
    torch.testing.assert_close(
        dict(network.named_parameters()),
        dict(average.module.named_parameters()),
        rtol=0,
        atol=0,
    )
