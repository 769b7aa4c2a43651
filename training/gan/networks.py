"""Generators and discriminators (Radford et al. 2015, arXiv 1511.06434, section 3) and variants.

All are plain ``nn.Sequential`` stacks of standard layers and ``Residual`` blocks. The code here
shows everything that they compute, and the export can walk them layer by layer.
"""

import math

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm as normalise

from training.config import Architecture, Initialisation
from training.gan.dropout import Dropout
from training.gan.residual import Residual
from training.image_size import ALLOWED_SIZES, ImageSize

DCGAN = Architecture()
"""The architecture of the preset dcgan-28."""

WIDEST = 16
"""Most channels of a feature map, as a multiple of those of the largest map.

It bounds the networks of images of more than 128 pixels: those of ``paper-64`` would otherwise have
four times as many weights for 256 pixels as for 128.
"""

Layers = list[nn.Module]


def stem(image_size: ImageSize) -> tuple[ImageSize, int]:
    """The size of a network's smallest feature map, and the number of doublings to the image's.

    Both sides are halved while both are even and at least 8: 28 → (7, 2), 64 → (4, 4), 64x96 →
    (4x6, 4). Raises ValueError for a size that is not supported.
    """
    if not image_size.is_supported:
        raise ValueError(f"image size must be {ALLOWED_SIZES}, got {image_size}")
    size, doublings = image_size, 0
    while all(side % 2 == 0 and side >= 8 for side in size):
        size, doublings = ImageSize(size.width // 2, size.height // 2), doublings + 1
    return size, doublings


def generator(
    latent_dim: int,
    channels: int,
    image_size: ImageSize,
    filters: int,
    architecture: Architecture = DCGAN,
) -> nn.Sequential:
    """A network from latents ``(n, latent_dim)`` to images ``(n, channels, height, width)``.

    The images are in [-1, 1]. The last layer has ``filters`` input channels, and most feature maps
    of half the size twice as many, at most ``WIDEST`` times as many. Raises ValueError for an image
    size that ``stem`` rejects.
    """
    build = {"keras": _keras, "upsample": _upsample, "lean": _lean}.get(
        architecture.generator, _paper
    )
    layers = build(latent_dim, channels, image_size, filters, architecture)
    return initialised(nn.Sequential(*layers, nn.Tanh()), architecture.initialisation)


def _paper(
    latent_dim: int, channels: int, image_size: ImageSize, filters: int, architecture: Architecture
) -> Layers:
    """A dense layer to the stem, then one transposed convolution for each doubling (figure 1).

    ``deeper`` adds a convolution on the stem, ``deepest`` one on every feature map.
    """
    size, doublings = stem(image_size)
    extra = {"paper": 0, "deeper": 1, "deepest": doublings}[architecture.generator]
    widths = _widths(filters, doublings)
    layers: Layers = [
        *_dense(latent_dim, widths[0], size, bias=False),
        _norm(widths[0], architecture),
        _activation(architecture),
    ]
    for number, width in enumerate(widths):
        if number < extra:
            layers += [
                nn.Conv2d(width, width, 3, padding=1, bias=False),
                _norm(width, architecture),
                _activation(architecture),
            ]
        for following in widths[number + 1 : number + 2]:  # none after the last one
            layers += [
                nn.ConvTranspose2d(width, following, 4, stride=2, padding=1, bias=False),
                _norm(following, architecture),
                _activation(architecture),
            ]
    return [*layers, nn.ConvTranspose2d(filters, channels, 4, stride=2, padding=1)]


def _keras(
    latent_dim: int, channels: int, image_size: ImageSize, filters: int, architecture: Architecture
) -> Layers:
    """A dense layer to a quarter of the image size, then two 5×5 transposed convolutions.

    Batch norm follows the activation.
    """
    width = 2 * filters
    return [
        *_dense(latent_dim, width, _quarter(image_size)),
        _norm(width, architecture),
        nn.ConvTranspose2d(width, filters, 5, stride=2, padding=2, output_padding=1),
        _activation(architecture),
        _norm(filters, architecture),
        nn.ConvTranspose2d(filters, channels, 5, stride=2, padding=2, output_padding=1),
    ]


def _upsample(
    latent_dim: int, channels: int, image_size: ImageSize, filters: int, architecture: Architecture
) -> Layers:
    """A dense layer to a quarter of the image size, then twice upsampling and a convolution."""
    width = 2 * filters
    layers: Layers = [
        *_dense(latent_dim, width, _quarter(image_size)),
        _activation(architecture),
    ]
    for width_out in (width, filters):
        layers += [
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, width_out, 3, padding=1),
            _norm(width_out, architecture),
            _activation(architecture),
        ]
    return [*layers, nn.Conv2d(filters, channels, 3, padding=1)]


def _lean(
    latent_dim: int, channels: int, image_size: ImageSize, filters: int, architecture: Architecture
) -> Layers:
    """Convolutions where the feature maps are small, for the least time per image on a CPU.

    The smallest feature map has ``generator_blocks`` residual blocks of one convolution, each
    larger one has one fewer, but at least one. A 1×1 convolution and nearest-neighbour upsampling
    lead to the next map; onnxruntime does both without leaving its blocked layout. The largest map,
    of half the image size, has ``filters`` channels, each smaller one twice as many. A sub-pixel
    convolution (Shi et al. 2016, arXiv 1609.05158) gives the image. ``generator_mapping`` residual
    blocks of dense layers come before all that: a mapping network (Karras et al. 2019, arXiv
    1812.04948, section 2).
    """
    size, doublings = _lean_stem(image_size)
    widths = _widths(filters, doublings)
    layers: Layers = [
        *(_mapping(latent_dim) for _ in range(architecture.generator_mapping)),
        *_dense(latent_dim, widths[0], size, bias=False),
        _norm(widths[0], architecture),
        _activation(architecture),
    ]
    for number, width in enumerate(widths):
        for _ in range(max(1, architecture.generator_blocks - number)):
            convolution = nn.Conv2d(width, width, 3, padding=1, bias=False)
            layers += [
                Residual(convolution, _norm(width, architecture)),
                _activation(architecture),
            ]
        if number + 1 < doublings:
            layers += [
                nn.Conv2d(width, width // 2, 1, bias=False),
                _norm(width // 2, architecture),
                _activation(architecture),
                nn.Upsample(scale_factor=2),
            ]
    return [*layers, nn.Conv2d(filters, 4 * channels, 3, padding=1), nn.PixelShuffle(2)]


def _mapping(width: int) -> Residual:
    """A residual block of two dense layers on latents of this ``width``."""
    return Residual(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))


def _lean_stem(image_size: ImageSize) -> tuple[ImageSize, int]:
    """As ``stem``, but both sides of the map are at least 7: 28 → (7, 2), 64 → (8, 3)."""
    size, doublings = stem(image_size)
    while min(size) < 7 and doublings > 1:
        size, doublings = ImageSize(2 * size.width, 2 * size.height), doublings - 1
    return size, doublings


def _quarter(image_size: ImageSize) -> ImageSize:
    """A quarter of the width and of the height. Raises ValueError as ``stem`` does."""
    stem(image_size)
    return ImageSize(image_size.width // 4, image_size.height // 4)


def _widths(filters: int, doublings: int) -> list[int]:
    """The channels of the feature maps of a generator, from the smallest map to the largest."""
    return [filters * min(2**k, WIDEST) for k in reversed(range(doublings))]


def _dense(latent_dim: int, width: int, size: ImageSize, *, bias: bool = True) -> Layers:
    """A dense layer from latents to feature maps ``(n, width, size.height, size.width)``."""
    return [
        nn.Linear(latent_dim, width * size.height * size.width, bias=bias),
        nn.Unflatten(1, (width, size.height, size.width)),
    ]


def _norm(width: int, architecture: Architecture) -> nn.Module:
    return nn.BatchNorm2d(width, architecture.norm_eps, architecture.norm_momentum)


def _activation(architecture: Architecture) -> nn.Module:
    layers = {"relu": nn.ReLU(), "leaky": nn.LeakyReLU(0.2), "selu": nn.SELU()}
    return layers[architecture.activation]


def discriminator(
    channels: int,
    image_size: ImageSize,
    filters: int,
    spectral_norm: bool = True,
    architecture: Architecture = DCGAN,
) -> nn.Sequential:
    """A network from images ``(n, channels, height, width)`` to logits, positive for real.

    The logits are ``(n, 1)``. The first convolution has ``filters`` output channels, each further
    one twice as many; those that halve the image have at most ``WIDEST`` times as many. With
    ``spectral_norm`` (Miyato et al. 2018, arXiv 1802.05957) the weights of all layers are
    normalised. Without it, batch norm follows every inner convolution, as in the paper, unless
    ``architecture`` disables it; ``keras`` never has batch norm. Raises ValueError for an image
    size that ``stem`` rejects.
    """
    batch_norm = (
        architecture.batch_norm and not spectral_norm and architecture.discriminator != "keras"
    )
    layers: Layers = []
    sides, width_in = [*image_size], channels
    for number, (kernel, stride) in enumerate(_convolutions(image_size, architecture)):
        width = filters * min(2**number, WIDEST) if stride > 1 else 2 * width_in
        padding, normed = (kernel - 1) // 2, batch_norm and number > 0
        # A batch norm subtracts any bias before it with the mean. Keras has one all the same.
        bias = not normed or architecture.discriminator == "upsample"
        layers.append(nn.Conv2d(width_in, width, kernel, stride=stride, padding=padding, bias=bias))
        if normed:
            layers.append(_norm(width, architecture))
        layers.append(nn.LeakyReLU(0.2))
        if architecture.dropout:
            layers.append(Dropout(architecture.dropout))
        sides = [-(-side // stride) for side in sides]
        width_in = width
    layers += [nn.Flatten(), nn.Linear(width_in * math.prod(sides), 1)]
    network = initialised(nn.Sequential(*layers), architecture.initialisation)
    return _normalised(network) if spectral_norm else network


def _normalised(network: nn.Sequential) -> nn.Sequential:
    """``network`` itself, with the weights of its layers divided by their spectral norms."""
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            normalise(layer)
    return network


def _convolutions(image_size: ImageSize, architecture: Architecture) -> list[tuple[int, int]]:
    """The kernel size and the stride of each convolution of a discriminator."""
    _, halvings = stem(image_size)
    return {
        "paper": [(4, 2)] * halvings,
        "deeper": [(4, 2)] * halvings + [(3, 1)],  # the last one on the stem
        "keras": [(5, 2)] * 2,
        "upsample": [(3, 2)] * 3 + [(3, 1)],
    }[architecture.discriminator]


def initialised(network: nn.Sequential, initialisation: Initialisation = "normal") -> nn.Sequential:
    """``network`` itself, with new random weights and biases of zero.

    ``normal`` is the paper's: N(0, 0.02), batch-norm scales N(1, 0.02). ``glorot`` is uniform
    (Glorot and Bengio 2010, equation 16) with batch-norm scales of one, as in Keras.
    """
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            if initialisation == "normal":
                nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            if initialisation == "normal":
                nn.init.normal_(layer.weight, 0.0, 0.02)
            else:
                nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network
