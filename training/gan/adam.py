"""Adam (Kingma and Ba 2014, arXiv 1412.6980) as one operation for all weights of a network.

On a GPU its learning rate and its count of steps are tensors there: nothing waits for them, and a
CUDA graph that was captured with one learning rate goes on with the next. A checkpoint holds plain
numbers, the same for every device.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

_OF_THE_DEVICE = ("foreach", "fused", "capturable")


def adam(network: nn.Module, rate: float, betas: tuple[float, float]) -> Adam:
    """An optimiser of the weights of ``network``, for the device that they are on."""
    device = next(network.parameters()).device
    if device.type != "cuda":
        return Adam(network.parameters(), rate, betas, fused=True)
    placed = torch.tensor(rate, device=device)
    return Adam(network.parameters(), placed, betas, fused=True, capturable=True)


def set_rate(optimiser: Adam, rate: float) -> None:
    """Let the next steps of ``optimiser`` have the learning rate ``rate``."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)  # in place: a captured graph reads it there
        else:
            group["lr"] = rate


def descend(optimiser: Adam) -> None:
    """Do a step along the gradients that the weights have."""
    for weights in _weights(optimiser):
        if weights.grad is not None:
            weights.grad = _laid_out(weights.grad, weights)
    optimiser.step()


def state(optimiser: Adam) -> dict[str, Any]:
    """What a checkpoint holds of ``optimiser``."""
    held: dict[str, Any] = optimiser.state_dict()
    groups = [{**group, "lr": float(group["lr"])} for group in held["param_groups"]]
    return {**held, "param_groups": groups}


def restore(optimiser: Adam, held: dict[str, Any]) -> None:
    """Let ``optimiser`` go on from ``held``, which may be from another device.

    Raises KeyError or ValueError where that is the state of other weights.
    """
    own = optimiser.param_groups
    here = [{name: group[name] for name in _OF_THE_DEVICE} for group in own]
    rates = [group["lr"] for group in own]
    pairs = zip(held["param_groups"], here, strict=True)
    optimiser.load_state_dict({**held, "param_groups": [saved | placed for saved, placed in pairs]})
    for group, rate in zip(optimiser.param_groups, rates, strict=True):
        group["lr"] = rate
    (saved_rate,) = {group["lr"] for group in held["param_groups"]}
    set_rate(optimiser, float(saved_rate))
    for weights in _weights(optimiser):
        moments = optimiser.state.get(weights, {})
        for name in moments.keys() & {"exp_avg", "exp_avg_sq"}:
            moments[name] = _laid_out(moments[name], weights)


def _weights(optimiser: Adam) -> list[Tensor]:
    return [weights for group in optimiser.param_groups for weights in group["params"]]


def _laid_out(values: Tensor, weights: Tensor) -> Tensor:
    """``values`` in the layout of ``weights``: one operation for all takes memory as it comes."""
    if values.stride() == weights.stride():
        return values
    return torch.empty_like(weights, requires_grad=False).copy_(values)
