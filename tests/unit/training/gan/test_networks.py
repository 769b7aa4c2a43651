import pytest
import torch
from torch import nn

from training.config import Architecture, DiscriminatorStack
from training.gan import networks
from training.gan.residual import Residual
from training.image_size import ImageSize, parsed

SIZES = [16, 28, 64, 128, 256]
square = ImageSize.square


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_a_generators_images_are_from_minus_one_to_one(size: int, channels: int) -> None:
    torch.manual_seed(0)
    images = networks.generator(5, channels, square(size), filters=2)(100 * torch.randn(3, 5))
    assert images.shape == (3, channels, size, size)
    assert images.abs().max() <= 1
    assert images.std() > 0


@pytest.mark.parametrize("spectral_norm", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_a_discriminator_returns_one_unbounded_logit_for_each_image(
    size: int, channels: int, spectral_norm: bool
) -> None:
    torch.manual_seed(0)
    network = networks.discriminator(channels, square(size), 2, spectral_norm)
    logits = network(torch.rand(3, channels, size, size))
    assert logits.shape == (3, 1)
    assert isinstance(network[-1], nn.Linear)


@pytest.mark.parametrize("size", [-16, 0, 4, 8, 12, 15, 17, 18, 126, 258, 260])
def test_a_size_without_a_stem_is_an_error(size: int) -> None:
    with pytest.raises(ValueError, match=f"got {size}$"):
        networks.generator(1, 1, square(size), 1)
    with pytest.raises(ValueError, match=f"got {size}$"):
        networks.discriminator(1, square(size), 1)


@pytest.mark.parametrize(
    ("size", "stem", "doublings"),
    [
        ("16", "4", 2),
        ("20", "5", 2),
        ("28", "7", 2),
        ("64", "4", 4),
        ("128", "4", 5),
        ("256", "4", 6),
        ("64x96", "4x6", 4),
        ("96x64", "6x4", 4),
        ("28x64", "7x16", 2),
        ("256x16", "64x4", 2),
    ],
)
def test_the_stem_and_its_doublings_give_the_size(size: str, stem: str, doublings: int) -> None:
    found, count = networks.stem(parsed(size))
    assert (str(found), count) == (stem, doublings)
    assert ImageSize(*(side << count for side in found)) == parsed(size)


@pytest.mark.parametrize(
    ("size", "maps"), [(16, [(8, 3)]), (28, [(7, 6), (14, 3)]), (64, [(8, 12), (16, 6), (32, 3)])]
)
def test_a_lean_generator_has_its_convolutions_on_small_maps(
    size: int, maps: list[tuple[int, int]]
) -> None:
    network = networks.generator(
        5, 1, square(size), 3, Architecture(generator="lean", generator_blocks=3)
    )
    found = []
    for layer in network:
        if isinstance(layer, Residual):
            layer.register_forward_hook(lambda _, __, out: found.append((out.size(2), out.size(1))))
    network(torch.randn(2, 5))
    assert found == [one for one, count in zip(maps, (3, 2, 1), strict=False) for _ in range(count)]


@pytest.mark.parametrize("mapping", [0, 2])
def test_the_default_generator_has_the_known_number_of_parameters(mapping: int) -> None:
    network = networks.generator(64, 1, square(28), 32, Architecture(generator_mapping=mapping))
    added = mapping * (64 * 256 + 256 + 256 * 64 + 64)
    assert sum(parameter.numel() for parameter in network.parameters()) == 287_364 + added


def test_initial_weights_are_the_papers() -> None:
    torch.manual_seed(0)
    stacks = (
        networks.generator(100, 1, square(28), 64),
        networks.discriminator(1, square(28), 64, False),
    )
    for layer in (layer for stack in stacks for layer in stack):
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.mean().item() == pytest.approx(1, abs=0.01)
        elif isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            assert layer.weight.mean().item() == pytest.approx(0, abs=0.003)
        else:
            continue
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.2)
        assert layer.bias is None or not layer.bias.any()


def test_spectral_norm_holds_the_largest_singular_value_of_every_layer_at_one() -> None:
    torch.manual_seed(0)
    network = networks.discriminator(1, square(28), 8)
    for _ in range(30):  # each pass is one step of the power iteration
        network(torch.rand(2, 1, 28, 28))
    layers = [layer for layer in network if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(layers) == 4
    for layer in layers:
        largest = torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item()
        assert largest == pytest.approx(1, abs=0.02)


def test_spectral_norm_takes_the_place_of_batch_norm() -> None:
    network = networks.discriminator(1, square(64), 2, True)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in network)


def test_without_spectral_norm_the_inner_convolutions_have_batch_norm() -> None:
    network = networks.discriminator(1, square(64), 2, False, Architecture(batch_norm=True))
    pairs = zip(network, list(network)[1:], strict=False)
    after = [following for layer, following in pairs if isinstance(layer, nn.Conv2d)]
    assert isinstance(after[0], nn.LeakyReLU)  # the first convolution, on the image, has none
    assert all(isinstance(layer, nn.BatchNorm2d) for layer in after[1:])
    assert len(after) == 5
    assert not any(nn.utils.parametrize.is_parametrized(layer) for layer in network)


@pytest.mark.parametrize("stack", ["paper", "deeper", "keras", "upsample"])
def test_a_discriminator_may_have_no_norm_at_all(stack: DiscriminatorStack) -> None:
    architecture = Architecture(discriminator=stack, batch_norm=False)
    for layer in networks.discriminator(1, square(28), 2, False, architecture):
        assert not isinstance(layer, nn.BatchNorm2d)
        assert not nn.utils.parametrize.is_parametrized(layer)


def test_without_batch_norm_a_discriminator_with_spectral_norm_is_the_same() -> None:
    names = [
        list(
            networks.discriminator(
                1, square(28), 2, True, Architecture(batch_norm=batch_norm)
            ).state_dict()
        )
        for batch_norm in (True, False)
    ]
    assert names[0] == names[1]


def test_the_generator_keeps_its_batch_norm() -> None:
    layers = networks.generator(3, 1, square(28), 2, Architecture(batch_norm=False))
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in layers)
