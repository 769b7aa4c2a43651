"""The kinds of errors: what responses name, what that path says, and the table of all kinds."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.errors import kinds

REFUSED = [
    ("GET", "/grid?rows=0", "invalid-parameter"),
    ("GET", "/models/cats", "not-found"),
    ("GET", "/nowhere", "not-found"),
    ("POST", "/health/live", "method-not-allowed"),
    ("POST", "/encode?model=digits&version=1", "media-type"),
    ("GET", "/problems/nothing", "not-found"),
]


@pytest.mark.parametrize(("method", "path", "kind"), REFUSED)
def test_the_type_of_a_problem_leads_to_its_explanation(
    client: TestClient, method: str, path: str, kind: str
) -> None:
    problem = client.request(method, path).json()
    assert problem["type"] == f"/problems/{kind}"
    found = client.get(problem["type"]).json()
    assert found["meaning"].endswith(".")
    assert {name: found[name] for name in ("type", "status", "title")} == {
        name: problem[name] for name in ("type", "status", "title")
    }


def test_all_kinds_are_listed_and_each_has_a_name_of_its_own(client: TestClient) -> None:
    listed = client.get("/problems").json()
    assert [one["type"] for one in listed] == [f"/problems/{kind}" for kind in kinds()]
    assert len({one["meaning"] for one in listed}) == len(listed) > 20
    assert all(one["example"] for one in listed)


def test_an_unknown_kind_names_all_kinds(client: TestClient) -> None:
    problem = client.get("/problems/nothing").json()
    assert problem["errors"][0]["parameter"] == "kind"
    assert "one of body-too-large, client-connections, " in problem["detail"]


def test_the_table_in_the_documentation_has_all_kinds(client: TestClient, root: Path) -> None:
    text = (root / "app" / "api" / "README.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `/problems/")]
    assert rows == [
        f"| `{one['type']}` | {one['status']} | {one['meaning']} |"
        for one in client.get("/problems").json()
    ]
