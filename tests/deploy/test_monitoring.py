"""Prometheus and Grafana: their queries match the metrics of the server."""

import json
import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi.testclient import TestClient

from tests.deploy.containers import Project, available, docker, stand_in


@pytest.fixture(scope="module")
def deploy(root: Path) -> Path:
    return root / "app" / "deploy"


@pytest.fixture(scope="module")
def exposed(client: TestClient) -> dict[str, set[str]]:
    """The labels of every series in ``GET /metrics``, by its name."""
    client.post("/generate?n=1")
    found: dict[str, set[str]] = {}
    for line in client.get("/metrics").text.splitlines():
        if name := re.match(r"\w+", line):
            labels = re.findall(r'[{,](\w+)="', line)
            found.setdefault(name[0], set()).update(labels)
    types = re.findall(r"^# TYPE (\w+) ", client.get("/metrics").text, re.MULTILINE)
    return {**{name: set() for name in types}, **found}


def unknown(query: str, exposed: dict[str, set[str]]) -> set[str]:
    """Return the names and labels in a query that the server does not export."""
    series = set(re.findall(r"\bdcgan_\w+", query))
    if missing := series - exposed.keys():
        return missing
    labels = {"le", "instance", "job"}.union(*(exposed[name] for name in series))
    used = re.findall(r"[{,]\s*(\w+)\s*(?:=|!=|=~|!~)\s*\"", query)
    for listed in re.findall(r"\bby \(([^)]*)\)", query):
        used += re.findall(r"\w+", listed)
    return set(used) - labels


def panels(deploy: Path) -> list[dict[str, Any]]:
    board = json.loads((deploy / "grafana" / "dashboards" / "dcgan.json").read_text())
    found: list[dict[str, Any]] = board["panels"]
    return found


def alerts(deploy: Path) -> list[dict[str, Any]]:
    content = yaml.safe_load((deploy / "prometheus" / "alerts.yml").read_text())
    return [rule for group in content["groups"] for rule in group["rules"]]


def test_every_panel_queries_existing_metrics(deploy: Path, exposed: dict[str, set[str]]) -> None:
    queries = [target["expr"] for panel in panels(deploy) for target in panel["targets"]]
    assert len(queries) > 20
    for query in queries:
        assert unknown(query, exposed) == set(), query
    whole = " ".join(queries)
    for name in ("requests", "request_seconds", "queue_images", "refusals", "model_info", "batch"):
        assert f"dcgan_{name}" in whole


def test_every_alert_queries_existing_metrics(deploy: Path, exposed: dict[str, set[str]]) -> None:
    for rule in alerts(deploy):
        assert unknown(rule["expr"], exposed) == set(), rule["alert"]
        used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        assert used <= {"instance"} | set(re.findall(r"\w+", rule["expr"]))


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("sum(rate(dcgan_request_total[5m]))", {"dcgan_request_total"}),
        ('dcgan_refusals_total{cause="full"}', {"cause"}),
        ("sum by (colour) (dcgan_model_info)", {"colour"}),
    ],
)
def test_that_check_can_fail(query: str, wrong: set[str], exposed: dict[str, set[str]]) -> None:
    assert unknown(query, exposed) == wrong


def test_no_panels_overlap(deploy: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels(deploy):
        place = panel["gridPos"]
        across = range(place["x"], place["x"] + place["w"])
        cells = {(x, y) for x in across for y in range(place["y"], place["y"] + place["h"])}
        assert max(across) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_grafana_finds_prometheus_and_the_dashboard(deploy: Path, root: Path) -> None:
    provisioning = deploy / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    services = yaml.safe_load((root / "docker-compose.yml").read_text())["services"]
    assert source["url"] == "http://prometheus:9090"
    assert services["prometheus"]["ports"][0].endswith(":9090")
    assert {panel["datasource"]["uid"] for panel in panels(deploy)} == {source["uid"]}
    (boards,) = yaml.safe_load((provisioning / "dashboards" / "dcgan.yml").read_text())["providers"]
    mounts = dict(mount.split(":")[:2] for mount in services["grafana"]["volumes"])
    folder = boards["options"]["path"]
    assert mounts["./app/deploy/grafana/dashboards"] == folder
    assert mounts["./app/deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{folder}/dcgan.json"


@pytest.fixture(scope="module")
def watched(up: Project) -> Project:
    """Two servers that Prometheus scrapes."""
    if not available(up.images()["prometheus"]):
        up.environment["PROMETHEUS_IMAGE"] = stand_in("PROMETHEUS_IMAGE")
    up.compose("up", "--detach", "--wait", "server")  # first, as test_scale.py expects
    up.compose("up", "--detach", "--wait", "app", "prometheus")
    return up


def query_prometheus(address: str, query: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{address}/api/v1/query", params={"query": query}, timeout=60).json()
    assert answer["status"] == "success", answer
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def test_prometheus_scrapes_every_server(watched: Project) -> None:
    address = watched.address("prometheus", 9090)
    until = time.monotonic() + 60
    while [one["value"][1] for one in query_prometheus(address, 'up{job="dcgan"}')] != ["1", "1"]:
        assert time.monotonic() < until, httpx.get(f"{address}/api/v1/targets", timeout=60).text
        time.sleep(0.5)
    assert len(query_prometheus(address, "dcgan_ready == 1")) == 2
    assert len(query_prometheus(address, "dcgan_model_info == 1")) >= 4


def test_prometheus_accepts_every_panel_and_alert(watched: Project, deploy: Path) -> None:
    address = watched.address("prometheus", 9090)
    for panel in panels(deploy):
        for target in panel["targets"]:
            query = target["expr"].replace("$__rate_interval", "1m").replace("$model", ".*")
            query_prometheus(address, query)
    rules = httpx.get(f"{address}/api/v1/rules", timeout=60).json()["data"]["groups"]
    loaded = {rule["name"] for group in rules for rule in group["rules"]}
    assert loaded == {rule["alert"] for rule in alerts(deploy)}


def test_promtool_accepts_the_configuration_and_the_alerts_fire(watched: Project) -> None:
    watched.compose(
        "exec", "-T", "prometheus", "promtool", "check", "config", "/etc/prometheus/prometheus.yml"
    )
    image = watched.environment.get("PROMETHEUS_IMAGE") or watched.images()["prometheus"]
    folder = Path(__file__).parent
    mounts = [
        f"{folder / 'alerts.yml'}:/check/tests.yml:ro",
        f"{watched.root / 'app' / 'deploy' / 'prometheus'}:/check/prometheus:ro",
    ]
    volumes = [part for mount in mounts for part in ("-v", mount)]
    docker(
        "run",
        "--rm",
        *volumes,
        "--entrypoint",
        "promtool",
        image,
        "test",
        "rules",
        "/check/tests.yml",
    )
