"""Dropout with a mask that is cheap to make on a CPU."""

import torch
from torch import Tensor, nn

_BITS = 16
_WORD = 64


class Dropout(nn.Dropout):
    """Dropout (Srivastava et al. 2014, section 4) that uses 16 random bits for each activation.

    ``nn.Dropout`` draws one random number for each activation, which on a CPU takes a quarter of a
    training step of ``keras-28``. Here one 64-bit number serves four activations. The dropped share
    is ``p``, rounded to a multiple of 2⁻¹⁶; the other activations are scaled so that the expected
    value stays exactly the same. On a GPU, when compiled, and outside training, this is
    ``nn.Dropout``.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 the parameter's name in nn.Dropout
        """``input``, of any shape, multiplied by a random mask."""
        dropped = round(self.p * 2**_BITS)
        cheap = input.device.type == "cpu" and not torch.compiler.is_compiling()
        if not self.training or not 0 < dropped < 2**_BITS or not cheap:
            return super().forward(input)
        kept = _random_bits(input) >= dropped - 2 ** (_BITS - 1)
        mask = kept.to(input.dtype).mul_(2**_BITS / (2**_BITS - dropped))
        return torch.mul(input, mask)


def _random_bits(like: Tensor) -> Tensor:
    """16 random bits for each element of ``like``, as int16, in its shape and memory format."""
    words = torch.empty(-(-like.numel() * _BITS // _WORD), dtype=torch.int64)
    words.random_(-(2**63), None)  # all 64 bits
    # The strides of ``like`` make the product fast. Random bits may be read in any order.
    strides = torch.empty_like(like, device="meta").stride()
    return words.view(torch.int16).as_strided(like.shape, strides)
