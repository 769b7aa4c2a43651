"""OpenAI's API over HTTP, with generators whose pixels are their conditions and latents."""

import base64
import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image
from pydantic import SecretStr

from app.latent import sampling
from app.main import create_app
from app.settings import Settings
from tests import conditional, painting
from tests.conditional import ATTRIBUTES, CLASSES, WIDTH, expected
from tests.engines import BlockedEngine, occupied

Decode = Callable[[bytes], NDArray[np.uint8]]

IMAGES = "/v1/images/generations"
NAMES = ", ".join(CLASSES)
KEY = "somebodys-drawing-key"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A generator that has classes, one that has attributes, and one with neither."""
    models = tmp_path_factory.mktemp("models")
    conditional.publish("shoes", models)
    conditional.publish("people", models)
    painting.publish("grey", models)
    return Settings(models=models, default_model="shoes", provider="cpu")


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


def create(client: TestClient, prompt: str = "", **others: Any) -> dict[str, Any]:
    response = client.post(IMAGES, json={"prompt": prompt, **others})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def pixels(response: dict[str, Any], decode: Decode) -> NDArray[np.uint8]:
    decoded = [decode(base64.b64decode(one["b64_json"])) for one in response["data"]]
    return np.stack(decoded).reshape(-1, 3, 4, 1)


def refused(response: httpx.Response, status: int) -> dict[str, Any]:
    """The error in a response."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    assert body.keys() == {"error"}
    error: dict[str, Any] = body["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    return error


def test_a_prompt_chooses_the_class(client: TestClient, decode: Decode) -> None:
    before = int(time.time())
    found = create(client, "two red Sneakers", n=3, seed=2**32 - 1)
    seeds = [2**32 - 1, 0, 1]
    latents = sampling.from_seeds(seeds, WIDTH)
    conditions = np.float32([[0, 1, 0, 0]] * 3)
    np.testing.assert_array_equal(pixels(found, decode), expected(latents, conditions))
    assert [one["seed"] for one in found["data"]] == seeds
    assert {one["revised_prompt"] for one in found["data"]} == {"sneaker"}
    assert (found["model"], found["size"], found["output_format"]) == ("shoes/1", "4x3", "png")
    assert before <= found["created"] <= time.time()


def test_several_classes_are_mixed(client: TestClient, decode: Decode) -> None:
    found = create(client, "a boot and a t-shirt", seed=7)
    assert found["data"][0]["revised_prompt"] == "boot and t-shirt"
    latents = sampling.from_seeds([7], WIDTH)
    conditions = np.float32([[0.5, 0, 0.5, 0]])
    np.testing.assert_array_equal(pixels(found, decode), expected(latents, conditions))


def test_a_prompt_chooses_and_negates_attributes(client: TestClient) -> None:
    found = create(client, "with glasses but no smile", model="people/1", n=4, seed=0)
    assert {one["revised_prompt"] for one in found["data"]} == {"glasses, no smile"}
    for one in found["data"]:
        url = f"/images/people/1/{one['seed']}.png?attributes=glasses,-smile"
        assert client.get(url).content == base64.b64decode(one["b64_json"])


@pytest.mark.parametrize("prompt", ["", "  \n"])
def test_without_a_prompt_the_seed_decides(client: TestClient, prompt: str) -> None:
    for model in ("shoes", "people", "grey"):
        found = create(client, prompt, n=8, seed=3, model=model)
        for one in found["data"]:
            response = client.get(f"/images/{model}/1/{one['seed']}.png")
            assert response.content == base64.b64decode(one["b64_json"])
            if model == "shoes":
                assert one["revised_prompt"] == response.headers["X-Class"]
            elif model == "people":
                assert all(name in one["revised_prompt"] for name in ATTRIBUTES)
            else:
                assert "revised_prompt" not in one


@pytest.mark.parametrize("form", ["png", "webp"])
def test_urls_give_the_same_bytes(client: TestClient, form: str) -> None:
    request = {"n": 2, "seed": 42, "size": "8x6", "output_format": form}
    files = create(client, "boot and sneaker", **request)
    links = create(client, "boot and sneaker", **request, response_format="url")
    assert {**files, "data": [], "created": 0} == {**links, "data": [], "created": 0}
    for file, link in zip(files["data"], links["data"], strict=True):
        assert link["url"].startswith(f"http://testserver/images/shoes/1/{file['seed']}.{form}?")
        content = client.get(link["url"]).content
        assert content == base64.b64decode(file["b64_json"])
        with Image.open(io.BytesIO(content)) as image:
            assert (image.format or "").lower() == form
            assert image.size == (8, 6)
        assert link.keys() == {"url", "revised_prompt", "seed"}


def test_random_seeds_differ(client: TestClient) -> None:
    given: list[dict[str, int]] = [{}, {}, {"seed": -1}, {"seed": -1}]
    seeds = {create(client, **seed)["data"][0]["seed"] for seed in given}
    assert len(seeds) == 4
    assert min(seeds) >= 0


def test_other_parameters_of_openai_are_accepted(client: TestClient) -> None:
    plain = create(client, "boot", seed=1)
    without_effect = {"quality": "hd", "style": "vivid", "moderation": "low", "user": "somebody"}
    neutral = {"size": "auto", "background": "opaque", "stream": False, "partial_images": 0}
    nothing = dict.fromkeys(("model", "n", "response_format", "output_format"), None)
    full = create(
        client, "boot", seed=1, output_compression=100, **without_effect, **neutral, **nothing
    )
    assert full["data"] == plain["data"]


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ({"prompt": "a hat"}, "prompt", f"names 1 to 16 classes of shoes/1: {NAMES}"),
        ({"prompt": "not a boot"}, "prompt", f"names 1 to 16 classes of shoes/1: {NAMES}"),
        (
            {"prompt": "a boot", "model": "people"},
            "prompt",
            "must be empty or text that names attributes of people/1: glasses, blond, brown, smile",
        ),
        (
            {"prompt": "a boot", "model": "grey"},
            "prompt",
            "must be empty, as grey/1 has neither classes nor attributes to choose",
        ),
        ({}, "prompt", "prompt is missing but must be text of at most 4000 characters"),
        ({"prompt": 3}, "prompt", "prompt is 3 but must be text"),
        ({"prompt": "", "size": "256x256"}, "size", "one of auto, 4x3, 8x6, 12x9, 16x12, 20x15, "),
        ({"prompt": "", "size": "large"}, "size", "auto or widthxheight"),
        ({"prompt": "", "n": 0}, "n", "n is 0 but must be an integer from 1 to 256"),
        ({"prompt": "", "response_format": "png"}, "response_format", "one of b64_json, url"),
        ({"prompt": "", "output_format": "jpeg"}, "output_format", "must be one of png, webp"),
        ({"prompt": "", "background": "transparent"}, "background", "one of auto, opaque"),
        ({"prompt": "", "stream": True}, "stream", "stream is True but must be false"),
        ({"prompt": "", "output_compression": 50}, "output_compression", "50 but must be 100"),
        ({"prompt": "", "seed": -2}, "seed", "an integer from -1 to 4294967295"),
        ({"prompt": "", "steps": 9}, "steps", "left out: it is not one of the parameters "),
    ],
)
def test_parameters_that_are_not_allowed_are_refused(
    client: TestClient, body: dict[str, Any], param: str, message: str
) -> None:
    error = refused(client.post(IMAGES, json=body), 400)
    assert message in error["message"]
    assert (error["param"], error["type"]) == (param, "invalid_request_error")
    assert error["code"] == "invalid_value"


def test_parameters_in_the_query_are_refused_and_foreign_ones_ignored(client: TestClient) -> None:
    foreign = client.post(f"{IMAGES}?api-version=preview", json={"prompt": ""})
    assert foreign.status_code == 200
    for body in (None, {"prompt": ""}):
        error = refused(client.post(f"{IMAGES}?seed=42&size=4x3", json=body), 400)
        assert error["message"] == (
            "size is '4x3' but must be sent in the body, not in the query; "
            "seed is '42' but must be sent in the body, not in the query"
        )


def test_models_have_an_id_for_each_version(client: TestClient) -> None:
    found = client.get("/v1/models").json()
    assert found["object"] == "list"
    ids = [one["id"] for one in found["data"]]
    assert ids == ["grey", "grey/1", "people", "people/1", "shoes", "shoes/1"]
    for one in found["data"]:
        assert client.get(f"/v1/models/{one['id']}").json() == one
        assert client.get(f"/v1/models/{one['id'].replace('/', '%2F')}").json() == one
        assert (one["object"], one["owned_by"]) == ("model", "dcgan-server")
        assert 0 < one["created"] <= time.time()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("gpt-image-1.5", "model is 'gpt-image-1.5' but must be one of grey, people, shoes"),
        ("shoes/9", "version of shoes is 9 but must be one of 1"),
        ("shoes/x", "model is 'shoes/x' but must be one of grey"),
    ],
)
def test_unknown_models_are_not_found(client: TestClient, model: str, message: str) -> None:
    request = {"prompt": "", "model": model}
    for response in (client.post(IMAGES, json=request), client.get(f"/v1/models/{model}")):
        error = refused(response, 404)
        assert error["message"].startswith(message)
        assert error["code"] == "model_not_found"


def test_every_error_has_the_format_of_openai(client: TestClient) -> None:
    json_type = {"Content-Type": "application/json"}
    for response, status in (
        (client.get("/v1"), 404),
        (client.get("/v1/nothing"), 404),
        (client.get(IMAGES), 405),
        (client.post(IMAGES, content="{", headers=json_type), 400),
        (client.post(IMAGES, content=b"\xff", headers=json_type), 400),
        (client.post(IMAGES, content=b" " * 10**5, headers=json_type), 413),
        (client.post(IMAGES, json={"prompt": ""}, headers={"Accept": "image/png"}), 406),
        (client.post(IMAGES, json={"prompt": ""}, headers={"X-Request-Timeout": "x"}), 400),
    ):
        assert refused(response, status)["type"] == "invalid_request_error"
    urls = {"prompt": "", "response_format": "url"}
    refused(client.post(IMAGES, json=urls, headers={"X-Request-Timeout": "x"}), 400)
    assert client.get("/v11").headers["Content-Type"] == "application/problem+json"


def test_images_need_a_key_and_models_do_not(settings: Settings) -> None:
    with_keys = settings.model_copy(update={"api_keys": (SecretStr(KEY),)})
    body = {"prompt": "boot"}
    with TestClient(create_app(with_keys), raise_server_exceptions=False) as client:
        for headers in ({}, {"Authorization": "Bearer another-drawing-key"}):
            response = client.post(IMAGES, json=body, headers=headers)
            assert refused(response, 401)["code"] == "invalid_api_key"
            assert "WWW-Authenticate" in response.headers
        assert client.get("/v1/models").is_success
        client.headers["Authorization"] = f"Bearer {KEY}"
        assert create(client, "boot")["data"]


def test_deadlines_and_rates_have_the_format_of_openai(settings: Settings) -> None:
    limited = settings.model_copy(update={"rate": 1.0})
    body = {"prompt": "boot"}
    with TestClient(create_app(limited), raise_server_exceptions=False) as client:
        late = client.post(IMAGES, json=body, headers={"X-Request-Timeout": "0.000001"})
        assert refused(late, 504)["type"] == "server_error"
        while (response := client.post(IMAGES, json=body)).is_success:
            pass
    error = refused(response, 429)
    assert (error["type"], error["code"]) == ("requests", "rate_limit_exceeded")
    assert int(response.headers["Retry-After"]) >= 1


def test_a_full_queue_is_503(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    small = settings.model_copy(update={"max_images": 16, "max_queue": 16, "default_model": "grey"})
    with TestClient(create_app(small), raise_server_exceptions=False) as client:
        with occupied(client, BlockedEngine(client, monkeypatch, "grey"), 15, model="grey"):
            response = client.post(IMAGES, json={"prompt": "", "n": 4})
        error = refused(response, 503)
        assert error["type"] == "server_error"
        assert int(response.headers["Retry-After"]) >= 1
        error = refused(client.post(IMAGES, json={"prompt": "", "n": 17}), 400)
        assert (
            error["message"] == "n=17 asks for 17 images but must ask for at most 16 images in all"
        )
