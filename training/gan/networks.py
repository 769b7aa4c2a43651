"""Generators and discriminators (Radford et al. 2015, arXiv 1511.06434, section 3) and their kin.

All are plain ``nn.Sequential`` stacks of standard layers: what they compute is what is written
here, and the export can walk them layer by layer.
"""

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm as normalise

from training.config import ALLOWED_SIZES, IMAGE_SIZES, Initialisation, Style
from training.gan.dropout import Dropout

DCGAN = Style()
"""The style of the preset dcgan-28."""

Layers = list[nn.Module]


def stem(image_size: int) -> tuple[int, int]:
    """The smallest feature map of a network and the doublings from there to the image.

    Halves while an even size of at least 4 remains: 28 → (7, 2), 64 → (4, 4). Raises ValueError
    where ``image_size`` is no multiple of 4 from 16 to 128.
    """
    if image_size not in IMAGE_SIZES:
        raise ValueError(f"image size must be {ALLOWED_SIZES}, got {image_size}")
    size, doublings = image_size, 0
    while size % 2 == 0 and size >= 8:
        size, doublings = size // 2, doublings + 1
    return size, doublings


def generator(
    latent_dim: int, channels: int, image_size: int, filters: int, style: Style = DCGAN
) -> nn.Sequential:
    """Latents ``(n, latent_dim)`` to images ``(n, channels, image_size, image_size)`` in [-1, 1].

    ``filters`` channels before the last layer, up to twice as many at every halving. Raises
    ValueError for an image size that ``stem`` refuses.
    """
    stack = {"keras": _keras, "upsample": _upsample}.get(style.generator, _paper)
    layers = stack(latent_dim, channels, image_size, filters, style)
    return initialised(nn.Sequential(*layers, nn.Tanh()), style.initialisation)


def _paper(latent_dim: int, channels: int, image_size: int, filters: int, style: Style) -> Layers:
    """A dense layer to the stem, then a transposed convolution a doubling (figure 1).

    Deeper ones refine the stem, or every feature map, by a convolution before it is doubled.
    """
    size, doublings = stem(image_size)
    refined = {"paper": 0, "deeper": 1, "deepest": doublings}[style.generator]
    width = filters * 2 ** (doublings - 1)
    layers: Layers = [
        nn.Linear(latent_dim, width * size * size, bias=False),  # (n, width * size * size)
        nn.Unflatten(1, (width, size, size)),
        _norm(width, style),
        _activation(style),
    ]
    for doubling in range(doublings):
        if doubling < refined:
            layers += [
                nn.Conv2d(width, width, 3, padding=1, bias=False),
                _norm(width, style),
                _activation(style),
            ]
        if doubling + 1 < doublings:
            layers += [
                nn.ConvTranspose2d(width, width // 2, 4, stride=2, padding=1, bias=False),
                _norm(width // 2, style),
                _activation(style),
            ]
            width //= 2
    return [*layers, nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1)]


def _keras(latent_dim: int, channels: int, image_size: int, filters: int, style: Style) -> Layers:
    """A dense layer to a quarter of the size, then two 5×5 doublings; batch norm comes last."""
    stem(image_size)
    size, width = image_size // 4, 2 * filters
    return [
        nn.Linear(latent_dim, width * size * size),
        nn.Unflatten(1, (width, size, size)),
        _norm(width, style),
        nn.ConvTranspose2d(width, filters, 5, stride=2, padding=2, output_padding=1),
        _activation(style),
        _norm(filters, style),
        nn.ConvTranspose2d(filters, channels, 5, stride=2, padding=2, output_padding=1),
    ]


def _upsample(
    latent_dim: int, channels: int, image_size: int, filters: int, style: Style
) -> Layers:
    """A dense layer to a quarter of the size, then twice nearest upsampling and a convolution."""
    stem(image_size)
    size, width = image_size // 4, 2 * filters
    layers: Layers = [
        nn.Linear(latent_dim, width * size * size),
        nn.Unflatten(1, (width, size, size)),
        _activation(style),
    ]
    for width_out in (width, filters):
        layers += [
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, width_out, 3, padding=1),
            _norm(width_out, style),
            _activation(style),
        ]
    return [*layers, nn.Conv2d(filters, channels, 3, padding=1)]


def _norm(width: int, style: Style) -> nn.Module:
    return nn.BatchNorm2d(width, style.norm_eps, style.norm_momentum)


def _activation(style: Style) -> nn.Module:
    return {"relu": nn.ReLU(), "leaky": nn.LeakyReLU(0.2), "selu": nn.SELU()}[style.activation]


def discriminator(
    channels: int, image_size: int, filters: int, spectral_norm: bool = True, style: Style = DCGAN
) -> nn.Sequential:
    """Images ``(n, channels, image_size, image_size)`` to logits ``(n, 1)``: real is positive.

    ``filters`` channels after the first convolution, twice as many after each further one. Without
    ``spectral_norm`` (Miyato et al. 2018, arXiv 1802.05957) every inner convolution is followed by
    batch norm, as in the paper, unless ``style`` will have none; ``keras`` has never any. Raises
    ValueError for an image size that ``stem`` refuses.
    """
    batch_norm = style.batch_norm and not spectral_norm and style.discriminator != "keras"
    layers: Layers = []
    size, width_in, width = image_size, channels, filters
    for kernel, stride in _convolutions(image_size, style):
        padding = (kernel - 1) // 2
        layers.append(nn.Conv2d(width_in, width, kernel, stride=stride, padding=padding))
        if batch_norm and len(layers) > 1:
            layers.append(_norm(width, style))
        layers.append(nn.LeakyReLU(0.2))
        if style.dropout:
            layers.append(Dropout(style.dropout))
        size = (size + stride - 1) // stride
        width_in, width = width, width * 2
    layers += [nn.Flatten(), nn.Linear(width_in * size * size, 1)]
    network = initialised(nn.Sequential(*layers), style.initialisation)
    if spectral_norm:
        for layer in network:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                normalise(layer)
    return network


def _convolutions(image_size: int, style: Style) -> list[tuple[int, int]]:
    """The kernel and the stride of each of a discriminator's convolutions."""
    _, halvings = stem(image_size)
    return {
        "paper": [(4, 2)] * halvings,
        # One more looks at the stem as a whole.
        "deeper": [(4, 2)] * halvings + [(3, 1)],
        "keras": [(5, 2)] * 2,
        "upsample": [(3, 2)] * 3 + [(3, 1)],
    }[style.discriminator]


def initialised(network: nn.Sequential, initialisation: Initialisation = "normal") -> nn.Sequential:
    """``network`` with new weights; biases are zero.

    ``normal`` is the paper's: N(0, 0.02), batch-norm scales N(1, 0.02). ``glorot`` is uniform
    (Glorot and Bengio 2010, equation 16) with batch-norm scales of one, as Keras has it.
    """
    for layer in network:
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
