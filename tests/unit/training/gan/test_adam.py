import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from training.gan.adam import adam, restore, set_learning_rate, state, step

BETAS = (0.5, 0.99)


def network() -> nn.Conv2d:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 2)
    layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    return layer


def learn(layer: nn.Conv2d, optimiser: torch.optim.Adam, steps: int) -> None:
    inputs = torch.arange(48.0).view(1, 3, 4, 4) / 48
    for _ in range(steps):
        optimiser.zero_grad()
        layer(inputs).square().mean().backward()
        step(optimiser)


def as_before(layer: nn.Conv2d) -> torch.optim.Adam:
    """One weight after the other, as a CPU does by default."""
    return torch.optim.Adam(layer.parameters(), 0.01, BETAS, foreach=False)


def test_it_is_adam() -> None:
    ours, theirs = network(), network()
    learn(ours, adam(ours, 0.01, BETAS), 10)
    learn(theirs, as_before(theirs), 10)
    assert not torch.equal(ours.weight, network().weight)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


def test_gradients_in_another_layout_are_those_of_the_same_weights() -> None:
    ours, theirs = network(), network()
    for layer, optimiser in ((ours, adam(ours, 0.01, BETAS)), (theirs, as_before(theirs))):
        random = torch.Generator().manual_seed(1)
        layer.weight.grad = torch.randn(4, 3, 2, 2, generator=random)
        assert layer.weight.grad.stride() != layer.weight.stride()
        step(optimiser)
    torch.testing.assert_close(ours.weight, theirs.weight)


def contiguous(held: dict[str, Any]) -> dict[str, Any]:
    """As a checkpoint of weights in another layout has it."""
    moments = {
        number: {name: value.contiguous() for name, value in of_weights.items()}
        for number, of_weights in held["state"].items()
    }
    return {**held, "state": moments}


@pytest.mark.parametrize("before", [adam, lambda layer, *_: as_before(layer)], ids=["ours", "old"])
@pytest.mark.parametrize("layout", [copy.deepcopy, contiguous])
def test_it_goes_on_from_what_was_saved(before: Any, layout: Any) -> None:
    whole = network()
    learn(whole, adam(whole, 0.01, BETAS), 8)
    first = network()
    optimiser = before(first, 0.01, BETAS)
    learn(first, optimiser, 3)
    second = copy.deepcopy(first)
    going_on = adam(second, 0.5, BETAS)
    restore(going_on, layout(state(optimiser)))
    assert going_on.param_groups[0]["lr"] == 0.01
    assert going_on.param_groups[0]["fused"]
    learn(second, going_on, 5)
    torch.testing.assert_close(second.state_dict(), whole.state_dict())


def test_the_state_of_other_weights_is_refused() -> None:
    held = state(adam(network(), 0.01, BETAS))
    held["param_groups"].append(held["param_groups"][0])
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        restore(adam(network(), 0.01, BETAS), held)


def test_a_rate_that_is_a_tensor_stays_the_same_one() -> None:
    layer, rate = network(), torch.tensor(0.25)  # as on a GPU, where a graph reads it
    optimiser = torch.optim.Adam(layer.parameters(), rate, BETAS, fused=True)
    set_learning_rate(optimiser, 0.5)
    assert optimiser.param_groups[0]["lr"] is rate
    assert rate.item() == 0.5
    held = state(optimiser)
    assert held["param_groups"][0]["lr"] == 0.5
    assert not isinstance(held["param_groups"][0]["lr"], Tensor)
    set_learning_rate(optimiser, 0.125)
    restore(optimiser, held)
    assert optimiser.param_groups[0]["lr"] is rate
    assert rate.item() == 0.5
