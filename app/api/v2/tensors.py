"""Tensors of the Open Inference Protocol, version 2, to arrays and back. Knows no HTTP.

The protocol is KServe's (github.com/kserve/open-inference-protocol, ``inference_rest.md``), its
binary form Triton's (github.com/triton-inference-server/server, ``extension_binary_data.md``):
the body is JSON, behind which the numbers of binary tensors follow in its order, little-endian and
row by row.
"""

import json
import math
from typing import Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from app.artifact.card import INPUT, OUTPUT, Card

FLOATS, BYTES = "FP32", "UINT8"
"""What the protocol calls the types of latents and of pixels."""

Size = Annotated[int, Field(ge=0, le=2**31 - 1)]
# Strictly: a truth value is no number.
_Numbers = list[Annotated[FiniteFloat, Field(strict=True)]]

# A number, a comma and white space, which JSON allows: all are found in one table at once.
_DIGITS: Final = np.array([f"{value:3}," for value in range(256)], "S4")


class TensorError(ValueError):
    """A request whose tensors are not what the model takes; the text says what it takes."""


class _Part(BaseModel):
    # Extensions of the protocol have members of their own.
    model_config = ConfigDict(extra="ignore")


class InputTensor(_Part):
    """One tensor of a request: its numbers are in ``data``, or follow the JSON as they are."""

    # Clients are told what fits; what does not is told better than by a schema, see below.
    name: str = Field(json_schema_extra={"enum": [INPUT]})
    shape: list[Size] = Field(
        max_length=8,
        description="n, width",
        examples=[[1, 4]],
        json_schema_extra={"minItems": 2, "maxItems": 2},
    )
    datatype: str = Field(json_schema_extra={"enum": [FLOATS]})
    parameters: dict[str, Any] = Field({}, description="`binary_data_size`: bytes after the JSON")
    data: _Numbers | list[_Numbers] | None = Field(
        None, description="row by row, nested or flat", examples=[[0.5, -1.25, 0.0, 2.0]]
    )


class RequestedOutput(_Part):
    """A tensor that is wanted."""

    name: str = Field(json_schema_extra={"enum": [OUTPUT]})
    parameters: dict[str, Any] = Field(
        {}, description="`binary_data`: whether its numbers follow the JSON", examples=[{}]
    )


class InferenceRequest(_Part):
    """Of ``POST /v2/models/{model}/infer``."""

    id: str | None = Field(None, max_length=1024, description="comes back in the answer")
    parameters: dict[str, Any] = Field(
        {}, description="`binary_data_output`: binary where an output does not say", examples=[{}]
    )
    inputs: list[InputTensor] = Field(
        min_length=1, max_length=16, json_schema_extra={"maxItems": 1}
    )
    outputs: list[RequestedOutput] = Field(
        [], max_length=16, description="by default all", json_schema_extra={"maxItems": 1}
    )

    @property
    def binary(self) -> bool:
        """Whether the output's numbers are wanted behind the JSON."""
        default = self.parameters.get("binary_data_output", False)
        told = (output.parameters.get("binary_data", default) for output in self.outputs)
        return bool(next(told, default))


class OutputTensor(BaseModel):
    """The one tensor of an answer."""

    name: Literal["pixels"]
    datatype: Literal["UINT8"]
    shape: list[int] = Field(description="n, height, width, channels")
    parameters: dict[str, int] | None = Field(
        None, description="`binary_data_size`: bytes after the JSON"
    )
    data: list[Annotated[int, Field(ge=0, le=255)]] | None = Field(None, description="flat")


class InferenceResponse(BaseModel):
    """Answer of ``POST /v2/models/{model}/infer``."""

    model_config = ConfigDict(protected_namespaces=())

    model_name: str = Field(examples=["fashion-mnist"])
    model_version: str = Field(examples=["1"])
    id: str | None = Field(None, description="the request's, where it has one")
    outputs: list[OutputTensor]


def longest(card: Card, most: int) -> int:
    """How many bytes the longest request for ``most`` images has.

    JSON writes a number as text: 25 bytes where its float64 has 17 digits, its sign and exponent.
    """
    return 2**16 + 32 * most * card.latent.width


def read(body: bytes, header: int | None) -> InferenceRequest:
    """The JSON of ``body``: its first ``header`` bytes, or all of it. Raises TensorError."""
    if header is not None and header > len(body):
        raise TensorError(
            f"Inference-Header-Content-Length is {header}, but the body has {len(body)} bytes"
        )
    try:
        return InferenceRequest.model_validate_json(body if header is None else body[:header])
    except ValidationError as error:
        raise TensorError(_first(error)) from error


def latents(
    request: InferenceRequest, tail: memoryview, card: Card, most: int
) -> NDArray[np.float32]:
    """The latents that ``request`` has drawn, float32 ``(n, width)``, 1 to ``most`` of them.

    ``tail`` is what follows the JSON: binary tensors are a view of it. Raises TensorError.
    """
    _check_names(request)
    (tensor,) = request.inputs
    if tensor.datatype != FLOATS:
        raise TensorError(f"{INPUT} has datatype {tensor.datatype!r:.99} but must have {FLOATS}")
    width = card.latent.width
    if len(tensor.shape) != 2 or tensor.shape[1] != width or not 1 <= tensor.shape[0] <= most:
        allowed = f"[n, {width}] with n from 1 to {most}"
        raise TensorError(f"{INPUT} has shape {tensor.shape} but must have {allowed}")
    size = tensor.parameters.get("binary_data_size")
    rows = _from_json(tensor, tail) if size is None else _from_bytes(tensor, tail, size)
    if not np.isfinite(rows).all():
        raise TensorError(f"{INPUT} holds numbers that are not finite as 32-bit floats")
    return rows


def answer(
    request: InferenceRequest, card: Card, pixels: NDArray[np.uint8]
) -> tuple[bytes, int | None]:
    """The body that holds ``pixels`` ``(n, height, width, channels)``.

    Beside it the length of its JSON where the numbers follow behind that, else none.
    """
    output: dict[str, Any] = {"name": OUTPUT, "datatype": BYTES, "shape": list(pixels.shape)}
    if request.binary:
        output["parameters"] = {"binary_data_size": pixels.nbytes}
        head = _enveloped(request, card, output).encode()
        return b"".join([head, np.ascontiguousarray(pixels).data]), len(head)
    before, after = _enveloped(request, card, {**output, "data": [0]}).encode().rsplit(b"0", 1)
    numbers = _DIGITS[pixels].view(np.uint8).ravel()[:-1]  # without the last comma
    return b"".join([before, numbers.data, after]), None


def _enveloped(request: InferenceRequest, card: Card, output: dict[str, Any]) -> str:
    named = {} if request.id is None else {"id": request.id}
    model = {"model_name": card.name, "model_version": str(card.version)}
    return json.dumps({**model, **named, "outputs": [output]})


def _check_names(request: InferenceRequest) -> None:
    """One tensor in, at most one out, each by its name and in the message itself."""
    for parts, name, kind in (
        (request.inputs, INPUT, "input"),
        (request.outputs, OUTPUT, "output"),
    ):
        named = [part.name for part in parts]
        if named != [name] and (parts or kind == "input"):
            told = ", ".join(f"{one!r:.99}" for one in named)
            raise TensorError(f"the {kind}s are {told} but must be {name!r} alone")
        for parameter in ("shared_memory_region", "classification"):
            if any(parameter in part.parameters for part in parts):
                raise TensorError(
                    f"{kind} {name} has parameter {parameter}, which is not supported"
                )


def _from_json(tensor: InputTensor, tail: memoryview) -> NDArray[np.float32]:
    if tensor.data is None:
        raise TensorError(f"{INPUT} has neither data nor parameter binary_data_size")
    if tail:
        raise TensorError(
            f"{len(tail)} bytes follow the JSON, where no input says binary_data_size"
        )
    try:
        with np.errstate(over="ignore"):  # such numbers are refused as infinite
            numbers = np.array(tensor.data, np.float32)
    except ValueError as error:
        raise TensorError(f"{INPUT} has rows of different lengths in data") from error
    if numbers.size != math.prod(tensor.shape) or list(numbers.shape) not in (
        tensor.shape,
        [numbers.size],
    ):
        found = list(numbers.shape)
        raise TensorError(f"{INPUT} has shape {tensor.shape}, but its data has shape {found}")
    return numbers.reshape(tensor.shape)


def _from_bytes(tensor: InputTensor, tail: memoryview, size: object) -> NDArray[np.float32]:
    if tensor.data is not None:
        raise TensorError(f"{INPUT} has both data and parameter binary_data_size")
    needed = 4 * math.prod(tensor.shape)
    if size != needed:
        raise TensorError(f"{INPUT} has binary_data_size {size!r:.99} but its shape needs {needed}")
    if len(tail) != needed:
        raise TensorError(
            f"{len(tail)} bytes follow the JSON but must be {needed}; "
            "Inference-Header-Content-Length says where it ends"
        )
    return np.frombuffer(tail, "<f4").reshape(tensor.shape)


def _first(error: ValidationError) -> str:
    """What is wrong with the JSON, and where."""
    problem = error.errors(include_url=False, include_input=False)[0]
    *place, last = (str(part) for part in problem["loc"]) if problem["loc"] else ("", "")
    if "data" in problem["loc"]:
        place, last = [str(part) for part in problem["loc"][:2]], "data"
        return f"{'.'.join([*place, last])} must be a list of finite numbers, or of rows of them"
    where = ".".join(part for part in [*place, last] if part)
    return f"{where or 'the body'}: {problem['msg']}"
