import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from training.config import Architecture, from_flags
from training.errors import ExportError
from training.export.graph import build_graph
from training.export.onnx_module import OnnxModule
from training.export.read_back import GraphGenerator
from training.gan import networks
from training.image_size import ImageSize
from training.presets import PRESETS

WIDTH = 5


def restless(network: nn.Sequential) -> nn.Sequential:
    """``network`` in eval mode with weights and statistics that are neither 0 nor 1."""
    torch.manual_seed(0)
    for values in network.state_dict().values():
        if values.is_floating_point():
            values.copy_(torch.rand_like(values) * 0.2 + (0.5 if values.ndim == 1 else -0.1))
    return network.eval()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_graph_read_back_has_the_images_and_gradients_of_its_network(preset: str) -> None:
    config = from_flags({"preset": preset})
    network = restless(networks.generator(WIDTH, 3, ImageSize.square(16), 2, config))
    assert_same(network, conditions=0)


def test_a_conditional_graph_is_read_back() -> None:
    assert_same(
        restless(networks.generator(WIDTH + 3, 1, ImageSize.square(16), 2, Architecture())),
        conditions=3,
    )


def assert_same(network: nn.Sequential, conditions: int) -> None:
    rows = torch.randn(4, WIDTH + conditions, requires_grad=True)
    expected: Tensor = network(rows)
    _, channels, height, width = expected.shape
    graph = build_graph(network, WIDTH, (height, width, channels), {}, conditions)
    found: Tensor = GraphGenerator(graph, WIDTH)(rows)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert expected.std() > 0.01
    weights = torch.randn_like(expected)
    (gradient,), (wanted,) = (
        torch.autograd.grad((images * weights).sum(), rows) for images in (found, expected)
    )
    torch.testing.assert_close(gradient, wanted, atol=1e-4, rtol=1e-4)


def module(*nodes: onnx.NodeProto, constants: dict[str, object] | None = None) -> OnnxModule:
    """The graph of ``nodes``, from x to y."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy")
    arrays = [
        numpy_helper.from_array(np.array(values), name)
        for name, values in (constants or {}).items()
    ]
    graph = helper.make_graph(nodes, "graph", [x], [y], arrays)
    return OnnxModule(helper.make_model(graph).SerializeToString())


def test_rounding_passes_gradients_on() -> None:
    x = torch.tensor([0.4, 1.6], requires_grad=True)
    y = module(helper.make_node("Round", ["x"], ["y"]))({"x": x})
    y.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("operator", "attributes", "constants", "words"),
    [
        ("Erf", {}, {}, "its operator Erf cannot be differentiated here, only Add, Batch"),
        ("Gemm", {"transA": 1}, {"c": [[1.0]]}, "Gemm has the attributes"),
        ("Conv", {"pads": [0, 0, 1, 1]}, {"c": [[[[1.0]]]]}, "not the same on opposite sides"),
        ("Conv", {"auto_pad": "SAME_UPPER"}, {"c": [[[[1.0]]]]}, "not the same on opposite"),
        ("DepthToSpace", {"blocksize": 2, "mode": "DCR"}, {}, "DepthToSpace has the mode DCR"),
        ("Cast", {"to": TensorProto.INT64}, {}, "Cast makes INT64"),
        ("Reshape", {}, {}, "Reshape has an input 1 that is not constant"),
    ],
)
def test_what_cannot_be_read_back_is_named(
    operator: str, attributes: dict[str, object], constants: dict[str, object], words: str
) -> None:
    node = helper.make_node(operator, ["x", *constants], ["y"], **attributes)
    with pytest.raises(ExportError, match=words):
        module(node, constants=constants)


@pytest.mark.parametrize(
    ("mode", "scales"), [("linear", [1, 1, 2, 2]), ("nearest", [1, 1, 1.5, 2])]
)
def test_only_nearest_neighbours_by_whole_factors_are_read_back(
    mode: str, scales: list[float]
) -> None:
    node = helper.make_node("Resize", ["x", "", "scales"], ["y"], mode=mode)
    with pytest.raises(ExportError, match="not nearest-neighbour by whole factors"):
        module(node, constants={"scales": np.array(scales, np.float32)})
