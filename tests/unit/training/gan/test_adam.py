import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

from training.gan.adam import adam, restore, set_learning_rate, state, step

BETAS = (0.5, 0.99)


def network() -> nn.Conv2d:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 2)
    layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    return layer


def train(layer: nn.Conv2d, optimiser: torch.optim.Adam, steps: int) -> None:
    inputs = torch.arange(48.0).view(1, 3, 4, 4) / 48
    for _ in range(steps):
        optimiser.zero_grad()
        layer(inputs).square().mean().backward()
        step(optimiser)


def sequential_adam(layer: nn.Conv2d) -> torch.optim.Adam:
    """PyTorch's default on a CPU: one weight tensor after the other."""
    return torch.optim.Adam(layer.parameters(), 0.01, BETAS, foreach=False)


def test_it_is_adam() -> None:
    ours, theirs = network(), network()
    train(ours, adam(ours, 0.01, BETAS), 10)
    train(theirs, sequential_adam(theirs), 10)
    assert not torch.equal(ours.weight, network().weight)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


def test_gradients_may_have_another_memory_layout_than_the_weights() -> None:
    ours, theirs = network(), network()
    for layer, optimiser in ((ours, adam(ours, 0.01, BETAS)), (theirs, sequential_adam(theirs))):
        random = torch.Generator().manual_seed(1)
        layer.weight.grad = torch.randn(4, 3, 2, 2, generator=random)
        assert layer.weight.grad.stride() != layer.weight.stride()
        step(optimiser)
    torch.testing.assert_close(ours.weight, theirs.weight)


def contiguous(saved: dict[str, Any]) -> dict[str, Any]:
    """``saved`` as if its weights had been in the default layout."""
    moments = {
        number: {name: value.contiguous() for name, value in of_weights.items()}
        for number, of_weights in saved["state"].items()
    }
    return {**saved, "state": moments}


@pytest.mark.parametrize(
    "before", [adam, lambda layer, *_: sequential_adam(layer)], ids=["fused", "sequential"]
)
@pytest.mark.parametrize("layout", [copy.deepcopy, contiguous])
def test_it_continues_from_a_saved_state(before: Any, layout: Any) -> None:
    whole = network()
    train(whole, adam(whole, 0.01, BETAS), 8)
    first = network()
    optimiser = before(first, 0.01, BETAS)
    train(first, optimiser, 3)
    second = copy.deepcopy(first)
    resumed = adam(second, 0.5, BETAS)
    restore(resumed, layout(state(optimiser)))
    assert resumed.param_groups[0]["lr"] == 0.01
    assert resumed.param_groups[0]["fused"]
    train(second, resumed, 5)
    torch.testing.assert_close(second.state_dict(), whole.state_dict())


def test_the_state_of_other_weights_is_an_error() -> None:
    saved = state(adam(network(), 0.01, BETAS))
    saved["param_groups"].append(saved["param_groups"][0])
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        restore(adam(network(), 0.01, BETAS), saved)


def test_a_learning_rate_in_a_tensor_is_changed_in_place() -> None:
    layer, rate = network(), torch.tensor(0.25)  # as on a GPU, where a CUDA graph reads it
    optimiser = torch.optim.Adam(layer.parameters(), rate, BETAS, fused=True)
    set_learning_rate(optimiser, 0.5)
    assert optimiser.param_groups[0]["lr"] is rate
    assert rate.item() == 0.5
    saved = state(optimiser)
    assert saved["param_groups"][0]["lr"] == 0.5
    assert not isinstance(saved["param_groups"][0]["lr"], Tensor)
    set_learning_rate(optimiser, 0.125)
    restore(optimiser, saved)
    assert optimiser.param_groups[0]["lr"] is rate
    assert rate.item() == 0.5


def test_on_a_gpu_the_learning_rate_is_a_tensor_in_its_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[tuple[Tensor, dict[str, bool]]] = []
    monkeypatch.setattr(
        "training.gan.adam.Adam",
        lambda _, learning_rate, __, **options: calls.append((learning_rate, options)),
    )
    with FakeTensorMode():  # tensors without values, whose device need not exist
        adam(nn.ParameterList([torch.empty(2, 3, device="cuda")]), 0.25, BETAS)
    [(learning_rate, options)] = calls
    assert learning_rate.device.type == "cuda"
    assert options == {"fused": True, "capturable": True}
