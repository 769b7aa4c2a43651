import numpy as np
import onnx
import pytest
import torch
from torch import nn

from app.latent import sampling
from training.errors import ExportError
from training.export.cpu_session import run_graph
from training.export.graph import build_graph
from training.gan.pixels import to_pixels
from training.gan.residual import Residual

WIDTH, SIDE = 5, 6


def stack(*layers: nn.Module) -> nn.Sequential:
    """The layers on feature maps (2, 6, 6) that have every sign and size."""
    torch.manual_seed(0)
    dense = nn.Linear(WIDTH, 2 * SIDE * SIDE)
    return nn.Sequential(dense, nn.Unflatten(1, (2, SIDE, SIDE)), *layers).eval()


def assert_same_drawing(network: nn.Sequential) -> list[str]:
    """Asserts that the graph draws what ``network`` draws; returns the graph's operators."""
    z = sampling.from_seeds(range(40), WIDTH)
    expected = to_pixels(network, torch.from_numpy(z))
    _, *image_shape = expected.shape
    content = build_graph(network, WIDTH, tuple(image_shape), {})
    difference = np.abs(run_graph(content, z).astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.001
    assert expected.std() > 20
    return [node.op_type for node in onnx.load_from_string(content).graph.node][2:-6]


@pytest.mark.parametrize("slope", [0.01, 0.2, 0.9])
def test_a_leaky_relu_keeps_its_slope(slope: float) -> None:
    assert assert_same_drawing(stack(nn.LeakyReLU(slope))) == ["LeakyRelu"]


def test_a_selu_has_its_own_constants() -> None:
    assert assert_same_drawing(stack(nn.SELU())) == ["Selu"]


def test_a_residual_block_adds_its_input() -> None:
    torch.manual_seed(1)
    block = Residual(nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 1))
    features = torch.rand(2, 2, 4, 4)
    plain = nn.Sequential(*block)
    torch.testing.assert_close(block(features), features + plain(features))
    assert assert_same_drawing(stack(block, nn.ReLU())) == ["Conv", "Relu", "Conv", "Add", "Relu"]


@pytest.mark.parametrize("factor", [2, 3])
def test_a_pixel_shuffle_turns_channels_into_pixels(factor: int) -> None:
    network = stack(nn.Conv2d(2, factor**2, 1), nn.PixelShuffle(factor))
    assert assert_same_drawing(network) == ["Conv", "DepthToSpace"]


def test_a_conditional_graph_takes_latents_and_classes() -> None:
    network = stack()
    rows = sampling.from_seeds(range(9), WIDTH)
    content = build_graph(network, WIDTH - 2, (SIDE, SIDE, 2), {}, conditions=2)
    inputs = onnx.load_from_string(content).graph.input
    assert [node.name for node in inputs] == ["latents", "classes"]
    widths = [node.type.tensor_type.shape.dim[1].dim_value for node in inputs]
    assert widths == [WIDTH - 2, 2]
    plain = build_graph(network, WIDTH, (SIDE, SIDE, 2), {})
    np.testing.assert_array_equal(run_graph(content, rows, 2), run_graph(plain, rows))


@pytest.mark.parametrize("factor", [2, 3])
def test_nearest_upsampling_repeats_every_pixel(factor: int) -> None:
    network = stack(nn.Upsample(scale_factor=factor))
    assert assert_same_drawing(network) == ["Resize"]
    z = sampling.from_seeds(range(3), WIDTH)
    side = SIDE * factor
    drawn = run_graph(build_graph(network, WIDTH, (side, side, 2), {}), z)
    once = run_graph(build_graph(stack(), WIDTH, (SIDE, SIDE, 2), {}), z)
    np.testing.assert_array_equal(drawn, once.repeat(factor, axis=1).repeat(factor, axis=2))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Upsample(size=12),
        nn.Upsample(scale_factor=(2, 3)),
    ],
    ids=repr,
)
def test_other_upsampling_is_refused(layer: nn.Module) -> None:
    with pytest.raises(ExportError, match="Upsample"):
        build_graph(stack(layer), WIDTH, (12, 12, 2), {})


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(2, 3, 3, padding=1),
        nn.Conv2d(2, 1, 3, bias=False),
        nn.Conv2d(2, 3, (1, 3), stride=(1, 2), padding=(0, 1)),
        nn.Conv2d(2, 2, 3, padding=2, dilation=2, groups=2),
    ],
    ids=["padded", "no bias", "oblong", "dilated and in groups"],
)
def test_a_convolution_keeps_its_settings(convolution: nn.Conv2d) -> None:
    assert assert_same_drawing(stack(convolution)) == ["Conv"]


@pytest.mark.parametrize("padding", [1, 2])
def test_a_five_by_five_doubling_keeps_its_output_padding(padding: int) -> None:
    doubling = nn.ConvTranspose2d(2, 1, 5, stride=2, padding=padding, output_padding=1)
    assert assert_same_drawing(stack(doubling)) == ["ConvTranspose"]
