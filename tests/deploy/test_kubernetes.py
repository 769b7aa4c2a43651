"""The Kubernetes manifests: valid by Kubernetes' own schemas, and consistent with the server."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from fastapi.testclient import TestClient

from app.settings import PREFIX, Settings
from tests.deploy.manifests import OVERLAYS, Manifest, rendered

VERSION = "1.34"


@pytest.fixture(scope="module")
def manifests(root: Path) -> Path:
    return root / "app" / "deploy" / "kubernetes"


@pytest.fixture(scope="module", params=OVERLAYS)
def overlay(
    request: pytest.FixtureRequest, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Manifest]:
    return rendered(root, tmp_path_factory.mktemp("overlay"), request.param)


def container(overlay: dict[str, Manifest]) -> Manifest:
    (only,) = overlay["Deployment"]["spec"]["template"]["spec"]["containers"]
    found: Manifest = only
    return found


def base(manifests: Path, name: str) -> Manifest:
    found: Manifest = yaml.safe_load((manifests / "base" / name).read_text())
    return found


def valid(manifest: Manifest) -> None:
    kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_every_manifest_of_the_base_is_valid(manifests: Path) -> None:
    names = yaml.safe_load((manifests / "base" / "kustomization.yaml").read_text())["resources"]
    assert len(names) == len([*(manifests / "base").iterdir()]) - 1
    for name in names:
        valid(base(manifests, name))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("spec", "template", "spec", "containers", 0, "livenessProbe"), {"httpget": {}}),
        (("spec", "strategy", "rollingUpdate", "maxSurge"), [1]),
    ],
)
def test_that_check_can_fail(manifests: Path, place: tuple[Any, ...], value: object) -> None:
    broken = part = base(manifests, "deployment.yaml")
    *parents, last = place
    for key in parents:
        part = part[key]
    part[last] = value
    with pytest.raises(kubernetes_validate.ValidationError):
        valid(broken)


def test_every_manifest_of_an_overlay_is_valid(overlay: dict[str, Manifest]) -> None:
    known = {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"}
    assert overlay.keys() == known | {"NetworkPolicy", "ConfigMap", "ServiceMonitor"}
    for kind, manifest in overlay.items():
        if (
            kind != "ServiceMonitor"
        ):  # defined by Prometheus's operator; Kubernetes has no schema for it
            valid(manifest)


def test_models_can_come_from_a_volume(root: Path, tmp_path: Path) -> None:
    found = rendered(root, tmp_path, "cpu", "models-volume")
    valid(found["PersistentVolumeClaim"])
    valid(found["Deployment"])
    mounts = {mount["name"]: mount["mountPath"] for mount in container(found)["volumeMounts"]}
    assert mounts == {"tmp": "/tmp", "models": "/srv/models"}  # noqa: S108
    context = found["Deployment"]["spec"]["template"]["spec"]["securityContext"]
    assert context["fsGroup"] == context["runAsGroup"]  # else the server could not read the volume


def test_every_variable_is_a_setting_of_the_server(
    overlay: dict[str, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = overlay["ConfigMap"]["data"]
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert variables.keys() <= known
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for variable in container(overlay)["env"]:
        assert variable["name"] in known - variables.keys()
    settings = Settings()
    assert settings.rate
    assert [port["containerPort"] for port in container(overlay)["ports"]] == [settings.port]
    name = container(overlay)["envFrom"][0]["configMapRef"]["name"]
    assert name == overlay["ConfigMap"]["metadata"]["name"]


def test_the_probes_request_existing_paths(
    overlay: dict[str, Manifest], client: TestClient
) -> None:
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        request = container(overlay)[probe]["httpGet"]
        assert request["port"] == container(overlay)["ports"][0]["name"]
        assert client.get(request["path"]).status_code == 200


def test_all_manifests_select_the_same_pods_and_port(overlay: dict[str, Manifest]) -> None:
    pods = overlay["Deployment"]["spec"]["template"]["metadata"]["labels"]
    port = container(overlay)["ports"][0]["name"]
    service = overlay["Service"]["spec"]
    assert service["selector"] == pods
    assert service["ports"][0]["targetPort"] == port
    assert overlay["Deployment"]["spec"]["selector"]["matchLabels"] == pods
    assert overlay["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == pods
    network = overlay["NetworkPolicy"]["spec"]
    assert network["podSelector"]["matchLabels"] == pods
    assert network["ingress"][0]["ports"][0]["port"] == port
    monitor = overlay["ServiceMonitor"]["spec"]
    assert monitor["selector"]["matchLabels"] == overlay["Service"]["metadata"]["labels"]
    assert monitor["endpoints"][0]["port"] == service["ports"][0]["name"]
    scaled = overlay["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert scaled["name"] == overlay["Deployment"]["metadata"]["name"]


def test_a_pod_has_no_privileges_that_it_does_not_need(overlay: dict[str, Manifest]) -> None:
    pod = overlay["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    assert container(overlay)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for volume in pod["volumes"]:
        assert volume["emptyDir"]["sizeLimit"]


def test_keys_come_from_a_secret_that_is_not_in_the_repository(
    root: Path, overlay: dict[str, Manifest]
) -> None:
    assert "Secret" not in overlay
    sources = {one["name"]: one["valueFrom"] for one in container(overlay)["env"]}
    required, optional = (
        sources[f"DCGAN_{kind}_KEYS"]["secretKeyRef"] for kind in ("API", "ADMIN")
    )
    assert "optional" not in required  # no pod starts with keys that were forgotten
    assert optional.pop("optional") is True
    readme = (root / "app" / "deploy" / "README.md").read_text()
    assert f"kubectl create secret generic {required['name']} " in readme
    for one in (required, optional):
        assert f"--from-literal={one['key']}=" in readme


def test_a_pod_is_reached_at_its_port_and_reaches_dns_and_collectors_alone(
    overlay: dict[str, Manifest],
) -> None:
    spec = overlay["NetworkPolicy"]["spec"]
    assert set(spec["policyTypes"]) == {"Ingress", "Egress"}
    assert spec["ingress"] == [{"ports": [{"protocol": "TCP", "port": "http"}]}]
    dns, otlp = spec["egress"]
    assert dns["ports"] == [{"protocol": kind, "port": 53} for kind in ("UDP", "TCP")]
    assert otlp["ports"] == [{"protocol": "TCP", "port": 4318}]  # OTLP's default over HTTP
    for rule in (dns, otlp):
        assert rule["to"]  # without it, a rule is for every destination
        for peer in rule["to"]:
            assert peer.get("podSelector") or peer["ipBlock"]["cidr"].endswith("/32")


def test_only_the_gpu_overlay_requests_a_gpu(root: Path, tmp_path: Path) -> None:
    gpu, cpu = (rendered(root, tmp_path / name, name) for name in ("gpu", "cpu"))
    assert container(gpu)["image"] == "dcgan-server:gpu"
    assert container(gpu)["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in container(cpu)["resources"]["limits"]
