import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from app.latent.sampling import from_seeds
from training.errors import ExportError
from training.export import first_layer
from training.export.graph import build_graph
from training.gan import networks
from training.image_size import ImageSize

WIDTH, CONDITIONS = 5, 3
Z = from_seeds(range(8), WIDTH)


def graph_of(generator: nn.Module, conditions: int = 0) -> bytes:
    return build_graph(generator.eval(), WIDTH, (16, 16, 1), {}, conditions)


@pytest.fixture(params=[0, CONDITIONS], ids=["unconditional", "conditional"])
def conditions(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


@pytest.fixture
def generator(conditions: int) -> nn.Sequential:
    torch.manual_seed(0)
    found = networks.generator(WIDTH + conditions, 1, ImageSize.square(16), 4)
    found(torch.randn(64, WIDTH + conditions))  # the statistics of batch norm
    return found.eval()


def test_the_matrix_is_the_weight_of_the_dense_layer_that_the_latents_meet(
    generator: nn.Sequential, conditions: int
) -> None:
    dense = generator[0].weight
    assert isinstance(dense, Tensor)
    found = first_layer.matrix(graph_of(generator, conditions), Z, conditions)
    expected = dense.detach().numpy()[:, :WIDTH].T
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_activations_are_those_of_the_first_layer(
    generator: nn.Sequential, conditions: int
) -> None:
    rows = np.hstack([Z, np.full((len(Z), conditions), 0.25, np.float32)])
    compute = first_layer.activations(graph_of(generator, conditions), conditions)
    end = next(k for k, layer in enumerate(generator) if isinstance(layer, nn.ReLU))
    with torch.no_grad():
        expected = generator[: end + 1](torch.from_numpy(rows)).flatten(1)
    np.testing.assert_allclose(compute(rows), expected, rtol=1e-4, atol=1e-5)


def made(*nodes: onnx.NodeProto) -> bytes:
    """A graph from ``latents`` to ``pixels`` with a matrix of ones as its only constant."""
    ones = helper.make_tensor("ones", TensorProto.FLOAT, (WIDTH, 2), [1.0] * 2 * WIDTH)
    body = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, None)],
        [ones],
    )
    opset = [helper.make_opsetid("", 17)]
    content: bytes = helper.make_model(body, opset_imports=opset, ir_version=8).SerializeToString()
    return content


def test_nodes_that_do_not_depend_on_the_latents_are_left_out() -> None:
    node = helper.make_node
    graph = made(
        node("Tanh", ["ones"], ["table"]),
        node("MatMul", ["latents", "table"], ["layer"]),
        node("Relu", ["layer"], ["pixels"]),
    )
    expected = np.full((WIDTH, 2), np.tanh(1))
    np.testing.assert_allclose(first_layer.matrix(graph, Z, 0), expected, rtol=1e-6)
    found = first_layer.activations(graph, 0)(Z)
    np.testing.assert_allclose(found, np.maximum(Z @ expected, 0), rtol=1e-5, atol=1e-6)


def test_a_layer_that_is_not_linear_is_refused() -> None:
    node = helper.make_node
    graph = made(
        node("Abs", ["latents"], ["length"]), node("MatMul", ["length", "ones"], ["pixels"])
    )
    with pytest.raises(ExportError, match="its first layer is not linear"):
        first_layer.matrix(graph, Z, 0)


def test_a_graph_without_such_a_layer_is_refused() -> None:
    graph = made(helper.make_node("Abs", ["latents"], ["pixels"]))
    with pytest.raises(ExportError, match="has none of the operators Conv, ConvTranspose, Gemm"):
        first_layer.matrix(graph, Z, 0)
    with pytest.raises(ExportError, match="has none of the operators Celu, Elu"):
        first_layer.activations(graph, 0)
