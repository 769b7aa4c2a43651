"""The README's commands and the settings that containers are given."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import PREFIX, Settings
from tests.bench.capacity import RESULTS, table

# What the image and the compose file say themselves.
FIXED = {"DCGAN_HOST", "DCGAN_PORT", "DCGAN_MODELS", "DCGAN_PROVIDER"}


@pytest.fixture(scope="module")
def services(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((root / "docker-compose.yml").read_text())["services"]
    return found


def test_every_setting_can_be_given_to_a_container(services: dict[str, Any]) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for service in ("server", "app", "gpu"):
        given = {name for name in services[service]["environment"] if name.startswith(PREFIX)}
        assert given - FIXED == known - FIXED


def test_the_readmes_commands_are_about_services_and_profiles_that_there_are(
    root: Path, services: dict[str, Any]
) -> None:
    readme = (root / "app" / "deploy" / "README.md").read_text()
    profiles = {one for service in services.values() for one in service.get("profiles", [])}
    told = set(re.findall(r"docker compose[^\n`]* --profile (\w+)", readme))
    named = set(re.findall(r"docker compose (?:up|run --rm --user .+?) (gpu|train|app)\b", readme))
    assert profiles == {"gpu", "train", "monitoring", "scale"}
    assert told <= profiles
    assert named == {"gpu", "train"}
    assert set(re.findall(r"--scale (\w+)=", readme)) == {"app"}
    for tried in ("docker compose up", "docker compose --profile scale up --scale app=3"):
        assert f"\n{tried}\n" in readme  # which tests call, word for word


def test_one_server_comes_by_itself_and_those_of_scale_share_no_port(
    services: dict[str, Any],
) -> None:
    assert [name for name in services if "profiles" not in services[name]] == ["server"]
    assert services["server"]["ports"] == ["${PORT:-8000}:8000"]
    assert "ports" not in services["app"]


def test_the_gpu_is_reserved_and_the_trainers_folders_are_ones_own(
    services: dict[str, Any],
) -> None:
    (device,) = services["gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    mounts = services["train"]["volumes"]
    assert mounts == [f"./{name}:/srv/{name}" for name in ("data", "runs", "models")]


def test_every_service_is_bounded_watched_and_started_again(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["deploy"]["resources"]["limits"]["memory"], name
        if name != "train":
            assert service["restart"] == "unless-stopped", name
        ours = service["image"].startswith("dcgan-server:")
        assert ours == ("build" in service or service.get("pull_policy") == "never"), name


def test_the_stop_waits_for_longer_than_the_server(services: dict[str, Any]) -> None:
    settings = Settings()
    longest = settings.timeout + getattr(settings, "grace", 0)
    for service in ("server", "app", "gpu", "balancer"):
        assert int(services[service]["stop_grace_period"].removesuffix("s")) > longest


def test_the_capacity_table_is_computed_from_what_was_measured(root: Path) -> None:
    # `python -m tests.bench.capacity` prints it anew.
    assert table(RESULTS.read_text()) in (root / "app" / "deploy" / "README.md").read_text()
