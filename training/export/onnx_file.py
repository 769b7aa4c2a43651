"""Reads the ONNX files of other programs, and refuses graphs that cannot be served.

Weights may lie in files beside the graph, as PyTorch writes them; no other file is read. Operators
whose result is random, or depends on the whole batch, are refused: a seed must always give the
same image.
"""

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import onnx
from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    checker,
    external_data_helper,
    helper,
    inliner,
    numpy_helper,
    version_converter,
)

from app.artifact.card import MAX_GRAPH_BYTES
from training.errors import ExportError
from training.export import foreign_file
from training.export.graph import OPSET

_ONNX_DOMAINS = {"", "ai.onnx"}
_EVAL = "export the network in eval mode: netG.eval()"
_RANDOM = "RandomNormal RandomNormalLike RandomUniform RandomUniformLike Multinomial Bernoulli"
_NEVER_REPEATABLE = {
    **dict.fromkeys(
        _RANDOM.split(),
        f"draws random numbers at every run; {_EVAL}, and without noise if it has any",
    ),
    "DynamicQuantizeLinear": "makes an image depend on the others of its batch; "
    "adopt the graph from before it was quantised",
}
"""Why each of these operators is refused."""


def read(path: Path, check_input: Callable[[ModelProto], object]) -> ModelProto:
    """The model in ``path`` with all of its weights, converted to our opset if it is older.

    ``check_input`` may refuse the graph's inputs before anything is converted. Raises ExportError
    if the file is not a valid model with standard, repeatable operators only.
    """
    foreign_file.head(path)
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf has no error class for files of other formats
        raise ExportError(f"{path}: not an ONNX model: {error}") from error
    if not model.graph.node or not model.opset_import:
        raise ExportError(f"{path}: not an ONNX model: it has no operators")
    _read_weights(model, path)
    try:
        model = inliner.inline_local_functions(model)
        _check_versions(model)
        _check_operators(model)
        check_input(model)
        if opset(model) < OPSET:
            model = version_converter.convert_version(model, OPSET)
        checker.check_model(model, full_check=True)
    except ExportError as error:
        raise ExportError(f"{path}: {error}") from error
    except Exception as error:  # the converter and the checker have no common error class
        reason = str(error).partition("\n")[0]
        raise ExportError(f"{path}: not a valid ONNX model: {reason}") from error
    return model


def opset(model: ModelProto) -> int:
    """The version of the standard operators that ``model`` uses."""
    return max(int(known.version) for known in model.opset_import if known.domain in _ONNX_DOMAINS)


def _check_versions(model: ModelProto) -> None:
    newest = onnx.defs.onnx_opset_version()
    if opset(model) > newest or model.ir_version > onnx.IR_VERSION:
        raise ExportError(
            f"uses opset {opset(model)} and IR version {model.ir_version}, but onnx "
            f"{onnx.__version__} knows them up to {newest} and {onnx.IR_VERSION}"
        )


def _check_operators(model: ModelProto) -> None:
    """Raise ExportError for an operator that is custom or not repeatable, by its name."""
    if model.graph.sparse_initializer:
        raise ExportError("has sparse weights, which are not supported")
    constants = {one.name: one for one in model.graph.initializer}
    nodes = list(_nodes(model.graph))
    if domains := {node.domain for node in nodes} - _ONNX_DOMAINS:
        raise ExportError(
            f"has operators of {', '.join(sorted(domains))}; only standard ONNX operators are "
            "supported"
        )
    for node in nodes:
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        if node.op_type == "Constant" and "value" in attributes:
            constants[node.output[0]] = attributes["value"]
    for node in nodes:
        if reason := _not_repeatable(node, opset(model), constants):
            raise ExportError(f"the operator {node.op_type} {reason}")


def _not_repeatable(node: NodeProto, version: int, constants: dict[str, TensorProto]) -> str:
    """Why the result of ``node`` may differ between two runs; empty if it does not."""
    attributes: dict[str, Any] = {
        one.name: helper.get_attribute_value(one) for one in node.attribute
    }
    training = False
    if node.op_type in {"Dropout", "BatchNormalization"} and version < 7:
        training = not attributes.get("is_test", 0)
    elif node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
        mode = constants.get(node.input[2])
        training = mode is None or bool(numpy_helper.to_array(mode).any())
    elif node.op_type == "BatchNormalization":
        statistics = len([name for name in node.output if name]) > 1
        training = bool(attributes.get("training_mode", 0)) or statistics
    if training:
        return f"is in training mode, in which an image depends on others or on chance; {_EVAL}"
    return _NEVER_REPEATABLE.get(node.op_type, "")


def _graphs(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs in the attributes of ``node``, such as the branches of If."""
    for attribute in node.attribute:
        yield from attribute.graphs
        if attribute.HasField("g"):
            yield attribute.g


def _nodes(graph: GraphProto) -> Iterator[NodeProto]:
    """The nodes of ``graph`` and of all graphs in it."""
    for node in graph.node:
        yield node
        for inner in _graphs(node):
            yield from _nodes(inner)


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """The tensors of ``graph`` and of all graphs in it."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _tensors_of(node)


def _tensors_of(node: NodeProto) -> Iterator[TensorProto]:
    for attribute in node.attribute:
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
    for inner in _graphs(node):
        yield from _tensors(inner)


def _read_weights(model: ModelProto, path: Path) -> None:
    """Read the weights in files beside ``path`` into ``model``. Raises ExportError."""
    tensors = list(_tensors(model.graph))
    for function in model.functions:
        for node in function.node:
            tensors += _tensors_of(node)
    external = [one for one in tensors if external_data_helper.uses_external_data(one)]
    files = {_location(one): path.parent / _location(one) for one in external}
    for name, file in files.items():
        _check_file(name, file, path)
    if sum(file.stat().st_size for file in files.values()) > MAX_GRAPH_BYTES:
        raise ExportError(f"{path}: has weights of more than {MAX_GRAPH_BYTES} bytes")
    try:
        for tensor in external:
            external_data_helper.load_external_data_for_tensor(tensor, str(path.parent))
            tensor.data_location = TensorProto.DEFAULT
            del tensor.external_data[:]
    except Exception as error:  # onnx has several error classes for this
        reason = str(error).partition("\n")[0]
        raise ExportError(f"{path}: its weights cannot be read: {reason}") from error


def _location(tensor: TensorProto) -> str:
    return next((one.value for one in tensor.external_data if one.key == "location"), "")


def _check_file(name: str, file: Path, path: Path) -> None:
    """Raise ExportError unless ``file``, called ``name`` by the graph ``path``, lies beside it."""
    beside = PurePosixPath(name)
    if not name or "\0" in name or beside.is_absolute() or ".." in beside.parts:
        raise ExportError(f"{path}: has weights in {name!r}; only files beside it are read")
    if not file.exists():
        raise ExportError(f"{path}: has its weights in {name}, which is not beside it; copy both")
    if not file.resolve().is_relative_to(path.parent.resolve()):
        raise ExportError(
            f"{path}: has its weights in {name}, a link that leads out of the folder; copy the file"
        )
    if not file.is_file():
        raise ExportError(f"{path}: has its weights in {name}, which is not a file")
