"""The Dockerfiles build nothing that the default image does not need, and servers that agree."""

import re
from pathlib import Path

import pytest

FILES = ("Dockerfile", "app/deploy/Dockerfile")
SERVERS = {"Dockerfile": ("cpu",), "app/deploy/Dockerfile": ("openvino", "gpu")}
CONTRACT = ("ENV", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "WORKDIR")
"""Instructions that Compose and Kubernetes rely on."""

Stages = dict[str, str]


def stages(text: str) -> Stages:
    """The text of every stage, by its name, in order."""
    parts = re.split(r"^(?=FROM )", text, flags=re.MULTILINE)[1:]
    return {re.findall(r"FROM .* AS (\S+)", part)[0]: part for part in parts}


def needed(text: str, target: str) -> set[str]:
    """The stages that ``target`` consists of, including itself."""
    found = stages(text)
    names = re.findall(r"^FROM (\S+)|--from=(\S+)", found[target], re.MULTILINE)
    sources = {name for pair in names for name in pair if name in found}
    return {target}.union(*(needed(text, source) for source in sources))


def instructions(stage: str) -> dict[str, str]:
    lines = (line.partition(" ") for line in stage.splitlines())
    return {name: value for name, _, value in lines if name in CONTRACT}


@pytest.fixture(scope="module")
def texts(root: Path) -> dict[str, str]:
    return {name: (root / name).read_text() for name in FILES}


def test_a_build_without_buildkit_builds_only_the_default_image(texts: dict[str, str]) -> None:
    """Such a builder builds every stage of a file, from the first to the target."""
    text = texts["Dockerfile"]
    *_, last = stages(text)
    assert last == "cpu"
    assert needed(text, last) == set(stages(text))
    assert re.findall(r"^ARG (\w+_IMAGE)", text, re.MULTILINE) == ["PYTHON_IMAGE"]


def test_a_stage_that_is_not_needed_is_found(texts: dict[str, str]) -> None:
    text = texts["app/deploy/Dockerfile"]
    assert needed(text, "gpu") == {"gpu", "cuda", "gpu-environment", "requirements", "server"}
    assert "cuda" not in needed(text, "train") | needed(text, "openvino")


def test_every_image_of_a_server_has_the_same_contract(texts: dict[str, str]) -> None:
    contracts = [
        instructions(stages(texts[file])[name]) for file, names in SERVERS.items() for name in names
    ]
    assert contracts[0].keys() == set(CONTRACT)
    assert all(contract == contracts[0] for contract in contracts)


def test_both_files_copy_the_same_server_and_use_the_same_base(texts: dict[str, str]) -> None:
    first, second = texts.values()
    assert stages(first)["server"] == stages(second)["server"]
    assert re.findall(r"^ARG PYTHON_IMAGE=.*$", first, re.MULTILINE) == re.findall(
        r"^ARG PYTHON_IMAGE=.*$", second, re.MULTILINE
    )
