"""FreezeD: the lower layers of a discriminator that has seen many images keep their weights.

Mo, Cho and Shin 2020 (arXiv 2002.10964): with few new images, only the upper layers are trained.
"""

from torch import nn

from training.errors import RunError


def freeze(discriminator: nn.Module, convolutions: int) -> None:
    """Exclude the first ``convolutions`` of ``discriminator``, and their norms, from training.

    Raises RunError if it does not have so many.
    """
    layers = [
        layer
        for layer in discriminator.modules()
        if isinstance(layer, nn.Conv2d | nn.BatchNorm2d | nn.Linear)
    ]
    count = sum(isinstance(layer, nn.Conv2d) for layer in layers)
    if convolutions > count:
        raise RunError(
            f"--freeze-discriminator {convolutions}: the discriminator has {count} convolutions, "
            f"so use 0 to {count}"
        )
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            convolutions -= 1
        if convolutions < 0 or isinstance(layer, nn.Linear):
            return
        layer.requires_grad_(False)
