"""Grafana's dashboard and provisioning, as Grafana's own schema has them.

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
    """The dashboard as Grafana's classes."""
    plugins.register_default_plugins()
    found = schema.Dashboard.from_json(board)
    for panel in found.panels:  # which the SDK leaves as they are
        told = panel.transformations or []
        panel.transformations = [schema.DataTransformerConfig.from_json(one) for one in told]
    return found


def lost(told: Any, kept: Any, place: str = "") -> Iterator[str]:
    """Where a part of what is told is not in what was kept of it."""
    if isinstance(told, dict) and isinstance(kept, dict):
        for key, value in told.items():
            yield from lost(value, kept.get(key), f"{place}/{key}")
    elif isinstance(told, list) and isinstance(kept, list) and len(told) == len(kept):
        for number, (one, other) in enumerate(zip(told, kept, strict=True)):
            yield from lost(one, other, f"{place}/{number}")
    elif told != kept:
        yield place


def unknown(board: Board) -> list[str]:
    """Where the dashboard says what Grafana's schema has no word for."""
    found = list(lost(board, json.loads(encoder.JSONEncoder().encode(read(board)))))
    kinds = enumerate(panel["type"] for panel in board["panels"])
    return found + [f"/panels/{n}/type" for n, kind in kinds if not runtime.panelcfg_config(kind)]


def objects(value: Any) -> Iterator[Any]:
    """Every object of Grafana's classes in one of them."""
    if isinstance(value, list):
        for one in value:
            yield from objects(one)
    elif type(value).__module__.startswith(f"{SDK}.models") and hasattr(value, "to_json"):
        yield value
        yield from objects(list(vars(value).values()))


def wrong(board: Board) -> list[str]:
    """The fields whose value is not of the type that the schema gives them."""
    found, lenient = [], ConfigDict(arbitrary_types_allowed=True)
    for one in objects(read(board)):
        hints = get_type_hints(type(one))
        for name, value in vars(one).items():
            try:  # an enumeration takes its values, but no number takes a string
                taken = TypeAdapter(hints[name], config=lenient).validate_python(value) == value
            except ValidationError:
                taken = False
            if not taken:
                found.append(f"{type(one).__name__}.{name}")
    return found


def test_grafana_knows_all_that_the_dashboard_says(board: Board) -> None:
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


def test_grafana_knows_all_that_the_provisioning_says(grafana: Path) -> None:
    for name, section, known in (
        ("datasources/prometheus.yml", "datasources", SOURCE),
        ("dashboards/dcgan.yml", "providers", PROVIDER),
    ):
        told = yaml.safe_load((grafana / "provisioning" / name).read_text())
        assert told.keys() == {"apiVersion", section}
        (only,) = told[section]
        assert only.keys() <= known
