"""The real Docker engine: images, and projects of ``docker-compose.yml``."""

import json
import os
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

PYTHON_IMAGE = "python:3.11-slim-bookworm"
IMAGE = "dcgan-server:cpu"
HERE = Path(__file__).parent

# Packages come from where this machine has them from.
_OVERRIDE = """services:
  server: {{image: '{image}', build: {{network: host}}}}
  train: {{build: {{network: host}}}}
"""

# Where docker-compose.yml publishes, by the variable that says otherwise.
PORTS = {"PORT": 8000, "BALANCER_PORT": 8080, "PROMETHEUS_PORT": 9090, "GRAFANA_PORT": 3000}

# Debian's packages in place of images that cannot be pulled.
STAND_INS = {
    "HAPROXY_IMAGE": ("haproxy", []),
    "PROMETHEUS_IMAGE": ("prometheus", ["prometheus"]),
}


def docker(*arguments: str, **options: Any) -> str:
    """What ``docker`` says; a failure tells what it complained of."""
    ended = subprocess.run(
        ["docker", *arguments], check=False, capture_output=True, text=True, **options
    )
    if ended.returncode:
        raise AssertionError(f"docker {' '.join(arguments)}: {ended.stderr[-3000:]}")
    return ended.stdout


def there(image: str) -> bool:
    """Whether an image is on this machine, or can be pulled."""
    for words in (["image", "inspect"], ["pull", "--quiet"]):
        ended = subprocess.run(["docker", *words, image], check=False, capture_output=True)
        if ended.returncode == 0:
            return True
    return False


def stand_in(name: str) -> str:
    """An image with Debian's package in place of a published one."""
    package, entry = STAND_INS[name]
    tag = f"dcgan-test-{package}"
    source = (
        f"FROM {PYTHON_IMAGE}\n"
        f"RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends {package}\n"
        f"RUN mkdir -p /prometheus && chmod 777 /prometheus\n"
        f"ENTRYPOINT {json.dumps(entry)}\n"
        "USER nobody\n"
    )
    docker("build", "--network", "host", "--quiet", "-t", tag, "-", input=source)
    return tag


def copied(root: Path, folder: Path) -> Path:
    """What images are built from, in another folder."""
    for name in ("app", "models", "training"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Dockerfile", ".dockerignore", "docker-compose.yml", "pyproject.toml"):
        shutil.copy(root / name, folder)
    return folder


def moved() -> dict[str, str]:
    """Another port for each that somebody else on this machine has; none where all are free."""
    told = {}
    for name, port in PORTS.items():
        try:
            socket.create_server(("", port)).close()
        except OSError:
            told[name] = str(free_port())
    return told


@dataclass
class Project:
    """One run of the compose file under a name of its own."""

    root: Path
    name: str
    override: Path
    profiles: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)

    def call(self, command: str, *arguments: str) -> str:
        """A command of the README, word for word."""
        files = f"{self.root / 'docker-compose.yml'}:{self.override}"
        mine = {"COMPOSE_PROJECT_NAME": self.name, "COMPOSE_FILE": files}
        told = {name: value for name, value in os.environ.items() if name not in PORTS}
        words = [*shlex.split(command), *arguments]
        assert words[0] == "docker"
        return docker(*words[1:], cwd=self.root, env={**told, **mine, **self.environment})

    def compose(self, *arguments: str) -> str:
        profiles = " ".join(f"--profile {profile}" for profile in self.profiles)
        return self.call(f"docker compose {profiles}", *arguments)

    def images(self) -> dict[str, str]:
        """The image of every service."""
        told = json.loads(self.compose("config", "--format", "json"))["services"]
        return {service: options["image"] for service, options in told.items()}

    def containers(self, service: str) -> list[str]:
        return self.compose("ps", "-aq", service).split()

    def address(self, service: str, port: int) -> str:
        """Where a published port is reached from this machine."""
        found = self.compose("port", service, str(port)).strip()
        return f"http://127.0.0.1:{found.rpartition(':')[2]}"

    @contextmanager
    def load(self, address: str, *arguments: str) -> Iterator["Load"]:
        """Clients in a container of their own, who ask until they are told to stop."""
        words = ["run", "--rm", "-i", "--network", f"{self.name}_default", "--entrypoint", "python"]
        program = (HERE / "load.py").read_text()
        process = subprocess.Popen(
            ["docker", *words, IMAGE, "-c", program, address, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        load = Load(process)
        try:
            load.begun()
            yield load
        finally:
            load.end()


@dataclass
class Load:
    """What the clients of ``load.py`` found, once they have ended."""

    process: "subprocess.Popen[str]"
    found: dict[str, Any] = field(default_factory=dict)

    def begun(self) -> None:
        """Every client has had an answer."""
        assert self.process.stdout
        assert self.process.stdout.readline() == "begun\n"

    def end(self) -> dict[str, Any]:
        if not self.found:
            told, _ = self.process.communicate("", timeout=60)
            assert self.process.returncode == 0
            self.found = json.loads(told)
        return self.found


def state(container: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("inspect", container))[0]
    return found


def await_healthy(container: str, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while (health := state(container)["State"].get("Health", {})).get("Status") != "healthy":
        assert time.monotonic() < until, health
        time.sleep(0.2)


def killed(container: str) -> None:
    """A container's process is killed, as for memory. What `docker kill` ends stays ended."""
    outside = ["run", "--rm", "--pid", "host", "--user", "0"]
    program = f"import os; os.kill({state(container)['State']['Pid']}, 9)"
    docker(*outside, "--entrypoint", "python", IMAGE, "-c", program)


@contextmanager
def project(
    root: Path, folder: Path, image: str = IMAGE, profiles: Sequence[str] = ()
) -> Iterator[Project]:
    """A project that is taken down, volumes included, at the end."""
    override = folder / "override.yml"
    override.write_text(_OVERRIDE.format(image=image))
    compose = Project(root, f"dcgan-{uuid4().hex[:8]}", override, profiles, moved())
    try:
        yield compose
    finally:
        compose.compose("down", "--volumes", "--timeout", "5")
