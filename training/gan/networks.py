"""Generators and discriminators (Radford et al. 2015, arXiv 1511.06434, section 3) and variants.

All are plain ``nn.Sequential`` stacks of standard layers and ``Residual`` blocks. The code here
shows everything that they compute, and the export can walk them layer by layer.
"""

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm as normalise

from training.config import ALLOWED_SIZES, IMAGE_SIZES, Architecture, Initialisation
from training.gan.dropout import Dropout
from training.gan.residual import Residual

DCGAN = Architecture()
"""The architecture of the preset dcgan-28."""

Layers = list[nn.Module]


def stem(image_size: int) -> tuple[int, int]:
    """The size of a network's smallest feature map, and the number of doublings to the image's.

    The image size is halved while it is even and at least 8: 28 → (7, 2), 64 → (4, 4). Raises
    ValueError if ``image_size`` is not a multiple of 4 from 16 to 128.
    """
    if image_size not in IMAGE_SIZES:
        raise ValueError(f"image size must be {ALLOWED_SIZES}, got {image_size}")
    size, doublings = image_size, 0
    while size % 2 == 0 and size >= 8:
        size, doublings = size // 2, doublings + 1
    return size, doublings


def generator(
    latent_dim: int,
    channels: int,
    image_size: int,
    filters: int,
    architecture: Architecture = DCGAN,
) -> nn.Sequential:
    """A network from latents ``(n, latent_dim)`` to images ``(n, channels, size, size)``.

    The images are in [-1, 1]. The last layer has ``filters`` input channels, and most feature maps
    of half the size twice as many. Raises ValueError for an image size that ``stem`` rejects.
    """
    build = {"keras": _keras, "upsample": _upsample, "lean": _lean}.get(
        architecture.generator, _paper
    )
    layers = build(latent_dim, channels, image_size, filters, architecture)
    return initialised(nn.Sequential(*layers, nn.Tanh()), architecture.initialisation)


def _paper(
    latent_dim: int, channels: int, image_size: int, filters: int, architecture: Architecture
) -> Layers:
    """A dense layer to the stem, then one transposed convolution for each doubling (figure 1).

    ``deeper`` adds a convolution on the stem, ``deepest`` one on every feature map.
    """
    size, doublings = stem(image_size)
    extra = {"paper": 0, "deeper": 1, "deepest": doublings}[architecture.generator]
    width = filters * 2 ** (doublings - 1)
    layers: Layers = [
        nn.Linear(latent_dim, width * size * size, bias=False),  # (n, width * size * size)
        nn.Unflatten(1, (width, size, size)),
        _norm(width, architecture),
        _activation(architecture),
    ]
    for doubling in range(doublings):
        if doubling < extra:
            layers += [
                nn.Conv2d(width, width, 3, padding=1, bias=False),
                _norm(width, architecture),
                _activation(architecture),
            ]
        if doubling + 1 < doublings:
            layers += [
                nn.ConvTranspose2d(width, width // 2, 4, stride=2, padding=1, bias=False),
                _norm(width // 2, architecture),
                _activation(architecture),
            ]
            width //= 2
    return [*layers, nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1)]


def _keras(
    latent_dim: int, channels: int, image_size: int, filters: int, architecture: Architecture
) -> Layers:
    """A dense layer to a quarter of the image size, then two 5×5 transposed convolutions.

    Batch norm follows the activation.
    """
    stem(image_size)
    size, width = image_size // 4, 2 * filters
    return [
        nn.Linear(latent_dim, width * size * size),
        nn.Unflatten(1, (width, size, size)),
        _norm(width, architecture),
        nn.ConvTranspose2d(width, filters, 5, stride=2, padding=2, output_padding=1),
        _activation(architecture),
        _norm(filters, architecture),
        nn.ConvTranspose2d(filters, channels, 5, stride=2, padding=2, output_padding=1),
    ]


def _upsample(
    latent_dim: int, channels: int, image_size: int, filters: int, architecture: Architecture
) -> Layers:
    """A dense layer to a quarter of the image size, then twice upsampling and a convolution."""
    stem(image_size)
    size, width = image_size // 4, 2 * filters
    layers: Layers = [
        nn.Linear(latent_dim, width * size * size),
        nn.Unflatten(1, (width, size, size)),
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
    latent_dim: int, channels: int, image_size: int, filters: int, architecture: Architecture
) -> Layers:
    """Convolutions where the feature maps are small, for the least time per image on a CPU.

    The smallest feature map has ``generator_blocks`` residual blocks of one convolution, each
    larger one has one fewer, but at least one. A 1×1 convolution and nearest-neighbour upsampling
    lead to the next map; onnxruntime does both without leaving its blocked layout. The largest map,
    of half the image size, has ``filters`` channels, each smaller one twice as many. A sub-pixel
    convolution (Shi et al. 2016, arXiv 1609.05158) gives the image.
    """
    size, doublings = _lean_stem(image_size)
    widths = [filters * 2**k for k in reversed(range(doublings))]
    layers: Layers = [
        nn.Linear(latent_dim, widths[0] * size * size, bias=False),
        nn.Unflatten(1, (widths[0], size, size)),
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


def _lean_stem(image_size: int) -> tuple[int, int]:
    """As ``stem``, but the smallest map is at least 7: 28 → (7, 2), 64 → (8, 3)."""
    size, doublings = stem(image_size)
    while size < 7 and doublings > 1:
        size, doublings = 2 * size, doublings - 1
    return size, doublings


def _norm(width: int, architecture: Architecture) -> nn.Module:
    return nn.BatchNorm2d(width, architecture.norm_eps, architecture.norm_momentum)


def _activation(architecture: Architecture) -> nn.Module:
    layers = {"relu": nn.ReLU(), "leaky": nn.LeakyReLU(0.2), "selu": nn.SELU()}
    return layers[architecture.activation]


def discriminator(
    channels: int,
    image_size: int,
    filters: int,
    spectral_norm: bool = True,
    architecture: Architecture = DCGAN,
) -> nn.Sequential:
    """A network from images ``(n, channels, size, size)`` to logits ``(n, 1)``, positive for real.

    The first convolution has ``filters`` output channels, each further one twice as many. With
    ``spectral_norm`` (Miyato et al. 2018, arXiv 1802.05957) the weights of all layers are
    normalised. Without it, batch norm follows every inner convolution, as in the paper, unless
    ``architecture`` disables it; ``keras`` never has batch norm. Raises ValueError for an image
    size that ``stem`` rejects.
    """
    batch_norm = (
        architecture.batch_norm and not spectral_norm and architecture.discriminator != "keras"
    )
    layers: Layers = []
    size, width_in, width = image_size, channels, filters
    for kernel, stride in _convolutions(image_size, architecture):
        padding = (kernel - 1) // 2
        layers.append(nn.Conv2d(width_in, width, kernel, stride=stride, padding=padding))
        if batch_norm and len(layers) > 1:
            layers.append(_norm(width, architecture))
        layers.append(nn.LeakyReLU(0.2))
        if architecture.dropout:
            layers.append(Dropout(architecture.dropout))
        size = (size + stride - 1) // stride
        width_in, width = width, width * 2
    layers += [nn.Flatten(), nn.Linear(width_in * size * size, 1)]
    network = initialised(nn.Sequential(*layers), architecture.initialisation)
    if spectral_norm:
        for layer in network:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                normalise(layer)
    return network


def _convolutions(image_size: int, architecture: Architecture) -> list[tuple[int, int]]:
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
