"""Rewritten graphs draw the same images, up to rounding."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from app.artifact.card import INPUT
from app.latent import sampling
from training.config import from_flags
from training.errors import ExportError
from training.export.chain import Rewrite, read_chain, rewrite_graph
from training.export.cpu_session import run, run_graph, session
from training.export.graph import build_graph
from training.export.optimise import CANDIDATES
from training.export.rewrite import (
    fold_batch_norms,
    interleave_parities,
    multiply_first,
    shuffle_pixels,
    split_parities,
)
from training.gan import networks
from training.presets import PRESETS

WIDTH = 5


def lively(network: nn.Sequential, width: int) -> nn.Sequential:
    """In eval mode, with non-trivial statistics and all grey levels."""
    *_, last = (one for one in network if isinstance(one, nn.Conv2d | nn.ConvTranspose2d))
    with torch.no_grad():
        for _ in range(5):
            network(torch.randn(64, width))
        network.eval()
        before_tanh = network[:-1](torch.randn(64, width))
        last.weight *= 0.5 / before_tanh.std()
    return network


def floats(content: bytes, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The output of a graph before it is rounded to pixels, channels first."""
    model = onnx.load_from_string(content)
    before = next(node for node in model.graph.node if node.op_type == "Sub").input[0]
    (output,) = model.graph.output
    output.CopyFrom(onnx.helper.make_tensor_value_info(before, onnx.TensorProto.FLOAT, None))
    used = next(k for k, node in enumerate(model.graph.node) if node.op_type == "Sub")
    del model.graph.node[used:]
    return run(session(model.SerializeToString()), {INPUT: rows})


def operators(content: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(content).graph.node]


@pytest.mark.parametrize("rewrites", CANDIDATES.values(), ids=CANDIDATES)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_rewrite_computes_the_same_for_every_preset(
    preset: str, rewrites: Sequence[Rewrite]
) -> None:
    torch.manual_seed(0)
    config = from_flags({"preset": preset, "generator_filters": 8})
    size = config.image_size or 28
    network = networks.generator(config.latent_dim, 3, size, config.generator_filters, config)
    plain = build_graph(
        lively(network, config.latent_dim), config.latent_dim, (size, size, 3), {"a": "b"}
    )
    content = rewrite_graph(plain, *rewrites)
    rows = sampling.from_seeds(range(8), config.latent_dim)
    expected = floats(plain, rows)
    assert expected.std() > 0.2
    np.testing.assert_allclose(floats(content, rows), expected, rtol=0, atol=1e-5)
    difference = np.abs(run_graph(content, rows).astype(int) - run_graph(plain, rows))
    assert (difference == 0).mean() >= 0.999
    assert difference.max() <= 1


def doubling(kernel: int, padding: int, more: int, channels: int, *, bias: bool) -> nn.Sequential:
    layer = nn.ConvTranspose2d(2, channels, kernel, 2, padding, more, bias=bias)
    return nn.Sequential(nn.Linear(WIDTH, 2 * 35), nn.Unflatten(1, (2, 5, 7)), layer, nn.Tanh())


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("rewrite", "channels"), [(shuffle_pixels, 3), (split_parities, 3), (interleave_parities, 16)]
)
@pytest.mark.parametrize("shape", [(2, 0, 0), (3, 1, 1), (4, 1, 0), (5, 2, 1)])
def test_every_doubling_becomes_ordinary_convolutions(
    shape: tuple[int, int, int], rewrite: Rewrite, channels: int, *, bias: bool
) -> None:
    """A shape is kernel, padding and output padding."""
    torch.manual_seed(0)
    network = lively(doubling(*shape, channels, bias=bias), WIDTH)
    plain = build_graph(network, WIDTH, (10, 14, channels), {})
    content = rewrite_graph(plain, rewrite)
    rows = sampling.from_seeds(range(4), WIDTH)
    assert "ConvTranspose" not in operators(content)
    np.testing.assert_allclose(floats(content, rows), floats(plain, rows), rtol=0, atol=1e-5)


def test_doublings_with_few_channels_are_not_interleaved() -> None:
    plain = build_graph(lively(doubling(4, 1, 0, 15, bias=True), WIDTH), WIDTH, (10, 14, 15), {})
    assert operators(rewrite_graph(plain, interleave_parities)) == operators(plain)


@pytest.mark.parametrize(
    "layer",
    [
        nn.ConvTranspose2d(2, 3, 4, 1, 1),
        nn.ConvTranspose2d(2, 3, 6, 2, 2),
        nn.ConvTranspose2d(2, 4, 4, 2, 1, groups=2),
        nn.ConvTranspose2d(2, 3, 3, 2, 1, dilation=2),
    ],
    ids=["stride 1", "kernel 6", "groups", "dilation"],
)
def test_other_transposed_convolutions_are_unchanged(layer: nn.ConvTranspose2d) -> None:
    with torch.no_grad():
        height, width = layer(torch.zeros(1, 2, 5, 5)).shape[2:]
    unflatten = nn.Unflatten(1, (2, 5, 5))
    network = nn.Sequential(nn.Linear(WIDTH, 50), unflatten, layer, nn.Tanh()).eval()
    plain = build_graph(network, WIDTH, (height, width, layer.out_channels), {})
    for rewrite in (shuffle_pixels, split_parities, interleave_parities):
        assert operators(rewrite_graph(plain, rewrite)) == operators(plain)


def test_only_a_norm_after_an_activation_is_not_folded() -> None:
    def network(*between: nn.Module) -> bytes:
        layers = [nn.Linear(WIDTH, 32), nn.Unflatten(1, (2, 4, 4)), *between, nn.BatchNorm2d(2)]
        whole = lively(nn.Sequential(*layers, nn.ConvTranspose2d(2, 1, 4, 2, 1), nn.Tanh()), WIDTH)
        return build_graph(whole, WIDTH, (8, 8, 1), {})

    assert "BatchNormalization" not in operators(rewrite_graph(network(), fold_batch_norms))
    assert "BatchNormalization" in operators(rewrite_graph(network(nn.ReLU()), fold_batch_norms))


def test_a_first_convolution_of_one_pixel_becomes_a_product() -> None:
    first = nn.ConvTranspose2d(WIDTH, 8, 4)
    layers = [nn.Unflatten(1, (WIDTH, 1, 1)), first, nn.ReLU(), nn.ConvTranspose2d(8, 1, 4, 2, 1)]
    plain = build_graph(lively(nn.Sequential(*layers, nn.Tanh()), WIDTH), WIDTH, (8, 8, 1), {})
    content = rewrite_graph(plain, multiply_first)
    assert operators(content)[:2] == ["Gemm", "Reshape"]
    rows = sampling.from_seeds(range(4), WIDTH)
    np.testing.assert_allclose(floats(content, rows), floats(plain, rows), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("groups", "padding", "side"), [(1, 1, 2), (5, 0, 4)])
def test_a_first_convolution_with_padding_or_groups_is_unchanged(
    groups: int, padding: int, side: int
) -> None:
    first = nn.ConvTranspose2d(WIDTH, 5, 4, padding=padding, groups=groups)
    layers = [nn.Unflatten(1, (WIDTH, 1, 1)), first, nn.ReLU(), nn.ConvTranspose2d(5, 1, 4, 2, 1)]
    size = (2 * side, 2 * side, 1)
    plain = build_graph(lively(nn.Sequential(*layers, nn.Tanh()), WIDTH), WIDTH, size, {})
    assert operators(rewrite_graph(plain, multiply_first)) == operators(plain)


def test_a_graph_that_is_not_a_chain_is_refused() -> None:
    network = nn.Sequential(nn.Linear(WIDTH, 16), nn.Unflatten(1, (1, 4, 4)), nn.Tanh()).eval()
    model = onnx.load_from_string(build_graph(network, WIDTH, (4, 4, 1), {}))
    node = next(one for one in model.graph.node if one.op_type == "Sub")
    node.input[1] = node.input[0]
    with pytest.raises(ExportError, match="not a chain"):
        read_chain(model)


def test_a_graph_that_onnxruntime_cannot_load_is_an_error() -> None:
    with pytest.raises(ExportError, match="onnxruntime cannot load the graph"):
        session(b"not onnx")
