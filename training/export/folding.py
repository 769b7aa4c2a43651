"""Folds reparametrised weights: spectral norm and weight norm store a weight in parts.

Every layer gets its one ``weight``, as PyTorch computes it in eval mode.
"""

import torch
from torch import Tensor

from training.errors import ExportError

Tensors = dict[str, Tensor]
"""The tensors of one layer, by the last part of their names: weight, bias, running_mean, …"""

# PyTorch's names for the same tensors: those of torch.nn.utils.parametrizations on the left, those
# of the older torch.nn.utils.spectral_norm and weight_norm on the right.
_OLD_NAMES = {
    "parametrizations.weight.0._u": "weight_u",
    "parametrizations.weight.0._v": "weight_v",
    "parametrizations.weight.original": "weight_orig",
    "parametrizations.weight.original0": "weight_g",
    "parametrizations.weight.original1": "weight_v",
}


def fold(name: str, tensors: Tensors) -> Tensors:
    """``tensors`` of the transposed convolution ``name`` with one ``weight`` in place of its parts.

    Returns them unchanged if they have no such parts. Raises ExportError if parts are missing or
    do not fit each other.
    """
    tensors = {_OLD_NAMES.get(last, last): tensor for last, tensor in tensors.items()}
    try:
        if "weight_orig" in tensors:
            weight = _spectral(*map(tensors.pop, ("weight_orig", "weight_u", "weight_v")))
        elif "weight_g" in tensors:
            weight = _normalised(*map(tensors.pop, ("weight_g", "weight_v")))
        else:
            return tensors
    except KeyError as error:
        raise ExportError(f"{name}.{error.args[0]}: is missing") from error
    except (RuntimeError, IndexError) as error:
        raise ExportError(f"{name}: the parts of its weight do not fit each other") from error
    return {"weight": weight, **tensors}


def _spectral(weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """``weight`` divided by its spectral norm, which ``u`` and ``v`` estimate.

    As a matrix, the weight of a transposed convolution has a row for each output channel.
    """
    matrix = weight.transpose(0, 1).flatten(1)
    return weight / torch.dot(u, matrix @ v)


def _normalised(length: Tensor, direction: Tensor) -> Tensor:
    """``direction`` with the norms ``length``, over the axes along which ``length`` is 1."""
    axes = [k for k in range(direction.ndim) if not length.ndim or length.shape[k] == 1]
    norm: Tensor = torch.linalg.vector_norm(direction, dim=axes, keepdim=True)
    return direction * (length / norm)
