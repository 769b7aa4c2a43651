"""A residual block (He et al. 2016, arXiv 1512.03385, section 3.2)."""

from torch import Tensor, nn


class Residual(nn.Sequential):
    """Adds its input to the output of its layers, which keep the shape."""

    def forward(self, features: Tensor) -> Tensor:
        """``features`` plus what the layers make of them."""
        changed = features
        for layer in self:
            changed = layer(changed)
        return features + changed
