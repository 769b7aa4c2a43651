"""Generators and discriminators (Radford et al. 2015, arXiv 1511.06434, section 3).

Both are plain ``nn.Sequential`` stacks of standard layers: what they compute is what is written
here, and the export can walk them layer by layer.
"""

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm as normalise


def stem(image_size: int) -> tuple[int, int]:
    """The smallest feature map of a network and the doublings from there to the image.

    Halves while an even size of at least 4 remains: 28 → (7, 2), 64 → (4, 4). Raises ValueError
    where ``image_size`` is no multiple of 4 from 16 to 128.
    """
    if image_size % 4 or not 16 <= image_size <= 128:
        raise ValueError(f"image size must be a multiple of 4 from 16 to 128, got {image_size}")
    size, doublings = image_size, 0
    while size % 2 == 0 and size >= 8:
        size, doublings = size // 2, doublings + 1
    return size, doublings


def generator(latent_dim: int, channels: int, image_size: int, filters: int) -> nn.Sequential:
    """Latents ``(n, latent_dim)`` to images ``(n, channels, image_size, image_size)`` in [-1, 1].

    ``filters`` channels before the last layer, twice as many at every halving.
    """
    size, doublings = stem(image_size)
    width = filters * 2 ** (doublings - 1)
    layers: list[nn.Module] = [
        nn.Linear(latent_dim, width * size * size, bias=False),  # (n, width * size * size)
        nn.Unflatten(1, (width, size, size)),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    ]
    for _ in range(doublings - 1):
        layers += [
            nn.ConvTranspose2d(width, width // 2, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width // 2),
            nn.ReLU(),
        ]
        width //= 2
    layers += [nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1), nn.Tanh()]
    return initialised(nn.Sequential(*layers))


def discriminator(
    channels: int, image_size: int, filters: int, spectral_norm: bool = True
) -> nn.Sequential:
    """Images ``(n, channels, image_size, image_size)`` to logits ``(n, 1)``: real is positive.

    Without ``spectral_norm`` (Miyato et al. 2018, arXiv 1802.05957) every inner convolution is
    followed by batch norm, as in the paper.
    """
    size, halvings = stem(image_size)
    layers: list[nn.Module] = []
    width_in, width = channels, filters
    # Strided convolutions down to the stem, then one that looks at the stem as a whole.
    for kernel, stride in [(4, 2)] * halvings + [(3, 1)]:
        layers.append(nn.Conv2d(width_in, width, kernel, stride=stride, padding=1))
        if not spectral_norm and width_in != channels:
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.LeakyReLU(0.2))
        width_in, width = width, width * 2
    layers += [nn.Flatten(), nn.Linear(width_in * size * size, 1)]
    network = initialised(nn.Sequential(*layers))
    if spectral_norm:
        for layer in network:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                normalise(layer)
    return network


def initialised(network: nn.Sequential) -> nn.Sequential:
    """``network`` with the paper's initial weights: N(0, 0.02), batch-norm scales N(1, 0.02)."""
    for layer in network:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network
