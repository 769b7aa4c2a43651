import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from app.api.v2 import tensors
from app.api.v2.tensors import InferenceRequest, TensorError
from app.artifact import card
from app.artifact.card import Card
from app.middleware.body_limit import longest_with
from tests.calls import calls_of

MOST = 16
NUMBERS = 3 * MOST


@pytest.fixture(scope="module")
def described(models: Path) -> Card:
    found = card.read(models / "faces" / "1")
    latent = found.latent.model_copy(update={"width": 3})
    return found.model_copy(update={"latent": latent})


def tensor(**changes: Any) -> dict[str, Any]:
    whole = {"name": "latents", "shape": [2, 3], "datatype": "FP32", "data": [0, 1, 2, 3, 4, 5]}
    return {name: value for name, value in {**whole, **changes}.items() if value is not None}


def binary(size: object, **changes: Any) -> dict[str, Any]:
    return tensor(data=None, parameters={"binary_data_size": size}, **changes)


def request(*inputs: dict[str, Any], **others: Any) -> InferenceRequest:
    return tensors.parse(json.dumps({"inputs": inputs, **others}).encode(), None, NUMBERS, MOST)


def latents(described: Card, parsed: InferenceRequest, tail: bytes = b"") -> np.ndarray:
    return tensors.inputs(parsed, memoryview(tail), described, MOST).latents


@pytest.mark.parametrize("data", [[0.5, 1, 2, 3, 4, 5], [[0.5, 1, 2], [3, 4, 5]]])
def test_numbers_in_json_may_be_flat_or_rows(described: Card, data: list[Any]) -> None:
    rows = latents(described, request(tensor(data=data)))
    assert rows.dtype == np.float32
    assert rows.tolist() == [[0.5, 1, 2], [3, 4, 5]]


def test_binary_numbers_are_not_copied(described: Card) -> None:
    sent = np.arange(6, dtype="<f4").reshape(2, 3)
    tail = sent.tobytes()
    rows = latents(described, request(binary(24)), tail)
    assert np.array_equal(rows, sent)
    assert np.shares_memory(rows, np.frombuffer(tail, np.uint8))


def test_the_json_ends_where_the_header_says() -> None:
    content = json.dumps({"id": "a", "inputs": [binary(24)]}).encode()
    assert tensors.parse(content + b"\xff" * 24, len(content), NUMBERS, MOST).id == "a"


@pytest.mark.parametrize(
    ("inputs", "tail", "reason"),
    [
        ([tensor(name="z")], 0, "the inputs are 'z' but must be 'latents' alone"),
        ([tensor(), tensor()], 0, "the inputs are 'latents', 'latents' but must be"),
        ([tensor(datatype="FP64")], 0, "latents has datatype 'FP64' but must have FP32"),
        ([tensor(shape=[6])], 0, r"latents has shape \[6\] but must have \[n, 3\] with n from 1 "),
        ([tensor(shape=[2, 4])], 0, r"latents has shape \[2, 4\] but must have \[n, 3\]"),
        ([tensor(shape=[0, 3])], 0, r"latents has shape \[0, 3\] but must have \[n, 3\]"),
        ([tensor(shape=[17, 3])], 0, "with n from 1 to 16"),
        ([tensor(shape=[1, 3])], 0, r"shape \[1, 3\], but its data has shape \[6\]"),
        ([tensor(data=[[1, 2], [3, 4], [5, 6]])], 0, r"but its data has shape \[3, 2\]"),
        ([tensor(data=[[1, 2, 3], [4, 5]])], 0, "rows of different lengths"),
        ([tensor(data=[0, 1, 2, 3, 4, 1e39])], 0, "not finite as 32-bit floats"),
        ([tensor(data=None)], 0, "neither data nor parameter binary_data_size"),
        ([tensor()], 24, "24 bytes follow the JSON, but no input has binary_data_size"),
        ([tensor(parameters={"binary_data_size": 24})], 24, "both data and parameter"),
        ([binary(20)], 20, "binary_data_size 20 but its shape needs 24"),
        ([binary("24")], 24, "binary_data_size '24' but its shape needs 24"),
        ([binary(24)], 23, "23 bytes follow the JSON but must be 24"),
        ([binary(24)], 25, "25 bytes follow the JSON but must be 24"),
        ([tensor(parameters={"shared_memory_region": "a"})], 0, "shared_memory_region, which is"),
    ],
)
def test_a_tensor_that_does_not_fit_the_model_is_refused(
    described: Card, inputs: list[dict[str, Any]], tail: int, reason: str
) -> None:
    with pytest.raises(TensorError, match=reason):
        latents(described, request(*inputs), bytes(tail))


def test_binary_numbers_that_are_not_finite_are_refused(described: Card) -> None:
    tail = np.array([[0, 1, np.nan], [3, 4, 5]], "<f4").tobytes()
    with pytest.raises(TensorError, match="not finite"):
        latents(described, request(binary(24)), tail)


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        ([{"name": "images"}], "the outputs are 'images' but must be 'pixels' alone"),
        ([{"name": "pixels"}] * 2, "the outputs are 'pixels', 'pixels' but must be"),
        ([{"name": "pixels", "parameters": {"classification": 3}}], "classification, which is"),
    ],
)
def test_an_output_that_the_model_does_not_have_is_refused(
    described: Card, outputs: list[Any], reason: str
) -> None:
    with pytest.raises(TensorError, match=reason):
        latents(described, request(tensor(), outputs=outputs))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body: Invalid JSON"),
        (b"[" * 10**4, "the JSON has more than 16 lists|Invalid JSON: maximum recursion depth"),
        (b'{"inputs": [], "id": "\\ud800"}', "id: Input should be a valid string"),
        (b'{"id": ' + b"9" * 10**5 + b"}", "Invalid JSON"),
        (b"[]", "the body must be a JSON object"),
        (b'{"inputs": []}', "inputs: List should have at least 1 item"),
        (b'{"inputs": [{"name": "latents", "datatype": "FP32"}]}', "inputs.0.shape: Field requ"),
        (json.dumps({"inputs": [tensor(data=[True])]}).encode(), "inputs.0.data must be a list"),
        (json.dumps({"inputs": [tensor(data=["1"])]}).encode(), "inputs.0.data must be a list"),
        (json.dumps({"inputs": [tensor(data=[float("nan")])]}).encode(), "list of finite numbers"),
        (json.dumps({"inputs": [tensor(shape=[-1, 3])]}).encode(), "inputs.0.shape.0: "),
    ],
)
def test_invalid_json_is_refused_and_the_place_named(body: bytes, reason: str) -> None:
    with pytest.raises(TensorError, match=reason):
        tensors.parse(body, None, NUMBERS, MOST)


def test_a_json_length_beyond_the_body_is_refused() -> None:
    with pytest.raises(TensorError, match="is 3, but the body has 2 bytes"):
        tensors.parse(b"{}", 3, NUMBERS, MOST)


@pytest.mark.parametrize(
    ("parameters", "outputs", "binary_output"),
    [
        ({}, [], False),
        ({"binary_data_output": True}, [], True),
        ({}, [{"name": "pixels"}], False),
        ({"binary_data_output": True}, [{"name": "pixels"}], True),
        ({}, [{"name": "pixels", "parameters": {"binary_data": True}}], True),
        (
            {"binary_data_output": True},
            [{"name": "pixels", "parameters": {"binary_data": False}}],
            False,
        ),
    ],
)
def test_the_parameter_of_an_output_precedes_the_default(
    parameters: dict[str, Any], outputs: list[Any], binary_output: bool
) -> None:
    assert request(tensor(), parameters=parameters, outputs=outputs).binary is binary_output


def response(asked: InferenceRequest, described: Card, pixels: np.ndarray) -> Any:
    """The whole body, and the length of its JSON."""
    body = tensors.response(asked, described, pixels)
    content = b"".join(body.pieces)
    assert len(content) == body.length
    return content, body.json_length


def test_pixels_are_numbers_in_the_json_or_binary_data_after_it(described: Card) -> None:
    pixels = np.arange(2 * 2 * 64 * 3, dtype=np.uint16).astype(np.uint8).reshape(2, 2, 64, 3)
    body, head = response(request(tensor(), id="7"), described, pixels)
    assert head is None
    content = json.loads(body)
    identity = (content["id"], content["model_name"], content["model_version"])
    assert identity == ("7", "faces", "1")
    (output,) = content["outputs"]
    assert (output["name"], output["datatype"]) == ("pixels", "UINT8")
    assert np.array_equal(np.reshape(output["data"], output["shape"]), pixels)
    parsed = request(tensor(), parameters={"binary_data_output": True})
    body, head = response(parsed, described, pixels[:, ::-1])
    content = json.loads(body[:head])
    assert "id" not in content
    assert content["outputs"][0]["parameters"] == {"binary_data_size": pixels.nbytes}
    assert body[head:] == pixels[:, ::-1].tobytes()


@pytest.mark.parametrize("count", [tensors.PIECE - 1, tensors.PIECE, tensors.PIECE + 1])
def test_many_pixels_come_in_pieces(described: Card, count: int) -> None:
    pixels = np.arange(count).astype(np.uint8).reshape(1, 1, -1, 1)
    for parameters in ({}, {"binary_data_output": True}):
        asked = request(tensor(), parameters=parameters)
        assert max(map(len, tensors.response(asked, described, pixels).pieces)) <= 2**20
        body, head = response(asked, described, pixels)
        data = body[head:] if head else bytes(json.loads(body)["outputs"][0]["data"])
        assert data == pixels.tobytes()


@pytest.mark.parametrize("value", ['""', "[]", "{}", "null", "true", "[[]]", "1e999", "[1],[2,3]"])
def test_many_wrong_values_are_refused_at_the_first(described: Card, value: str) -> None:
    def refuse(count: int) -> None:
        data = ",".join([value] * count)
        body = f'{{"inputs": [{json.dumps(tensor(data=[]))[:-2]}{data}]}}]}}'.encode()
        with pytest.raises(TensorError) as refused:
            tensors.inputs(tensors.parse(body, None, 2**18, MOST), memoryview(b""), described, MOST)
        cause = refused.value.__cause__
        assert not isinstance(cause, ValidationError) or cause.error_count() == 1

    few, many = (calls_of(partial(refuse, n)) for n in (16, 2**19 // (len(value) + 1)))
    assert many < 2 * few


def test_far_more_values_than_latents_are_not_parsed() -> None:
    many = json.dumps({"inputs": [tensor(data=[0] * 2**16)]}).encode()
    with pytest.raises(TensorError, match="more than 48 values"):
        tensors.parse(many, None, NUMBERS, MOST)
    rows = json.dumps({"inputs": [tensor(data=[[]] * 2**16)]}).encode()
    with pytest.raises(TensorError, match="more than 16 lists"):
        tensors.parse(rows, None, 2**20, MOST)


def test_the_pixels_of_one_request_are_bounded(described: Card) -> None:
    assert tensors.most_images(described, 256) == 256
    image = described.image.model_copy(update={"height": 1024, "width": 1024})
    large = described.model_copy(update={"image": image})
    assert tensors.most_images(large, 256) == 16
    assert tensors.most_images(large, 4) == 4


def test_the_longest_request_for_so_many_images_has_room(described: Card) -> None:
    number = -1.2345678901234567e-300
    body = json.dumps({"inputs": [tensor(shape=[MOST, 3], data=[number] * MOST * 3)]})
    numbers = MOST * described.latent.width
    assert len(body) < longest_with(numbers)
    more = longest_with(2 * numbers) - longest_with(numbers)
    assert more >= len(json.dumps([number] * MOST * 3))


def test_null_is_refused() -> None:
    with pytest.raises(TensorError, match=r"inputs\.0\.data must be a list of finite numbers"):
        request(binary(24) | {"data": None})
    with pytest.raises(TensorError, match="id: Input should be a valid string"):
        request(tensor(), id=None)
