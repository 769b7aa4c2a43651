"""The OpenAPI document: routes, responses, errors, parameters and schemas."""

import json
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from app.api.openai.errors import ErrorResponse
from app.api.v2.schemas import ProtocolError
from app.errors import Problem

SHEETS = {"application/json", "application/zip", "image/png", "image/webp"}
FRAMES = SHEETS | {"image/gif", "image/apng", "application/x-ndjson"}
MEDIA_TYPES = {
    ("post", "/generate"): SHEETS,
    ("get", "/images/{model}/{version}/{seed}.{form}"): {"image/png", "image/webp"},
    ("get", "/interpolate"): FRAMES,
    ("post", "/interpolate"): FRAMES,
    ("get", "/grid"): SHEETS,
    ("post", "/grid"): SHEETS,
    ("get", "/variations"): SHEETS,
    ("post", "/variations"): SHEETS,
    ("post", "/arithmetic"): SHEETS,
    ("post", "/encode"): SHEETS,
}
IMAGE_ERRORS = {"404", "406", "422", "429", "500", "504"}
LOOKUP_ERRORS = {"404", "422"}
BODY_ERRORS = {"413", "415"}
RELOAD_ERRORS = {"403", "404", "409", "422"} | BODY_ERRORS
OTHER_ERRORS = {
    ("head", "/images/{model}/{version}/{seed}.{form}"): IMAGE_ERRORS | {"304"},
    ("get", "/metrics"): set(),
    ("get", "/models"): set(),
    ("get", "/problems"): set(),
    ("get", "/problems/{kind}"): LOOKUP_ERRORS,
    ("get", "/models/{name}"): LOOKUP_ERRORS,
    ("get", "/health/live"): set(),
    ("get", "/health/ready"): set(),
}
V2_ERRORS = {
    ("get", "/v2"): set(),
    ("get", "/v2/health/live"): set(),
    ("get", "/v2/health/ready"): set(),
    ("get", "/v2/models/stats"): set(),
    ("get", "/v2/models/{model}"): LOOKUP_ERRORS,
    ("get", "/v2/models/{model}/config"): LOOKUP_ERRORS,
    ("get", "/v2/models/{model}/ready"): LOOKUP_ERRORS,
    ("get", "/v2/models/{model}/stats"): LOOKUP_ERRORS,
    ("get", "/v2/models/{model}/versions/{version}"): LOOKUP_ERRORS,
    ("get", "/v2/models/{model}/versions/{version}/config"): LOOKUP_ERRORS,
    ("get", "/v2/models/{model}/versions/{version}/ready"): LOOKUP_ERRORS,
    ("get", "/v2/models/{model}/versions/{version}/stats"): LOOKUP_ERRORS,
    ("post", "/v2/models/{model}/infer"): IMAGE_ERRORS - {"406"} | BODY_ERRORS,
    ("post", "/v2/models/{model}/versions/{version}/infer"): IMAGE_ERRORS - {"406"} | BODY_ERRORS,
    ("post", "/v2/repository/index"): {"422"} | BODY_ERRORS,
    ("post", "/v2/repository/models/{model}/load"): RELOAD_ERRORS,
    ("post", "/v2/repository/models/{model}/unload"): RELOAD_ERRORS,
}
V1_ERRORS = {
    ("get", "/v1/models"): set(),
    ("get", "/v1/models/{model}"): {"404"},
    ("post", "/v1/images/generations"): IMAGE_ERRORS - {"422"} | BODY_ERRORS,
}
CONNECTION_ERRORS = {"400", "408", "414", "429", "431", "501", "503"}
"""The errors of the HTTP connection, which any request may get."""


@pytest.fixture(scope="module")
def document(client: TestClient) -> dict[str, Any]:
    response = client.get("/openapi.json")
    assert response.is_success
    return dict(response.json())


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return every operation by method and path, with references to shared responses resolved."""
    found = {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    shared = document["components"]["responses"]
    for operation in found.values():
        for status, response in operation["responses"].items():
            if "$ref" in response:
                name = response["$ref"].removeprefix("#/components/responses/")
                operation["responses"][status] = shared[name]
    return found


def test_every_route_is_described_and_no_other(document: dict[str, Any]) -> None:
    described = MEDIA_TYPES.keys() | OTHER_ERRORS.keys() | V1_ERRORS.keys() | V2_ERRORS.keys()
    assert operations(document).keys() == described


@pytest.mark.parametrize(
    ("route", "media_types"), MEDIA_TYPES.items(), ids=map(" ".join, MEDIA_TYPES)
)
def test_a_route_that_generates_images_describes_all_its_responses(
    document: dict[str, Any], route: tuple[str, str], media_types: set[str]
) -> None:
    responses = operations(document)[route]["responses"]
    assert responses["200"]["content"].keys() == media_types
    own = {"413", "415"} if route[0] == "post" else set()  # only these have a body
    own |= {"304"} if "images" in route[1] else set()
    assert responses.keys() == CONNECTION_ERRORS | {"200"} | IMAGE_ERRORS | own
    named = [one["name"] for one in operations(document)[route]["parameters"]]
    assert named.count("X-Request-Timeout") == 1


@pytest.mark.parametrize(
    ("route", "own"),
    (OTHER_ERRORS | V1_ERRORS | V2_ERRORS).items(),
    ids=map(" ".join, OTHER_ERRORS | V1_ERRORS | V2_ERRORS),
)
def test_every_other_route_describes_all_its_responses(
    document: dict[str, Any], route: tuple[str, str], own: set[str]
) -> None:
    assert operations(document)[route]["responses"].keys() == CONNECTION_ERRORS | {"200"} | own


def test_errors_of_the_connection_are_described_once_for_all_routes(
    document: dict[str, Any],
) -> None:
    schemas = ("ErrorResponse", "Problem", "ProtocolError")
    shared = document["components"]["responses"]
    assert shared.keys() == {
        f"{schema}{status}" for schema in schemas for status in (*CONNECTION_ERRORS, "415")
    }
    for responses in (operation["responses"] for operation in operations(document).values()):
        assert list(responses) == sorted(responses)
        (content,) = responses["503"]["content"].values()
        assert "TooManyConnectionsError" in content["examples"]
        assert "too many open connections" in responses["503"]["description"]
        assert "Retry-After" in responses["503"]["headers"]


def test_response_headers_are_described(document: dict[str, Any]) -> None:
    for (method, path), operation in operations(document).items():
        responses = operation["responses"]
        if (method, path) in MEDIA_TYPES:
            assert responses["200"]["headers"].keys() >= {"X-Model", "X-Seed", "Server-Timing"}
        if "{form}" in path:
            named = {one["name"] for one in operation["parameters"]}
            assert named >= {"If-None-Match", "form", "scale", "truncation", "edit"}
            for status in ("200", "304"):
                assert responses[status]["headers"].keys() >= {"ETag", "Cache-Control"}


def test_every_error_is_a_problem_with_a_valid_example(document: dict[str, Any]) -> None:
    errors = [
        (status, response["content"])
        for (_, path), operation in operations(document).items()
        for status, response in operation["responses"].items()
        if status not in {"200", "304"} and not path.startswith(("/v1", "/v2"))
    ]
    assert len(errors) > 100
    for status, content in errors:
        problem = content["application/problem+json"]
        assert content.keys() == {"application/problem+json"}
        assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}
        for example in problem["examples"].values():
            assert str(Problem.model_validate(example["value"]).status) == status


@pytest.mark.parametrize(
    ("routes", "model"), [(V1_ERRORS, ErrorResponse), (V2_ERRORS, ProtocolError)]
)
def test_every_error_below_v1_and_v2_has_the_format_of_the_protocol(
    document: dict[str, Any], routes: dict[tuple[str, str], set[str]], model: type[BaseModel]
) -> None:
    for route in routes:
        for status, response in operations(document)[route]["responses"].items():
            if status != "200":
                assert response["content"].keys() == {"application/json"}
                described = response["content"]["application/json"]
                schema = f"#/components/schemas/{model.__name__}"
                assert described["schema"] == {"$ref": schema}
                for example in described["examples"].values():
                    assert model.model_validate(example["value"])


@pytest.mark.parametrize("path", ["/v2/models/{model}", "/v2/models/{model}/versions/{version}"])
def test_tensors_are_described_in_both_formats(document: dict[str, Any], path: str) -> None:
    infer = operations(document)["post", f"{path}/infer"]
    responses = infer["responses"]
    both = {"application/json", "application/octet-stream"}
    assert responses["200"]["content"].keys() == infer["requestBody"]["content"].keys() == both
    header = "Inference-Header-Content-Length"
    assert header in responses["200"]["headers"]
    found = {one["name"]: one["required"] for one in infer["parameters"] if one["in"] == "header"}
    assert found == {header: False, "X-Request-Timeout": False}


def test_every_reference_resolves_and_every_parameter_is_described(
    document: dict[str, Any],
) -> None:
    schemas = document["components"]["schemas"]
    references = {
        piece.partition('"')[0]
        for piece in json.dumps(document).split('"#/components/schemas/')[1:]
    }
    assert "Problem" in references
    assert references <= schemas.keys()
    for operation in operations(document).values():
        assert operation["description"]
        for parameter in operation.get("parameters", []):
            assert parameter["description"]


@pytest.mark.parametrize(
    ("path", "name", "least", "most"),
    [("/interpolate", "seeds", 2, 16), ("/grid", "corners", 4, 4)],
)
def test_a_list_is_described_as_integers_separated_by_commas(
    document: dict[str, Any], path: str, name: str, least: int, most: int
) -> None:
    parameters = document["paths"][path]["get"]["parameters"]
    (found,) = (parameter for parameter in parameters if parameter["name"] == name)
    assert (found["style"], found["explode"], found["required"]) == ("form", False, False)
    listed = found["schema"]
    assert (listed["type"], listed["minItems"], listed["maxItems"]) == ("array", least, most)
    items = listed["items"]
    assert (items["type"], items["minimum"], items["maximum"]) == ("integer", 0, 2**32 - 1)
    others = {"edit", "class", "attributes", "seeds"}
    assert {p["name"] for p in parameters if "explode" in p} == {name, *others}


@pytest.mark.parametrize(
    "path", ["/images/{model}/{version}/{seed}.{form}", "/interpolate", "/grid", "/variations"]
)
def test_an_edit_in_a_query_is_described_as_a_list(document: dict[str, Any], path: str) -> None:
    parameters = document["paths"][path]["get"]["parameters"]
    (found,) = (parameter for parameter in parameters if parameter["name"] == "edit")
    assert (found["style"], found["explode"], found["required"]) == ("form", False, False)
    listed = found["schema"]
    assert (listed["minItems"], listed["maxItems"]) == (1, 16)
    for text in ("glasses:2", "beard:-1.5"):
        assert text in found["description"]
        assert re.fullmatch(listed["items"]["pattern"], text)


def test_an_edit_in_a_body_is_described_as_optional(document: dict[str, Any]) -> None:
    assert not document["paths"]["/generate"]["post"]["requestBody"].get("required")
    for name in ("GenerateBody", "ArithmeticBody"):
        edit = document["components"]["schemas"][name]["properties"]["edit"]
        strength = edit["additionalProperties"]
        assert (strength["type"], strength["minimum"], strength["maximum"]) == ("number", -5, 5)
        assert edit["maxProperties"] == 16
        assert "default" not in edit


EITHER = {
    "/generate": {"latents"},
    "/interpolate": {"points"},
    "/grid": {"points"},
    "/variations": {"point"},
    "/arithmetic": {"plus", "minus"},
}
"""Every path whose parameters may be in query or body, and those that the body alone has."""


@pytest.mark.parametrize(("path", "body_alone"), EITHER.items(), ids=EITHER)
def test_parameters_in_query_or_body_have_no_defaults_that_clients_would_send(
    document: dict[str, Any], path: str, body_alone: set[str]
) -> None:
    operation = document["paths"][path]["post"]
    for parameter in operation["parameters"]:
        assert "default" not in parameter["schema"]
    body = operation["requestBody"]
    assert body["required"] == (path == "/arithmetic")
    (content,) = body["content"].values()
    described = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    fields = described["properties"]
    assert not [name for name, field in fields.items() if "default" in field]
    assert fields["scale"]["description"].endswith("; default: 1")
    both = {
        parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"
    }
    assert fields.keys() - both == body_alone
    assert both < fields.keys()


def test_no_field_of_a_body_has_a_default_or_null_which_generated_clients_would_send(
    document: dict[str, Any],
) -> None:
    """But OpenAI's API has null for the default of a parameter."""
    bodies = [one.get("requestBody") for one in operations(document).values()]
    assert '"default":' not in json.dumps(bodies)
    found = schemas_within(document, "requestBody")
    for name, schema in found.items():
        text = json.dumps(schema)
        assert '"default":' not in text
        assert '"null"' not in text or name == "ImageRequest"
    assert {"GenerateBody", "LoadParameters", "InputTensor", "ImageRequest"} <= found.keys()


def test_a_field_of_a_response_is_null_or_absent_but_not_either(document: dict[str, Any]) -> None:
    found = schemas_within(document, "responses")
    for name, schema in found.items():
        optional = schema.get("properties", {}).keys() - schema.get("required", [])
        for field in optional:
            text = json.dumps(schema["properties"][field])
            assert '"null"' not in text, (name, field)
            assert '"default":' not in text, (name, field)
    assert {"GeneratedImage", "Card", "Problem", "ErrorDetail", "InferenceResponse"} <= found.keys()
    frame = found["Frame"]
    assert set(frame["required"]) == {"width", "height", "position"}
    assert frame["properties"].keys() - frame["required"] == {
        *("class", "attributes", "seed", "url", "png")
    }
    assert {"schema_version", "classes", "attributes", "encoder"} <= {*found["Card"]["required"]}


def schemas_within(document: dict[str, Any], part: str) -> dict[str, dict[str, Any]]:
    """The schemas to which this part of any operation refers, by name."""
    schemas, found = document["components"]["schemas"], dict[str, dict[str, Any]]()
    waiting: list[object] = [one.get(part, {}) for one in operations(document).values()]
    while waiting:
        names = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(waiting.pop())))
        new = {name: schemas[name] for name in names - found.keys()}
        found |= new
        waiting += new.values()
    return found


def test_each_media_type_has_one_schema_and_lines_of_json_have_theirs(
    document: dict[str, Any],
) -> None:
    for operation in operations(document).values():
        for media_type, content in operation["responses"]["200"].get("content", {}).items():
            assert not content["schema"].keys() & {"anyOf", "oneOf", "allOf"}, media_type
    content = document["paths"]["/interpolate"]["get"]["responses"]["200"]["content"]
    lines = content["application/x-ndjson"]["schema"]
    assert lines["contentMediaType"] == "application/x-ndjson"
    assert lines["contentSchema"] == {"$ref": "#/components/schemas/FrameLine"}
    line = document["components"]["schemas"]["FrameLine"]
    names = ["Frame", "Problem"]
    assert line["anyOf"] == [{"$ref": f"#/components/schemas/{name}"} for name in names]


def test_an_upload_is_described_as_a_form_or_a_file(document: dict[str, Any]) -> None:
    body = document["paths"]["/encode"]["post"]["requestBody"]
    assert body["required"]
    form = body["content"].pop("multipart/form-data")["schema"]
    assert (form["required"], form["additionalProperties"]) == (["images"], False)
    files = form["properties"]["images"]
    assert (files["minItems"], files["maxItems"]) == (1, 16)
    binary = {"type": "string", "format": "binary"}
    assert files["items"] == binary
    names = [f"image/{name}" for name in ("png", "jpeg", "webp", "gif")]
    assert body["content"] == {name: {"schema": binary} for name in names}


def test_the_body_of_arithmetic_is_described(document: dict[str, Any]) -> None:
    body = document["components"]["schemas"]["ArithmeticBody"]
    assert body["required"] == ["plus"]
    assert body["additionalProperties"] is False
    assert body["properties"]["neighbours"]["enum"] == [1, 9, 25, 49, 81, 121, 169, 225]
    assert all(value["description"] for value in body["properties"].values())
    groups = body["properties"]["plus"]
    assert (groups["minItems"], groups["maxItems"]) == (1, 8)
    assert (groups["items"]["minItems"], groups["items"]["maxItems"]) == (1, 16)


@pytest.mark.parametrize(
    ("path", "name", "least", "most"),
    [
        ("interpolate", "points", 2, 16),
        ("grid", "points", 1, 256),
        ("grid", "corners", 4, 4),
    ],
)
def test_a_point_in_a_body_is_described_as_a_seed_or_a_latent(
    document: dict[str, Any], path: str, name: str, least: int, most: int
) -> None:
    body = document["paths"][f"/{path}"]["post"]["requestBody"]
    reference = body["content"]["application/json"]["schema"]["$ref"]
    described = document["components"]["schemas"][reference.rpartition("/")[2]]
    points = described["properties"][name]
    assert (points["minItems"], points["maxItems"]) == (least, most)
    seed, latent = points["items"]["anyOf"]
    assert (seed["type"], seed["minimum"], seed["maximum"]) == ("integer", 0, 2**32 - 1)
    assert (latent["type"], latent["items"]["type"]) == ("array", "number")
