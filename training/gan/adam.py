"""Adam (Kingma and Ba 2014, arXiv 1412.6980), fused: one operation updates all weights.

On a GPU the learning rate and the step counter are tensors in its memory, so the CPU never waits
for them and a captured CUDA graph follows a changed learning rate. A checkpoint holds plain
numbers, the same for every device.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

_DEVICE_OPTIONS = ("foreach", "fused", "capturable")


def adam(network: nn.Module, learning_rate: float, betas: tuple[float, float]) -> Adam:
    """An optimiser for the weights of ``network``, on the device that holds them."""
    device = next(network.parameters()).device
    if device.type != "cuda":
        return Adam(network.parameters(), learning_rate, betas, fused=True)
    on_device = torch.tensor(learning_rate, device=device)
    return Adam(network.parameters(), on_device, betas, fused=True, capturable=True)


def set_learning_rate(optimiser: Adam, learning_rate: float) -> None:
    """Set the learning rate of the following steps."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(learning_rate)  # in place: a captured graph reads this tensor
        else:
            group["lr"] = learning_rate


def step(optimiser: Adam) -> None:
    """Update the weights by their gradients."""
    for weights in _weights(optimiser):
        if weights.grad is not None:
            weights.grad = _in_layout_of(weights, weights.grad)
    optimiser.step()


def state(optimiser: Adam) -> dict[str, Any]:
    """The state of ``optimiser`` for a checkpoint, independent of the device."""
    saved: dict[str, Any] = optimiser.state_dict()
    groups = [{**group, "lr": float(group["lr"])} for group in saved["param_groups"]]
    return {**saved, "param_groups": groups}


def restore(optimiser: Adam, saved: dict[str, Any]) -> None:
    """Load ``saved``, which ``state`` returned on any device, into ``optimiser``.

    Raises KeyError or ValueError if it is the state of other weights.
    """
    own = optimiser.param_groups
    device_options = [{name: group[name] for name in _DEVICE_OPTIONS} for group in own]
    learning_rates = [group["lr"] for group in own]
    pairs = zip(saved["param_groups"], device_options, strict=True)
    optimiser.load_state_dict({**saved, "param_groups": [group | own for group, own in pairs]})
    for group, learning_rate in zip(optimiser.param_groups, learning_rates, strict=True):
        group["lr"] = learning_rate
    (saved_rate,) = {group["lr"] for group in saved["param_groups"]}
    set_learning_rate(optimiser, float(saved_rate))
    for weights in _weights(optimiser):
        moments = optimiser.state.get(weights, {})
        for name in moments.keys() & {"exp_avg", "exp_avg_sq"}:
            moments[name] = _in_layout_of(weights, moments[name])


def _weights(optimiser: Adam) -> list[Tensor]:
    return [weights for group in optimiser.param_groups for weights in group["params"]]


def _in_layout_of(weights: Tensor, values: Tensor) -> Tensor:
    """``values`` in the memory layout of ``weights``, because fused Adam ignores strides."""
    if values.stride() == weights.stride():
        return values
    return torch.empty_like(weights, requires_grad=False).copy_(values)
