from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from app.latent import sampling
from training.errors import ExportError
from training.export.cpu_session import run_graph
from training.export.graph import OPSET, build_graph
from training.gan import networks
from training.gan.pixels import to_pixels
from training.image_size import ImageSize

WIDTH = 5


def trained_looking(network: nn.Sequential) -> nn.Sequential:
    """In eval mode, with non-trivial statistics and colours from black to white."""
    with torch.no_grad():
        for layer in network:
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                layer.weight.mul_(20)
        for _ in range(5):
            network(torch.randn(64, WIDTH))
    return network.eval()


def shape_of(value: onnx.ValueInfoProto) -> tuple[int, list[str | int]]:
    tensor = value.type.tensor_type
    return tensor.elem_type, [axis.dim_param or axis.dim_value for axis in tensor.shape.dim]


def assert_same_drawing(network: nn.Sequential, content: bytes, count: int) -> None:
    z = sampling.from_seeds(range(count), WIDTH)
    drawn, expected = run_graph(content, z), to_pixels(network, torch.from_numpy(z))
    assert (drawn.shape, drawn.dtype) == (expected.shape, np.uint8)
    difference = np.abs(drawn.astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.001


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [16, 28, 64])
def test_the_graph_draws_what_pytorch_draws_in_batches_of_any_length(
    size: int, channels: int, count: int
) -> None:
    torch.manual_seed(size + channels)
    network = trained_looking(networks.generator(WIDTH, channels, ImageSize.square(size), 4))
    content = build_graph(network, WIDTH, (size, size, channels), {})
    assert to_pixels(network, torch.randn(64, WIDTH)).std() > 50
    assert_same_drawing(network, content, count)


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Linear(WIDTH, 32), nn.Unflatten(1, (2, 4, 4)), nn.ConvTranspose2d(2, 1, 4, 4)],
        [
            nn.Linear(WIDTH, 32, bias=False),
            nn.Unflatten(1, (2, 4, 4)),
            nn.ConvTranspose2d(2, 1, 6, 4, padding=1, bias=False),
        ],
        [
            nn.Linear(WIDTH, 128),
            nn.Unflatten(1, (2, 8, 8)),
            nn.BatchNorm2d(2, eps=0.5),
            nn.ConvTranspose2d(2, 1, 3, 2, padding=1, output_padding=1),
        ],
        [
            nn.Linear(WIDTH, 128),
            nn.Unflatten(1, (2, 8, 8)),
            nn.ConvTranspose2d(2, 2, 3, 2, padding=2, output_padding=1, groups=2, dilation=2),
            nn.Conv2d(2, 1, 1),
        ],
    ],
    ids=["biases", "no biases", "output padding", "groups and dilation"],
)
def test_every_layers_own_settings_are_in_the_graph(layers: list[nn.Module]) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(*layers, nn.Tanh())
    network(torch.randn(64, WIDTH))  # gives a batch norm its statistics
    network.eval()
    assert_same_drawing(network, build_graph(network, WIDTH, (16, 16, 1), {}), 7)


@pytest.mark.parametrize("value", [-3.0, -1.0, 0.0, 1 / 255, 1.0, 3.0])
def test_values_become_pixels_clipped_and_rounded_to_even(value: float) -> None:
    network = nn.Sequential(nn.Linear(WIDTH, 4), nn.Unflatten(1, (1, 2, 2)))
    nn.init.zeros_(network[0].weight)
    nn.init.constant_(network[0].bias, value)
    pixels = run_graph(build_graph(network, WIDTH, (2, 2, 1), {}), np.zeros((1, WIDTH), np.float32))
    grey = {-3.0: 0, -1.0: 0, 0.0: 128, 1 / 255: 128, 1.0: 255, 3.0: 255}[value]  # 127.5 is 128
    assert pixels.tolist() == [[[[grey], [grey]], [[grey], [grey]]]]


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    network = networks.generator(WIDTH, 3, ImageSize.square(16), 2).eval()
    return onnx.load_from_string(
        build_graph(network, WIDTH, (16, 16, 3), {"name": "a", "version": "1"})
    )


def test_the_graph_takes_latents_and_gives_pixels(model: onnx.ModelProto) -> None:
    (entrance,), (way_out,) = model.graph.input, model.graph.output
    assert (entrance.name, way_out.name) == ("latents", "pixels")
    assert shape_of(entrance) == (onnx.TensorProto.FLOAT, ["n", WIDTH])
    assert shape_of(way_out) == (onnx.TensorProto.UINT8, ["n", 16, 16, 3])


def test_the_graph_says_what_it_is(model: onnx.ModelProto) -> None:
    assert {prop.key: prop.value for prop in model.metadata_props} == {"name": "a", "version": "1"}
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", OPSET)]


def test_the_graph_has_only_the_layers_and_the_conversion_to_pixels(model: onnx.ModelProto) -> None:
    assert [node.op_type for node in model.graph.node] == [
        *("Gemm", "Reshape", "BatchNormalization", "Relu"),
        *("Conv", "BatchNormalization", "Add", "Relu"),
        *("Conv", "BatchNormalization", "Add", "Relu"),
        *("Conv", "DepthToSpace", "Tanh"),
        *("Sub", "Mul", "Round", "Clip", "Cast", "Transpose"),
    ]


def test_the_same_generator_gives_the_same_bytes() -> None:
    network = networks.generator(WIDTH, 1, ImageSize.square(16), 2).eval()
    arguments: tuple[Any, ...] = (network, WIDTH, (16, 16, 1), {"name": "a", "version": "1"})
    assert build_graph(*arguments) == build_graph(*arguments)


def test_an_unsupported_layer_is_named() -> None:
    network = nn.Sequential(nn.Linear(WIDTH, 4), nn.Dropout(0.25))
    with pytest.raises(ExportError, match=r"Dropout\(p=0.25"):
        build_graph(network, WIDTH, (2, 2, 1), {})
