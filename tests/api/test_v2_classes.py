"""Classes and attributes as the second input of the Open Inference Protocol."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from app.latent import sampling
from app.main import create_app
from app.settings import Settings
from tests import conditional, painting
from tests.conditional import ATTRIBUTES, CLASSES, WIDTH, expected

MOST = 100
LATENTS = sampling.from_seeds([3, 4], WIDTH)
MIXTURES = np.float32([[0.25, 0.75, 0, 0], [0, 0, 0, 1]])
HEADER = "Inference-Header-Content-Length"
COMMON = {"backend": "onnxruntime", "platform": "onnxruntime_onnx", "max_batch_size": MOST}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server with a generator that has classes, one that has attributes, and one with neither."""
    models = tmp_path_factory.mktemp("models")
    conditional.publish("shoes", models)
    conditional.publish("people", models)
    painting.publish("grey", models)
    settings = Settings(models=models, default_model="shoes", provider="cpu", max_images=MOST)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


def tensor(name: str, rows: NDArray[np.float32]) -> dict[str, Any]:
    data = rows.tolist()
    return {"name": name, "shape": list(rows.shape), "datatype": "FP32", "data": data}


def infer(client: TestClient, model: str, *inputs: dict[str, Any]) -> httpx.Response:
    # As text: the client's JSON encoder refuses NaN.
    return client.post(f"/v2/models/{model}/infer", content=json.dumps({"inputs": inputs}))


def pixels(response: httpx.Response) -> NDArray[np.uint8]:
    assert response.is_success, response.text
    (output,) = response.json()["outputs"]
    return np.array(output["data"], np.uint8).reshape(output["shape"])


@pytest.mark.parametrize("model", ["shoes", "people"])
def test_each_latent_has_the_condition_in_its_row(client: TestClient, model: str) -> None:
    inputs = [tensor("latents", LATENTS), tensor("classes", MIXTURES)]
    for ordered in (inputs, inputs[::-1]):
        response = infer(client, model, *ordered)
        np.testing.assert_array_equal(pixels(response), expected(LATENTS, MIXTURES))


def test_weights_of_classes_are_scaled(client: TestClient) -> None:
    response = infer(client, "shoes", tensor("latents", LATENTS), tensor("classes", 8 * MIXTURES))
    np.testing.assert_array_equal(pixels(response), expected(LATENTS, MIXTURES))


@pytest.mark.parametrize(("model", "typical"), [("shoes", [1, 0, 0, 0]), ("people", [0, 0, 1, 1])])
def test_without_classes_images_have_the_most_frequent(
    client: TestClient,
    decode: Callable[[bytes], NDArray[np.uint8]],
    model: str,
    typical: list[int],
) -> None:
    found = pixels(infer(client, model, tensor("latents", LATENTS)))
    np.testing.assert_array_equal(found, expected(LATENTS, np.float32([typical, typical])))
    body = {"latents": LATENTS.tolist()}
    images = client.post(f"/generate?model={model}", json=body).json()["images"]
    np.testing.assert_array_equal(conditional.pixels(images, decode), found)


@pytest.mark.parametrize("order", [("latents", "classes"), ("classes", "latents")])
@pytest.mark.parametrize("binary", [{"latents", "classes"}, {"latents"}, {"classes"}])
def test_binary_inputs_follow_the_json_in_its_order(
    client: TestClient, order: tuple[str, str], binary: set[str]
) -> None:
    rows = {"latents": LATENTS, "classes": MIXTURES}
    inputs = [tensor(name, rows[name]) for name in order]
    tail = b""
    for one in inputs:
        if one["name"] in binary:
            del one["data"]
            one["parameters"] = {"binary_data_size": rows[one["name"]].nbytes}
            tail += rows[one["name"]].tobytes()
    head = json.dumps({"inputs": inputs}).encode()
    response = client.post(
        "/v2/models/shoes/infer", content=head + tail, headers={HEADER: str(len(head))}
    )
    np.testing.assert_array_equal(pixels(response), expected(LATENTS, MIXTURES))


@pytest.mark.parametrize(
    ("model", "rows", "reason"),
    [
        ("shoes", -MIXTURES, "classes has the value -0.25 but must have values of 0 or more"),
        ("shoes", 0 * MIXTURES, "classes has only zeros in row 0 but must have a weight above 0"),
        ("shoes", np.nan * MIXTURES, "inputs.1.data must be a list of finite numbers"),
        ("shoes", MIXTURES[:1], "classes has 1 row but must have 2, as latents has"),
        ("shoes", MIXTURES[:, :3], "classes has shape [2, 3] but must have [n, 4] with n from 1"),
        ("people", 2 * MIXTURES, "classes has the value 1.5 but must have values from 0 to 1"),
        ("grey", MIXTURES, "the inputs are 'latents', 'classes' but must be 'latents' alone"),
    ],
)
def test_classes_that_cannot_be_drawn_are_refused(
    client: TestClient, model: str, rows: NDArray[np.float32], reason: str
) -> None:
    response = infer(client, model, tensor("latents", LATENTS), tensor("classes", rows))
    assert response.status_code == 422
    assert reason in response.json()["error"]


@pytest.mark.parametrize("names", [["classes"], ["latents", "labels"], ["latents", "latents"]])
def test_other_inputs_are_refused(client: TestClient, names: list[str]) -> None:
    response = infer(client, "shoes", *(tensor(name, MIXTURES) for name in names))
    assert response.status_code == 422
    listed = ", ".join(map(repr, names))
    allowed = "'latents', or 'latents' and 'classes'"
    assert response.json() == {"error": f"the inputs are {listed} but must be {allowed}"}


@pytest.mark.parametrize("model", ["shoes", "people", "grey"])
def test_metadata_and_configuration_describe_the_same_tensors(
    client: TestClient, model: str
) -> None:
    metadata = client.get(f"/v2/models/{model}").json()
    for path in (f"/v2/models/{model}/config", f"/v2/models/{model}/versions/1/config"):
        found = client.get(path).json()
        assert found.items() >= {**COMMON, "name": model}.items()
        assert found["version_policy"] == {"specific": {"versions": [1]}}
        for kind in ("input", "output"):
            described = [
                {"name": one["name"], "datatype": one["data_type"][5:], "shape": [-1, *one["dims"]]}
                for one in found[kind]
            ]
            assert described == metadata[f"{kind}s"]
    optional = {one["name"]: one["optional"] for one in found["input"]}
    names = {"shoes": CLASSES, "people": ATTRIBUTES}.get(model)
    assert optional == {"latents": False} | ({"classes": True} if names else {})
    parameters = {"classes": {"string_value": ",".join(names)}} if names else {}
    assert found["parameters"] == parameters


def test_the_configuration_is_an_extension_of_the_protocol(client: TestClient) -> None:
    assert "model_configuration" in client.get("/v2").json()["extensions"]
    response = client.get("/v2/models/cats/config")
    assert (response.status_code, response.json().keys()) == (404, {"error"})
    assert client.get("/v2/models/shoes/versions/2/config").status_code == 404
