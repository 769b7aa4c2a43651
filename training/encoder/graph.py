"""Writes an encoder as an ONNX graph, and checks that it finds what the network finds."""

import numpy as np
import torch
from onnx import TensorProto, helper
from torch import nn

from app.artifact.card import CLASSES, IMAGES, INPUT
from training.encoder.encode import Session
from training.encoder.network import EncoderNetwork
from training.encoder.objective import probabilities
from training.encoder.subject import Subject
from training.errors import ExportError
from training.evaluation.metrics import ImageBytes
from training.export.graph import GraphWriter, serialised
from training.gan.conditional import Rows
from training.gan.pixels import scaled

MAX_DIFFERENCE = 1e-3
"""Largest accepted difference of a number of a latent, and of a probability."""


def build(network: EncoderNetwork, subject: Subject, metadata: dict[str, str]) -> bytes:
    """``network`` (eval mode) as a serialised, checked ONNX model with ``metadata``.

    From ``images``, uint8 ``(n, h, w, c)``, to ``latents``, float32 ``(n, z)``, and to ``classes``,
    float32 ``(n, k)``, if there are any.
    """
    model = subject.model
    writer = GraphWriter()
    writer.value = IMAGES
    writer.node("Cast", to=TensorProto.FLOAT)
    writer.node("Transpose", perm=(0, 3, 1, 2))
    writer.node("Mul", writer.constant(np.array(1 / 127.5, dtype=np.float32)))
    writer.node("Sub", writer.constant(np.array(1, dtype=np.float32)))
    _append(writer, network.body)
    features = writer.value
    _append(writer, network.latents)
    writer.node("Identity", output=INPUT)
    widths = {INPUT: model.latent.width}
    if network.conditions is not None:
        writer.value = features
        writer.layer(network.conditions)
        if subject.exclusive:
            writer.node("Softmax", axis=1, output=CLASSES)
        else:
            writer.node("Sigmoid", output=CLASSES)
        widths[CLASSES] = subject.conditions
    channels, height, width = model.image_shape
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", numbers])
        for name, numbers in widths.items()
    ]
    shape = ("n", height, width, channels)
    images = helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, shape)
    body = helper.make_graph(writer.nodes, "encoder", [images], outputs, writer.constants)
    return serialised(body, metadata)


def _append(writer: GraphWriter, layers: nn.Sequential) -> None:
    for layer in layers:
        writer.layer(layer)


def check(network: EncoderNetwork, subject: Subject, graph: bytes, images: ImageBytes) -> None:
    """Raise ExportError unless ``graph`` finds what ``network`` finds in ``images``.

    A number of a latent, or a probability, may differ by 0.001.
    """
    found, expected = Session(graph).rows(images), _rows(network, subject, images)
    difference = float(np.abs(found - expected).max())
    if not difference <= MAX_DIFFERENCE:
        raise ExportError(
            "the encoder's graph does not find what the network finds: its numbers differ by up "
            f"to {difference:.3g}"
        )


@torch.no_grad()
def _rows(network: EncoderNetwork, subject: Subject, images: ImageBytes) -> Rows:
    """What ``network`` finds in uint8 images ``(n, c, h, w)``: the generator's inputs."""
    pixels = torch.tensor(images, device=subject.device)
    latents, logits = network(scaled(pixels))
    parts = [latents] if logits is None else [latents, probabilities(logits, subject.exclusive)]
    rows: Rows = torch.cat(parts, dim=1).cpu().numpy()
    return rows
