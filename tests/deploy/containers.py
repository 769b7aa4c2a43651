"""Helpers for a real Docker engine: images, and projects of ``docker-compose.yml``."""

import json
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.bench.serving import free_port
from tests.waiting import scaled

PYTHON_IMAGE = "python:3.11-slim-bookworm"
IMAGE = "dcgan-server:cpu"
HERE = Path(__file__).parent

# Builds use this machine's network, and so its package index.
_OVERRIDE = """services:
  server: {{image: '{image}', build: {{network: host, args: {{PYTHON_IMAGE: '{base}'}}}}}}
  train: {{build: {{network: host, args: {{PYTHON_IMAGE: '{base}'}}}}}}
"""

# Default ports in docker-compose.yml, by the variables that change them.
PORTS = {"PORT": 8000, "BALANCER_PORT": 8080, "PROMETHEUS_PORT": 9090, "GRAFANA_PORT": 3000}

# Debian packages that replace images which cannot be pulled: package, entry point.
STAND_INS = {
    "HAPROXY_IMAGE": ("haproxy", []),
    "PROMETHEUS_IMAGE": ("prometheus", ["prometheus"]),
}


def docker(*arguments: str, **options: Any) -> str:
    """Return the output of ``docker``; a failure raises AssertionError with its error output."""
    ended = subprocess.run(
        ["docker", *arguments], check=False, capture_output=True, text=True, **options
    )
    if ended.returncode:
        raise AssertionError(f"docker {' '.join(arguments)}: {ended.stderr[-3000:]}")
    return ended.stdout


def available(image: str) -> bool:
    """Return whether an image is on this machine or can be pulled."""
    for command in (["image", "inspect"], ["pull", "--quiet"]):
        ended = subprocess.run(["docker", *command, image], check=False, capture_output=True)
        if ended.returncode == 0:
            return True
    return False


def stand_in(name: str) -> str:
    """Build an image with a Debian package in place of a published image; return its tag."""
    package, entry_point = STAND_INS[name]
    tag = f"dcgan-test-{package}"
    source = (
        f"FROM {PYTHON_IMAGE}\n"
        f"RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends {package}\n"
        f"RUN mkdir -p /prometheus && chmod 777 /prometheus\n"
        f"ENTRYPOINT {json.dumps(entry_point)}\n"
        "USER nobody\n"
    )
    docker("build", "--network", "host", "--quiet", "-t", tag, "-", input=source)
    return tag


def copy_sources(root: Path, folder: Path) -> Path:
    """Copy the files that images are built from to ``folder``; return it."""
    for name in ("app", "models", "training"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (
        "Dockerfile",
        ".dockerignore",
        "docker-compose.yml",
        "pyproject.toml",
        "requirements.lock",
    ):
        shutil.copy(root / name, folder)
    return folder


def replacement_ports() -> dict[str, str]:
    """Free ports for those of PORTS that are in use on this machine, by variable."""
    replaced = {}
    for name, port in PORTS.items():
        try:
            socket.create_server(("", port)).close()
        except OSError:
            replaced[name] = str(free_port())
    return replaced


@dataclass
class Project:
    """The compose file under a project name of its own."""

    root: Path
    name: str
    override: Path
    profiles: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)

    def call(self, command: str, *arguments: str) -> str:
        """Run a command of the README, word for word, and return its output."""
        files = f"{self.root / 'docker-compose.yml'}:{self.override}"
        compose = {"COMPOSE_PROJECT_NAME": self.name, "COMPOSE_FILE": files}
        inherited = {name: value for name, value in os.environ.items() if name not in PORTS}
        program, *rest = [*shlex.split(command), *arguments]
        assert program == "docker"
        return docker(*rest, cwd=self.root, env={**inherited, **compose, **self.environment})

    def compose(self, *arguments: str) -> str:
        profiles = " ".join(f"--profile {profile}" for profile in self.profiles)
        return self.call(f"docker compose {profiles}", *arguments)

    def images(self) -> dict[str, str]:
        """Return the image of every service."""
        services = json.loads(self.compose("config", "--format", "json"))["services"]
        return {service: options["image"] for service, options in services.items()}

    def containers(self, service: str) -> list[str]:
        return self.compose("ps", "-aq", service).split()

    def address(self, service: str, port: int) -> str:
        """Return the URL by which this machine reaches a published port."""
        found = self.compose("port", service, str(port)).strip()
        return f"http://127.0.0.1:{found.rpartition(':')[2]}"

    @contextmanager
    def load(self, address: str, *arguments: str) -> Iterator["Load"]:
        """Run clients in a container of their own that send requests until the context ends."""
        run = ["run", "--rm", "-i", "--network", f"{self.name}_default", "--entrypoint", "python"]
        program = (HERE / "load.py").read_text()
        process = subprocess.Popen(
            ["docker", *run, IMAGE, "-c", program, address, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        load = Load(process)
        try:
            load.await_first_responses()
            yield load
        finally:
            load.end()


@dataclass
class Load:
    """The clients of ``load.py``; ``found`` is their report once they have ended."""

    process: "subprocess.Popen[str]"
    found: dict[str, Any] = field(default_factory=dict)

    def await_first_responses(self) -> None:
        """Wait until every client has received a response."""
        assert self.process.stdout
        assert self.process.stdout.readline() == "begun\n"

    def end(self) -> dict[str, Any]:
        """Stop the clients and return their report."""
        if not self.found:
            report, _ = self.process.communicate("", timeout=60)
            assert self.process.returncode == 0
            self.found = json.loads(report)
        return self.found


def state(container: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("inspect", container))[0]
    return found


def await_healthy(container: str, seconds: float = 60) -> None:
    until = time.monotonic() + scaled(seconds)
    while (health := state(container)["State"].get("Health", {})).get("Status") != "healthy":
        assert time.monotonic() < until, health
        time.sleep(0.2)


def kill(container: str) -> None:
    """Kill a container's process from outside, as the kernel does when memory runs out.

    Unlike `docker kill`, this lets the restart policy start it again.
    """
    run = ["run", "--rm", "--pid", "host", "--user", "0"]
    program = f"import os; os.kill({state(container)['State']['Pid']}, 9)"
    docker(*run, "--entrypoint", "python", IMAGE, "-c", program)


@contextmanager
def project(
    root: Path, folder: Path, image: str = IMAGE, profiles: Sequence[str] = ()
) -> Iterator[Project]:
    """A project that is removed at the end, with its volumes."""
    override = folder / "override.yml"
    override.write_text(_OVERRIDE.format(image=image, base=PYTHON_IMAGE))
    # Projects that run at the same time need networks that do not overlap.
    environment = {**replacement_ports(), "NETWORK": f"172.31.{secrets.randbelow(256)}"}
    compose = Project(root, f"dcgan-{uuid4().hex[:8]}", override, profiles, environment)
    try:
        yield compose
    finally:
        compose.compose("down", "--volumes", "--timeout", "5")
