"""docker-compose.yml: its settings and limits, and the commands that the README shows."""

import ipaddress
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import PREFIX, Settings
from tests.bench.capacity import RESULTS, table

# Set by the image or by the compose file.
FIXED = {"DCGAN_HOST", "DCGAN_PORT", "DCGAN_UDS", "DCGAN_MODELS", "DCGAN_PROVIDER"}


@pytest.fixture(scope="module")
def services(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((root / "docker-compose.yml").read_text())["services"]
    return found


def test_every_setting_is_passed_on_to_the_containers(services: dict[str, Any]) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for service in ("server", "app", "gpu"):
        passed = {name for name in services[service]["environment"] if name.startswith(PREFIX)}
        assert passed - FIXED == known - FIXED


def test_the_readmes_commands_name_existing_services_and_profiles(
    root: Path, services: dict[str, Any]
) -> None:
    readme = (root / "app" / "deploy" / "README.md").read_text()
    profiles = {one for service in services.values() for one in service.get("profiles", [])}
    named_profiles = set(re.findall(r"docker compose[^\n`]* --profile (\w+)", readme))
    named_services = set(
        re.findall(r"docker compose (?:up|run --rm --user .+?) (gpu|train|app)\b", readme)
    )
    assert profiles == {"gpu", "train", "monitoring", "scale"}
    assert named_profiles <= profiles
    assert named_services == {"gpu", "train"}
    assert set(re.findall(r"--scale (\w+)=", readme)) == {"app"}
    for command in ("docker compose up", "docker compose --profile scale up --scale app=3"):
        assert f"\n{command}\n" in readme  # other tests run it, word for word


def test_the_load_balancer_alone_is_a_trusted_proxy(root: Path, services: dict[str, Any]) -> None:
    compose = yaml.safe_load((root / "docker-compose.yml").read_text())
    (pool,) = compose["networks"]["default"]["ipam"]["config"]
    address = services["balancer"]["networks"]["default"]["ipv4_address"]
    for service in ("server", "app", "gpu"):
        trusted = services[service]["environment"]["FORWARDED_ALLOW_IPS"]
        assert trusted == f"${{FORWARDED_ALLOW_IPS:-{address}}}"
    network, others, balancer = (
        ipaddress.ip_network(re.sub(r"\$\{\w+:-(.*?)\}", r"\1", text))
        for text in (pool["subnet"], pool["ip_range"], address)
    )
    assert balancer.subnet_of(network)
    assert not balancer.overlaps(others)  # or another container might get the address


def test_one_server_starts_by_default_and_the_others_publish_no_port(
    services: dict[str, Any],
) -> None:
    assert [name for name in services if "profiles" not in services[name]] == ["server"]
    assert services["server"]["ports"] == ["${PORT:-8000}:8000"]
    assert "ports" not in services["app"]


def test_the_gpu_is_reserved_and_the_trainer_mounts_the_repositorys_folders(
    services: dict[str, Any],
) -> None:
    (device,) = services["gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    mounts = services["train"]["volumes"]
    assert mounts == [f"./{name}:/srv/{name}" for name in ("data", "runs", "models")]


def test_every_service_has_a_memory_limit_and_a_restart_policy(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["deploy"]["resources"]["limits"]["memory"], name
        if name != "train":
            assert service["restart"] == "unless-stopped", name
        ours = service["image"].startswith("dcgan-server:")
        assert ours == ("build" in service or service.get("pull_policy") == "never"), name


def test_every_container_is_hardened(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["deploy"]["resources"]["limits"]["pids"], name
        assert "privileged" not in service, name
        if name != "grafana":  # its image writes to its own folders
            assert service["read_only"] is True, name
        if service["image"].startswith("dcgan-server:"):
            assert re.fullmatch(r"/\w+:size=\d+m", service["tmpfs"]), name
    assert services["train"]["user"] == "${TRAIN_USER:-10001:10001}"  # the others' is in the image


def test_nobody_can_log_in_to_grafana(services: dict[str, Any]) -> None:
    options = services["grafana"]["environment"]
    assert options["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert options["GF_AUTH_BASIC_ENABLED"] == "false"
    assert options["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert options["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert not [name for name in options if "PASSWORD" in name]
    assert all(port.startswith("127.0.0.1:") for port in services["grafana"]["ports"])


def test_the_stop_timeout_is_longer_than_the_servers(services: dict[str, Any]) -> None:
    _, _, grace = services["server"]["environment"]["DCGAN_GRACE"].strip("${}").partition(":-")
    longest = int(grace) + Settings().timeout + Settings().patience
    for service in ("server", "app", "gpu", "balancer"):
        assert int(services[service]["stop_grace_period"].removesuffix("s")) > longest


def test_the_capacity_table_is_computed_from_the_measurements(root: Path) -> None:
    # `python -m tests.bench.capacity` prints the table.
    assert table(RESULTS.read_text()) in (root / "app" / "deploy" / "README.md").read_text()
