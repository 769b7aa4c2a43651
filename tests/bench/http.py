"""Requests per second for a PNG sheet: our server compared with others, in alternating rounds.

    python -m tests.bench.http [--models models/fashion-mnist/3 models/faces/1] [--out result.json]
        [--earlier models/fashion-mnist/2 models/faces/1] [--rivals naive,litserve,bentoml,ray]
        [--images 1,16] [--connections 1,16,64]

Both servers of a comparison run the same ONNX file, from ``--models``. The naive server is also
compared with an earlier model of its own: then the ratio is that of server and model together.
``tests/bench/servers`` has the other servers. The naive one uses the libraries of ours. The rest
come from a package index: ``--install`` installs each in a virtual environment of its own below
``--cache``; those that are not installed are left out. Both servers of a comparison run all the
time; one of them is idle.
"""

import argparse
import io
import json
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from tests.bench.processors import description
from tests.bench.serving import (
    FailedLoad,
    Load,
    Server,
    Target,
    answer,
    await_answer,
    free_port,
    measured,
    ours,
    require_wrk,
    running,
)

SERVERS = Path(__file__).with_name("servers")


@dataclass(frozen=True)
class Rival:
    """Another server: its packages, how to start it, and how to send it requests."""

    packages: tuple[str, ...]
    command: tuple[str, ...]
    """``PORT`` stands for the port; the first word is a program of the virtual environment."""
    takes_json: bool = False


RIVALS = {
    "naive": Rival((), ("python", "naive.py", "PORT")),
    "litserve": Rival(("litserve",), ("python", "with_litserve.py", "PORT"), takes_json=True),
    "bentoml": Rival(
        ("bentoml",),
        ("bentoml", "serve", "with_bentoml:Sheets", "--host", "127.0.0.1", "--port", "PORT"),
        takes_json=True,
    ),
    "ray": Rival(("ray[serve]",), ("python", "with_ray.py", "PORT")),
}
COMMON = ("numpy", "onnxruntime", "pillow")
# Otherwise they report their use to their makers.
QUIET = {"BENTOML_DO_NOT_TRACK": "True", "RAY_USAGE_STATS_ENABLED": "0"}


@dataclass(frozen=True)
class Pair:
    """Our server with a model, and another server with the same or an earlier one."""

    rival: str
    ours: Path
    theirs: Path

    @property
    def name(self) -> str:
        """Which servers and models are compared."""
        ours, theirs = ("/".join(model.parts[-2:]) for model in (self.ours, self.theirs))
        return f"ours with {ours}, {self.rival} with {theirs}"


def main() -> None:
    options = arguments()
    require_wrk()
    print(description())
    results = []
    for name in options.rivals:
        programs = environment(name, options.cache, install=options.install)
        if programs is None:
            print(f"\n{name} is not installed; --install does so")
            continue
        print(f"\n{name}: {versions(name, programs)}")
        for pair in pairs(name, options):
            results += against(pair, programs, options)
    print_ratios(results, options.images)
    if options.out:
        content = {"cpu": description(), "results": results}
        options.out.write_text(json.dumps(content, indent=2) + "\n")


def pairs(rival: str, options: argparse.Namespace) -> Iterator[Pair]:
    """The comparisons with a rival: every model, and an earlier one on the naive server."""
    for model, earlier in zip(options.models, options.earlier, strict=True):
        if rival == "naive" and earlier != model:
            yield Pair(rival, model, earlier)
        yield Pair(rival, model, model)


def print_ratios(results: Sequence[Mapping[str, Any]], images: Sequence[int]) -> None:
    """Print the ratios at each number of connections once more, a line for each comparison."""
    print(f"\n{'ratio of requests per second':56}{'connections':>12}", end="")
    print("".join(f"{f'n={n}':>8}" for n in images))
    lines: dict[tuple[str, int], dict[int, float]] = {}
    for one in results:
        line = lines.setdefault((one["pair"], one["connections"]), {})
        line[one["images"]] = one["ratio"]
    for (pair, connections), ratios in lines.items():
        cells = "".join(f"{ratios[n]:8.2f}" if n in ratios else f"{'-':>8}" for n in images)
        print(f"{pair:56}{connections:12}{cells}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    models = [Path("models/fashion-mnist/3"), Path("models/faces/1")]
    words = "models that our server is compared with"
    parser.add_argument("--models", type=Path, nargs="+", default=models, help=words)
    words = "for each of --models, the one that the naive server is compared with, too"
    parser.add_argument("--earlier", type=Path, nargs="+", help=f"{words}; by default the same")
    parser.add_argument("--rivals", type=lambda text: text.split(","), default=list(RIVALS))
    words = "install those of --rivals that are missing"
    parser.add_argument("--install", action="store_true", help=words)
    parser.add_argument("--images", type=numbers, default=[1, 16], help="images of a request")
    parser.add_argument("--connections", type=numbers, default=[1, 16, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="seconds of a round")
    parser.add_argument("--flags", default="", help="flags of our server: --flags='--workers 2'")
    words = "interpreter for our server, for example of an environment with the extra openvino"
    parser.add_argument("--python", default=sys.executable, help=words)
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path.home() / ".cache" / "dcgan-server-bench",
        help="folder for the virtual environments",
    )
    parser.add_argument("--out", type=Path, help="a JSON file for the result")
    options = parser.parse_args()
    options.earlier = options.earlier or options.models
    if len(options.earlier) != len(options.models):
        parser.error("--earlier must have as many models as --models")
    return options


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def environment(name: str, cache: Path, *, install: bool) -> Path | None:
    """The folder of a rival's programs; None if it is not installed. May install it."""
    if not RIVALS[name].packages:
        return Path(sys.executable).parent
    programs, installed = cache / name / "bin", cache / name / "installed.txt"
    if install and not installed.exists():
        print(f"installing {name} in {cache / name}")
        venv.create(cache / name, with_pip=True)
        packages = [*RIVALS[name].packages, *COMMON]
        subprocess.run([programs / "pip", "install", "--quiet", *packages], check=True)
        installed.touch()
    return programs if installed.exists() else None


def versions(name: str, programs: Path) -> str:
    """The versions of a rival's packages."""
    packages = [*RIVALS[name].packages, *COMMON, "fastapi"]
    listed = subprocess.run(
        [programs / "python", "-m", "pip", "list", "--format=json"],
        check=True,
        capture_output=True,
    ).stdout
    wanted = {package.partition("[")[0] for package in packages}
    found = {one["name"]: one["version"] for one in json.loads(listed) if one["name"] in wanted}
    return ", ".join(f"{package} {version}" for package, version in found.items())


def against(pair: Pair, programs: Path, options: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Both servers, for each number of images and of connections."""
    name, flags = pair.rival, options.flags.split()
    print(f"\n{pair.name}")
    print(f"{'images':>6}{'connections':>12}{'ours/s':>9}{'p50':>7}{'p99':>8}", end="")
    print(f"{name + '/s':>12}{'p50':>7}{'p99':>8}{'ratio':>7}")
    our_server = ours(pair.ours, *flags, python=options.python)
    with our_server as one, started(name, programs, pair.theirs) as two:
        for images in options.images:
            targets = {
                "ours": Target(f"{one.address}/generate?n={images}"),
                name: target_of(name, two.address, images),
            }
            sizes = {size(answer(target)) for target in targets.values()}
            if len(sizes) > 1:
                sys.exit(f"the sheets of {images} images differ in size: {sizes}")
            for connections in options.connections:
                try:
                    found = compared(name, targets, images, connections, options)
                except FailedLoad as failed:
                    print(f"{images:6}{connections:12}  no ratio: {failed}", flush=True)
                else:
                    yield {"pair": pair.name, "images": images, "connections": connections, **found}


@contextmanager
def started(name: str, programs: Path, model: Path) -> Iterator[Server]:
    """Start a rival; gives it once it answers."""
    port = str(free_port())
    program, *words = (port if word == "PORT" else word for word in RIVALS[name].command)
    environment = {**QUIET, "GRAPH": str((model / "generator.onnx").resolve())}
    with TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with running([str(programs / program), *words], log, SERVERS, environment) as process:
            server = Server(process, f"http://127.0.0.1:{port}")
            await_answer(server, target_of(name, server.address, 1), log)
            yield server


def target_of(name: str, address: str, images: int) -> Target:
    """The request to a rival for ``images`` images."""
    if RIVALS[name].takes_json:
        return Target(f"{address}/generate", json.dumps({"n": images}))
    return Target(f"{address}/generate?n={images}")


def size(content: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        image.load()
        return image.size


def compared(
    name: str,
    targets: dict[str, Target],
    images: int,
    connections: int,
    options: argparse.Namespace,
) -> dict[str, object]:
    """Both sides in alternating rounds; returns the medians and their ratio."""
    for target in targets.values():
        measured(target, connections, options.seconds)  # warms up
    rounds: dict[str, list[Load]] = {side: [] for side in targets}
    for _ in range(options.rounds):
        for side, target in targets.items():
            rounds[side].append(measured(target, connections, options.seconds))
    middle = {side: medians(found) for side, found in rounds.items()}
    ratio = middle["ours"].requests_per_second / middle[name].requests_per_second
    cells = "".join(
        f"{found.requests_per_second:{width}.0f}{found.p50:7.1f}{found.p99:8.1f}"
        for found, width in zip(middle.values(), (9, 12), strict=True)
    )
    print(f"{images:6}{connections:12}{cells}{ratio:7.2f}", flush=True)
    sides = {
        side: {**asdict(middle[side]), "rounds": list(map(asdict, found))}
        for side, found in rounds.items()
    }
    return {"ratio": ratio, **sides}


def medians(rounds: list[Load]) -> Load:
    return Load(
        *(median(getattr(load, part) for load in rounds) for part in Load.__dataclass_fields__)
    )


if __name__ == "__main__":
    main()
