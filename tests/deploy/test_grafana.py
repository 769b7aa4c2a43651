"""Grafana's dashboard and provisioning: valid by Grafana's own schema.

The schema is that of Grafana's foundation SDK, whose classes are generated from it
(https://github.com/grafana/grafana-foundation-sdk).
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

SDK = "grafana_foundation_sdk"
reason = "grafana-foundation-sdk is not installed"
plugins = pytest.importorskip(f"{SDK}.cog.plugins", reason=reason)
runtime = pytest.importorskip(f"{SDK}.cog.runtime", reason=reason)
encoder = pytest.importorskip(f"{SDK}.cog.encoder", reason=reason)
schema = pytest.importorskip(f"{SDK}.models.dashboard", reason=reason)

# https://grafana.com/docs/grafana/latest/administration/provisioning
SOURCE = {"name", "type", "access", "orgId", "uid", "url", "isDefault", "version", "editable"}
SOURCE |= {"user", "database", "basicAuth", "basicAuthUser", "withCredentials"}
SOURCE |= {"jsonData", "secureJsonData"}
PROVIDER = {"name", "orgId", "folder", "folderUid", "type", "options"}
PROVIDER |= {"disableDeletion", "updateIntervalSeconds", "allowUiUpdates"}

Board = dict[str, Any]


@pytest.fixture
def grafana(root: Path) -> Path:
    return root / "app" / "deploy" / "grafana"


@pytest.fixture
def board(grafana: Path) -> Board:
    found: Board = json.loads((grafana / "dashboards" / "dcgan.json").read_text())
    return found


def read(board: Board) -> Any:
    """Return the dashboard as an object of Grafana's classes."""
    plugins.register_default_plugins()
    found = schema.Dashboard.from_json(board)
    for panel in found.panels:  # the SDK does not convert their transformations
        configured = panel.transformations or []
        panel.transformations = [schema.DataTransformerConfig.from_json(one) for one in configured]
    return found


def lost(given: Any, kept: Any, place: str = "") -> Iterator[str]:
    """Yield the paths of all values in ``given`` that ``kept`` lacks or changes."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            yield from lost(value, kept.get(key), f"{place}/{key}")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for number, (one, other) in enumerate(zip(given, kept, strict=True)):
            yield from lost(one, other, f"{place}/{number}")
    elif given != kept:
        yield place


def unknown(board: Board) -> list[str]:
    """Return the paths of all fields and panel types that Grafana's schema does not define."""
    found = list(lost(board, json.loads(encoder.JSONEncoder().encode(read(board)))))
    kinds = enumerate(panel["type"] for panel in board["panels"])
    return found + [f"/panels/{n}/type" for n, kind in kinds if not runtime.panelcfg_config(kind)]


def objects(value: Any) -> Iterator[Any]:
    """Yield all objects of Grafana's classes inside ``value``, and ``value`` itself."""
    if isinstance(value, list):
        for one in value:
            yield from objects(one)
    elif type(value).__module__.startswith(f"{SDK}.models") and hasattr(value, "to_json"):
        yield value
        yield from objects(list(vars(value).values()))


def wrong(board: Board) -> list[str]:
    """Return the fields whose value does not have the type in the schema."""
    found, lenient = [], ConfigDict(arbitrary_types_allowed=True)
    for one in objects(read(board)):
        hints = get_type_hints(type(one))
        for name, value in vars(one).items():
            try:  # an enumeration accepts its values, but a number accepts no string
                valid = TypeAdapter(hints[name], config=lenient).validate_python(value) == value
            except ValidationError:
                valid = False
            if not valid:
                found.append(f"{type(one).__name__}.{name}")
    return found


def test_the_dashboard_is_valid_by_grafanas_schema(board: Board) -> None:
    assert unknown(board) == []
    assert wrong(board) == []
    assert len(list(objects(read(board)))) > 100


@pytest.mark.parametrize(
    ("change", "place", "check"),
    [
        (lambda panel: panel.update(titel="Servers"), "/panels/0/titel", unknown),
        (lambda panel: panel.update(type="timeserie"), "/panels/0/type", unknown),
        (
            lambda panel: panel["targets"][0].update(query="up"),
            "/panels/0/targets/0/query",
            unknown,
        ),
        (lambda panel: panel["gridPos"].update(x="0"), "GridPos.x", wrong),
        (lambda panel: panel["targets"][0].update(format="tabel"), "Dataquery.format_val", wrong),
    ],
)
def test_that_check_can_fail(
    board: Board,
    change: Callable[[Board], None],
    place: str,
    check: Callable[[Board], list[str]],
) -> None:
    change(board["panels"][0])
    assert check(board) == [place]


def test_the_provisioning_uses_only_known_fields(grafana: Path) -> None:
    for name, section, known in (
        ("datasources/prometheus.yml", "datasources", SOURCE),
        ("dashboards/dcgan.yml", "providers", PROVIDER),
    ):
        content = yaml.safe_load((grafana / "provisioning" / name).read_text())
        assert content.keys() == {"apiVersion", section}
        (only,) = content[section]
        assert only.keys() <= known
