"""Converts tensors of the Open Inference Protocol, version 2, to arrays and back, without HTTP.

The protocol is KServe's (github.com/kserve/open-inference-protocol, ``inference_rest.md``), its
binary format Triton's (github.com/triton-inference-server/server, ``extension_binary_data.md``):
the body is JSON, followed by the numbers of the binary tensors in the order in which the JSON names
them, little-endian and row by row.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Annotated, Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    ConfigDict,
    Field,
    FiniteFloat,
    PlainValidator,
    TypeAdapter,
    ValidationError,
)

from app.api import json_text
from app.api.json_body import JsonBody
from app.api.json_text import TooManyPartsError
from app.api.response_body import SparseBody
from app.artifact.card import CLASSES, INPUT, OUTPUT, Card
from app.imaging.sheets import MAX_PIXELS
from app.latent.conditions import Conditions
from app.latent.sampling import Latents

FLOATS, BYTES = "FP32", "UINT8"
"""The protocol's names for the types of inputs and pixels."""

Size = Annotated[int, Field(ge=0, le=2**31 - 1)]
# Strict: a truth value is not a number. Validation ends at the first wrong number: a problem for
# each of a million would take seconds and gigabytes.
_Numbers = Annotated[list[Annotated[FiniteFloat, Field(strict=True)]], Field(fail_fast=True)]
_Matrix = Annotated[list[_Numbers], Field(fail_fast=True)]
_NUMBERS, _MATRIX = TypeAdapter(_Numbers), TypeAdapter(_Matrix)


def _data(data: object) -> object:
    """``data`` validated as what its first value is: a row of a matrix, or a number."""
    nested = isinstance(data, list) and data and isinstance(data[0], list)
    return _MATRIX.validate_python(data) if nested else _NUMBERS.validate_python(data)


_Data = Annotated[
    list[float] | list[list[float]],
    PlainValidator(_data, json_schema_input_type=_Numbers | _Matrix),
]

PIECE = 2**18
"""Pixels in one piece of a response: a megabyte of text."""
# Each number as text with a comma, padded with spaces, which JSON allows: one look-up per byte.
_DIGITS: Final = np.array([f"{value:3}," for value in range(256)], "S4")


class TensorError(ValueError):
    """The request's tensors do not fit the model; the message says what would."""


class _Part(JsonBody):
    # Extensions of the protocol add members.
    model_config = ConfigDict(extra="ignore")


class InputTensor(_Part):
    """One tensor of a request: its numbers are in ``data``, or are binary data after the JSON."""

    # The schema describes valid requests; the checks below report invalid ones more clearly.
    name: str = Field(
        description="`classes` is for conditional models, and optional",
        json_schema_extra={"enum": [INPUT, CLASSES]},
    )
    shape: list[Size] = Field(
        max_length=8,
        fail_fast=True,
        description="n, width",
        examples=[[1, 4]],
        json_schema_extra={"minItems": 2, "maxItems": 2},
    )
    datatype: str = Field(json_schema_extra={"enum": [FLOATS]})
    parameters: dict[str, Any] = Field({}, description="`binary_data_size`: bytes after the JSON")
    data: _Data | None = Field(
        None, description="row by row, nested or flat", examples=[[0.5, -1.25, 0.0, 2.0]]
    )


class RequestedOutput(_Part):
    """An output tensor that the request names."""

    name: str = Field(json_schema_extra={"enum": [OUTPUT]})
    parameters: dict[str, Any] = Field(
        {},
        description="`binary_data`: whether its numbers are sent as binary data after the JSON",
        examples=[{}],
    )


class InferenceRequest(_Part):
    """Body of ``POST /v2/models/{model}/infer``."""

    id: str | None = Field(None, max_length=1024, description="repeated in the response")
    parameters: dict[str, Any] = Field(
        {}, description="`binary_data_output`: default of `binary_data`", examples=[{}]
    )
    inputs: list[InputTensor] = Field(
        min_length=1, max_length=16, fail_fast=True, json_schema_extra={"maxItems": 2}
    )
    outputs: list[RequestedOutput] = Field(
        [],
        max_length=16,
        fail_fast=True,
        description="default: all",
        json_schema_extra={"maxItems": 1},
    )

    @property
    def binary(self) -> bool:
        """Whether the output's numbers are sent as binary data after the JSON."""
        default = self.parameters.get("binary_data_output", False)
        requested = (output.parameters.get("binary_data", default) for output in self.outputs)
        return bool(next(requested, default))


class OutputTensor(SparseBody):
    """The only tensor of a response."""

    name: Literal["pixels"]
    datatype: Literal["UINT8"]
    shape: list[int] = Field(description="n, height, width, channels")
    parameters: dict[str, int] | None = Field(
        None, description="`binary_data_size`: bytes after the JSON"
    )
    data: list[Annotated[int, Field(ge=0, le=255)]] | None = Field(None, description="flat")


class InferenceResponse(SparseBody):
    """Response of ``POST /v2/models/{model}/infer``."""

    model_config = ConfigDict(protected_namespaces=())

    model_name: str = Field(examples=["fashion-mnist"])
    model_version: str = Field(examples=["1"])
    id: str | None = Field(None, description="the request's id, if it has one")
    outputs: list[OutputTensor]


def longest(card: Card, most: int) -> int:
    """The size in bytes of the longest sensible request for ``most`` images.

    A float64 in JSON takes up to 25 bytes: 17 digits, point, sign and exponent.
    """
    return 2**16 + 32 * size(card, most)[0]


def size(card: Card, most: int) -> tuple[int, int]:
    """How many numbers and rows the inputs of ``most`` images have together."""
    return most * sum(card.inputs.values()), most * len(card.inputs)


def parse(body: bytes, json_length: int | None, numbers: int, rows: int) -> InferenceRequest:
    """The JSON of ``body``: its first ``json_length`` bytes, or all of it.

    Its tensors have at most ``rows`` and ``numbers``, see ``json_text.load``. Raises TensorError,
    and ParameterError if a name occurs twice in an object.
    """
    if json_length is not None and json_length > len(body):
        raise TensorError(
            f"Inference-Header-Content-Length is {json_length}, but the body has {len(body)} bytes"
        )
    text = body if json_length is None else body[:json_length]
    try:
        return InferenceRequest.model_validate(json_text.load(text, numbers, rows))
    except TooManyPartsError as error:
        raise TensorError(str(error)) from error
    except ValidationError as error:
        raise TensorError(_first(error)) from error
    except (ValueError, RecursionError) as error:
        raise TensorError(f"the body: Invalid JSON: {error}") from error


def most_images(card: Card, most: int) -> int:
    """How many images one request may ask for: up to ``most``, of MAX_PIXELS pixels together."""
    return max(1, min(most, MAX_PIXELS // (card.image.height * card.image.width)))


class Inputs(NamedTuple):
    """The inputs of a request."""

    latents: Latents
    """float32 ``(n, width)``."""
    conditions: Conditions | None
    """float32 ``(n, k)``, as ``Sampler.from_rows`` gives them; None if the request has none."""


def inputs(request: InferenceRequest, tail: memoryview, card: Card, most: int) -> Inputs:
    """The inputs in ``request``, with ``n`` from 1 to ``most``.

    ``tail`` is the binary data after the JSON; latents may be a view of it. Raises TensorError.
    """
    _check_names(request, card)
    for tensor in request.inputs:
        _check_shape(tensor, card.inputs[tensor.name], most)
    binary = _binary(request.inputs, tail)
    found = {tensor.name: _numbers(tensor, binary.get(tensor.name)) for tensor in request.inputs}
    return Inputs(found[INPUT], _conditions(found.get(CLASSES), len(found[INPUT]), card))


def _conditions(rows: Conditions | None, count: int, card: Card) -> Conditions | None:
    """The conditions in ``rows``, one for each of ``count`` latents. Raises TensorError."""
    if rows is None or card.sampler is None:
        return None
    if len(rows) != count:
        number = "1 row" if len(rows) == 1 else f"{len(rows)} rows"
        raise TensorError(f"{CLASSES} has {number} but must have {count}, as {INPUT} has")
    try:
        return card.sampler.from_rows(rows)
    except ValueError as error:
        raise TensorError(f"{CLASSES} has {error}") from error


@dataclass(frozen=True)
class Body:
    """A response body: JSON, and the pixels in it or behind it."""

    pieces: Iterator[bytes]
    """The bytes, of at most PIECE pixels at a time, so that they need little memory."""
    length: int
    """Bytes of all pieces."""
    json_length: int | None
    """Bytes of the JSON if binary data follows it, else None."""


def response(request: InferenceRequest, card: Card, pixels: NDArray[np.uint8]) -> Body:
    """The response body with ``pixels`` ``(n, height, width, channels)``."""
    output: dict[str, Any] = {"name": OUTPUT, "datatype": BYTES, "shape": list(pixels.shape)}
    values = np.ascontiguousarray(pixels).reshape(-1)
    if request.binary:
        output["parameters"] = {"binary_data_size": pixels.nbytes}
        head = _enveloped(request, card, output).encode()
        binary = (values[place : place + PIECE].tobytes() for place in _places(values))
        return Body(chain([head], binary), len(head) + pixels.nbytes, len(head))
    head, end = _enveloped(request, card, {**output, "data": [0]}).encode().rsplit(b"0", 1)
    texts = (_text(values, place) for place in _places(values))
    length = len(head) + _DIGITS.itemsize * values.size - 1 + len(end)
    return Body(chain([head], texts, [end]), length, None)


def _places(values: NDArray[np.uint8]) -> range:
    """The start of each piece."""
    return range(0, values.size, PIECE)


def _text(values: NDArray[np.uint8], place: int) -> bytes:
    """The numbers of one piece, without the comma after the last of all."""
    text = _DIGITS[values[place : place + PIECE]].tobytes()
    return text if place + PIECE < values.size else text[:-1]


def _enveloped(request: InferenceRequest, card: Card, output: dict[str, Any]) -> str:
    named = {} if request.id is None else {"id": request.id}
    model = {"model_name": card.name, "model_version": str(card.version)}
    return json.dumps({**model, **named, "outputs": [output]})


def _check_names(request: InferenceRequest, card: Card) -> None:
    """Require the model's inputs, at most one output, their names, and no shared memory."""
    wanted = f"{INPUT!r} alone"
    if CLASSES in card.inputs:
        wanted = f"{INPUT!r}, or {INPUT!r} and {CLASSES!r}"
    named = [tensor.name for tensor in request.inputs]
    if INPUT not in named or len({*named} & {*card.inputs}) < len(named):
        raise TensorError(f"the inputs are {_listed(named)} but must be {wanted}")
    named = [output.name for output in request.outputs]
    if named not in ([], [OUTPUT]):
        raise TensorError(f"the outputs are {_listed(named)} but must be {OUTPUT!r} alone")
    parts: list[InputTensor | RequestedOutput] = [*request.inputs, *request.outputs]
    for part in parts:
        for parameter in {"shared_memory_region", "classification"} & part.parameters.keys():
            raise TensorError(f"{part.name} has parameter {parameter}, which is not supported")


def _listed(names: list[str]) -> str:
    return ", ".join(f"{one!r:.99}" for one in names)


def _check_shape(tensor: InputTensor, width: int, most: int) -> None:
    name = tensor.name
    if tensor.datatype != FLOATS:
        raise TensorError(f"{name} has datatype {tensor.datatype!r:.99} but must have {FLOATS}")
    if len(tensor.shape) != 2 or tensor.shape[1] != width or not 1 <= tensor.shape[0] <= most:
        allowed = f"[n, {width}] with n from 1 to {most}"
        raise TensorError(f"{name} has shape {tensor.shape} but must have {allowed}")


def _binary(tensors: list[InputTensor], tail: memoryview) -> dict[str, memoryview]:
    """The part of ``tail`` that each binary tensor has, by name. Raises TensorError."""
    sizes = {}
    for tensor in tensors:
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            continue
        needed = 4 * math.prod(tensor.shape)
        if tensor.data is not None:
            raise TensorError(f"{tensor.name} has both data and parameter binary_data_size")
        if size != needed:
            has = f"{tensor.name} has binary_data_size {size!r:.99}"
            raise TensorError(f"{has} but its shape needs {needed}")
        sizes[tensor.name] = needed
    if tail and not sizes:
        raise TensorError(f"{len(tail)} bytes follow the JSON, but no input has binary_data_size")
    if len(tail) != (needed := sum(sizes.values())):
        raise TensorError(
            f"{len(tail)} bytes follow the JSON but must be {needed}; "
            "Inference-Header-Content-Length is the length of the JSON"
        )
    ends = accumulate(sizes.values())
    return {
        name: tail[end - size : end] for (name, size), end in zip(sizes.items(), ends, strict=True)
    }


def _numbers(tensor: InputTensor, binary: memoryview | None) -> NDArray[np.float32]:
    """The finite numbers of ``tensor``, which are ``binary`` or in its JSON. Raises TensorError."""
    if binary is None:
        rows = _from_json(tensor)
    else:
        rows = np.frombuffer(binary, "<f4").reshape(tensor.shape)
    if not np.isfinite(rows).all():
        raise TensorError(f"{tensor.name} has numbers that are not finite as 32-bit floats")
    return rows


def _from_json(tensor: InputTensor) -> NDArray[np.float32]:
    name = tensor.name
    if tensor.data is None:
        raise TensorError(f"{name} has neither data nor parameter binary_data_size")
    try:
        with np.errstate(over="ignore"):  # an overflow is refused as infinite
            numbers = np.array(tensor.data, np.float32)
    except ValueError as error:
        raise TensorError(f"{name} has rows of different lengths in data") from error
    if numbers.size != math.prod(tensor.shape) or list(numbers.shape) not in (
        tensor.shape,
        [numbers.size],
    ):
        found = list(numbers.shape)
        raise TensorError(f"{name} has shape {tensor.shape}, but its data has shape {found}")
    return numbers.reshape(tensor.shape)


def _first(error: ValidationError) -> str:
    """The first fault in the JSON, with its place."""
    problem = error.errors(include_url=False, include_input=False)[0]
    if not problem["loc"]:
        return "the body must be a JSON object"
    *place, last = (str(part) for part in problem["loc"])
    if "data" in problem["loc"]:
        place, last = [str(part) for part in problem["loc"][:2]], "data"
        return f"{'.'.join([*place, last])} must be a list of finite numbers, or of rows of them"
    where = ".".join(part for part in [*place, last] if part)
    return f"{where}: {problem['msg']}"
