"""Dropout whose mask is cheap on a CPU."""

import torch
from torch import Tensor, nn

_BITS = 16
_WORD = 64


class Dropout(nn.Dropout):
    """Dropout (Srivastava et al. 2014, section 4) that takes 16 random bits an activation.

    ``nn.Dropout`` takes a random number for each, which on a CPU is a quarter of a training step of
    ``keras-28``; here one 64-bit number serves four. The share that is dropped is ``p`` to the
    nearest 2⁻¹⁶, and the others are scaled by exactly what keeps their expectation. On a GPU,
    compiled, and when it is not training, it is ``nn.Dropout``.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 named so by nn.Dropout
        """``input``, of any shape, with the mask on it."""
        dropped = round(self.p * 2**_BITS)
        cheap = input.device.type == "cpu" and not torch.compiler.is_compiling()
        if not self.training or not 0 < dropped < 2**_BITS or not cheap:
            return super().forward(input)
        kept = _random_bits(input) >= dropped - 2 ** (_BITS - 1)
        mask = kept.to(input.dtype).mul_(2**_BITS / (2**_BITS - dropped))
        return torch.mul(input, mask)


def _random_bits(like: Tensor) -> Tensor:
    """16 random bits for every number in ``like``, as int16, in its shape and memory format."""
    words = torch.empty(-(-like.numel() * _BITS // _WORD), dtype=torch.int64)
    words.random_(-(2**63), None)  # all 64 bits
    # In one order with what they decide upon: any order of random bits is as good.
    strides = torch.empty_like(like, device="meta").stride()
    return words.view(torch.int16).as_strided(like.shape, strides)
