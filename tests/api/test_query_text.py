"""Numbers in queries and paths have one spelling, and a parameter is given once."""

import pytest
from fastapi.testclient import TestClient

IMAGE = "/images/fashion-mnist/2/7.png"
INTEGER = "written in decimal digits alone, without leading zeros"
NUMBER = "written in decimal digits, without leading zeros, plus signs or spaces"

INTEGERS = {
    "POST /generate": ("n", "seed", "scale", "padding", "columns", "version"),
    f"GET {IMAGE}": ("scale",),
    "GET /interpolate?from=1&to=2": ("steps", "scale", "padding", "columns", "version"),
    "GET /interpolate?to=2": ("from",),
    "GET /interpolate?from=2": ("to",),
    "GET /grid": ("rows", "cols", "seed", "scale", "padding", "version"),
    "GET /variations?seed=1": ("rows", "cols", "scale", "padding", "version"),
    "GET /variations": ("seed",),
}
NUMBERS = {
    "POST /generate": ("truncation",),
    f"GET {IMAGE}": ("truncation",),
    "GET /interpolate?from=1&to=2": ("truncation", "fps"),
    "GET /grid": ("truncation",),
    "GET /variations?seed=1": ("truncation", "radius"),
}


def cases(parameters: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(request, name) for request, names in parameters.items() for name in names]


def refusal(client: TestClient, request: str, query: str) -> dict[str, object]:
    """The only refused parameter of a request with one more ``query``."""
    method, path = request.split(" ")
    answer = client.request(method, f"{path}{'&' if '?' in path else '?'}{query}")
    assert answer.status_code == 422
    (refused,) = answer.json()["errors"]
    return dict(refused)


@pytest.mark.parametrize("text", ["1_0", "+1", "01", " 1", "1.0"])
@pytest.mark.parametrize(("request_", "name"), cases(INTEGERS))
def test_integers_in_a_query_are_strictly_decimal(
    client: TestClient, request_: str, name: str, text: str
) -> None:
    refused = refusal(client, request_, f"{name}={text.replace('+', '%2B')}")
    assert (refused["parameter"], refused["in"], refused["value"]) == (name, "query", text)
    assert str(refused["allowed"]).startswith("an integer from ")
    assert str(refused["allowed"]).endswith(INTEGER)


@pytest.mark.parametrize("text", ["1_0", "+1", "01.5", " 1"])
@pytest.mark.parametrize(("request_", "name"), cases(NUMBERS))
def test_numbers_in_a_query_are_plain(
    client: TestClient, request_: str, name: str, text: str
) -> None:
    refused = refusal(client, request_, f"{name}={text.replace('+', '%2B')}")
    assert (refused["parameter"], refused["value"]) == (name, text)
    assert str(refused["allowed"]).endswith(NUMBER)


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("/interpolate?seeds=1,007", "seeds", "1,007"),
        ("/interpolate?seeds=1,%202", "seeds", "1, 2"),
        ("/grid?corners=1,2,3,%2B4", "corners", "1,2,3,+4"),
        ("/images/fashion-mnist/2/007.png", "seed", "007"),
        ("/images/fashion-mnist/02/7.png", "version", "02"),
    ],
)
def test_integers_in_lists_and_paths_are_strictly_decimal(
    client: TestClient, path: str, name: str, value: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == 422
    (refused,) = answer.json()["errors"]
    assert (refused["parameter"], refused["value"]) == (name, value)
    assert refused["allowed"].endswith(INTEGER)


def test_versions_and_lengths_of_the_protocol_are_strictly_decimal(client: TestClient) -> None:
    version = client.get("/v2/models/fashion-mnist/versions/02/ready")
    length = client.post(
        "/v2/models/fashion-mnist/infer", headers={"Inference-Header-Content-Length": "1_0"}
    )
    for answer in (version, length):
        assert answer.status_code == 422
        assert INTEGER in answer.json()["error"]


@pytest.mark.parametrize("text", ["1_0", "+3", "07", "inf", "nan", "1 0"])
def test_the_timeout_is_a_plain_number(client: TestClient, text: str) -> None:
    answer = client.get(IMAGE, headers={"X-Request-Timeout": text})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["value"] == text


def test_the_index_of_a_class_is_strictly_decimal(client: TestClient) -> None:
    assert client.get("/images/digits/1/7.png?class=3").is_success
    refused = client.get("/images/digits/1/7.png?class=03").json()["errors"][0]
    assert (refused["parameter"], refused["value"]) == ("class", "03")


@pytest.mark.parametrize(
    ("request_", "query", "name"),
    [
        ("POST /generate", "seed=1&seed=2", "seed"),
        ("POST /generate", "n=2&n=2", "n"),
        (f"GET {IMAGE}", "scale=2&scale=3", "scale"),
        ("GET /images/digits/1/7.png", "class=1&class=2", "class"),
        ("GET /interpolate?from=1&to=2", "to=3", "to"),
        ("GET /interpolate?seeds=1,2", "loop=true&loop=false", "loop"),
        ("GET /grid", "model=faces&rows=2&model=digits", "model"),
        ("GET /variations?seed=1", "seed=", "seed"),
    ],
)
def test_a_parameter_given_twice_is_refused(
    client: TestClient, request_: str, query: str, name: str
) -> None:
    refused = refusal(client, request_, query)
    assert (refused["parameter"], refused["in"]) == (name, "query")
    assert refused["allowed"] == "given once"
    assert len(refused["value"]) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("whole", "parts"),
    [
        ("/interpolate?seeds=1,2,3&steps=2", "/interpolate?seeds=1&steps=2&seeds=2,3"),
        ("/grid?corners=1,2,3,4", "/grid?corners=1,2&corners=3&corners=4"),
        (
            "/images/faces/1/7.png?edit=glasses:1,beard:2",
            "/images/faces/1/7.png?edit=glasses:1&edit=beard:2",
        ),
    ],
)
def test_a_list_may_be_given_in_parts(client: TestClient, whole: str, parts: str) -> None:
    assert client.get(whole).content == client.get(parts).content


def test_an_unknown_parameter_is_unknown_however_often_it_is_given(client: TestClient) -> None:
    refused = refusal(client, "GET /grid", "colour=1&colour=2")
    assert refused["parameter"] == "colour"
    assert str(refused["allowed"]).startswith("left out: it is not one of the parameters")
