"""Who may import whom: ``routes → deps → catalog → served → engine → leaves ← training``."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LEAVES = {
    "app.api.allowed",
    "app.imaging.animation",
    "app.latent.arithmetic",
    "app.artifact.card",
    "app.runtime.cpus",
    "app.runtime.cpu_affinity",
    "app.batching.lru_cache",
    "app.latent.edits",
    "app.artifact.atomic_files",
    "app.artifact.version_folders",
    "app.artifact.graph_safety",
    "app.imaging.sheets",
    "app.api.v2.tensors",
    "app.latent.sampling",
    "app.imaging.render_options",
    "app.batching.throughput",
    "app.latent.interpolation",
    "app.imaging.png",
    "app.runtime.providers",
    "app.auth.rate_limit",
    "app.imaging.webp",
    "app.observability.request_stats",
    "app.api.v2.schemas",
    "app.batching.fair_share",
    "app.runtime.parallel_sessions",
    "app.registry.statistics",
    "app.api.values",
}
LEAF_LIBRARIES = sys.stdlib_module_names | {"isal", "numpy", "onnxruntime", "PIL", "pydantic"}
NEVER_SERVED = ("torch", "training", "onnx", "tqdm", "httpx")

_PROOF = """
import sys
{first}
import app.main
print(*(name for name in {never} if name in sys.modules))
"""


def loaded(root: Path, first: str = "") -> list[str]:
    """What of NEVER_SERVED a fresh interpreter holds once it has imported the server."""
    program = _PROOF.format(first=first, never=NEVER_SERVED)
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=root, check=True, capture_output=True, text=True
    )
    return ended.stdout.split()


def imports(source: str, module: str) -> set[str]:
    """The modules that ``source`` imports, wherever in it; ``from app import x`` is ``app.x``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} has a relative import"
            name = node.module or ""
            whole = name in {"app", "training"}
            found |= {f"{name}.{alias.name}" for alias in node.names} if whole else {name}
    return found


def offences(module: str, imported: set[str]) -> Iterator[str]:
    """The imports that a module of this name must not have."""
    for name in sorted(imported):
        package = name.partition(".")[0]
        if module in LEAVES:
            wrong = name not in LEAVES and package not in LEAF_LIBRARIES
        elif module.startswith("app."):
            wrong = package in {"training", "torch", "onnx"} or (
                name.startswith(("app.api.routes", "app.main")) and module not in MAINS
            )
        else:
            wrong = package == "app" and name not in LEAVES
        loop_looks_up = module in {"training.loop.epochs", "training.gan.step"} and name.startswith(
            ("training.evaluation", "training.export", "training.run.journal")
        )
        if wrong or loop_looks_up:
            yield f"{module} imports {name}"


MAINS = {"app.__main__", "app.deploy.ray_serve", "app.main"}


def modules(root: Path) -> Iterator[tuple[str, Path]]:
    for package in ("app", "training"):
        for path in sorted((root / package).rglob("*.py")):
            yield ".".join(path.relative_to(root).with_suffix("").parts), path


def test_the_server_loads_neither_torch_nor_the_trainer(root: Path) -> None:
    assert loaded(root) == []


def test_that_check_can_fail(root: Path) -> None:
    assert loaded(root, first="import tqdm") == ["tqdm"]


def test_imports_run_one_way(root: Path) -> None:
    found = dict(modules(root))
    assert found.keys() >= LEAVES
    wrong = [
        offence
        for module, path in found.items()
        for offence in offences(module, imports(path.read_text(), module))
        # A route may borrow another route's URL.
        if not (module.startswith("app.api.routes.") and "imports app.api.routes." in offence)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("app.runtime.engine", "import torch"),
        ("app.runtime.engine", "def f():\n    from training import loop"),
        ("app.registry.registry", "from app.api.routes import grid"),
        ("app.latent.sampling", "from app.errors import AppError"),
        ("app.latent.sampling", "import fastapi"),
        ("training.loop.fit", "from app import engine"),
        ("training.loop.epochs", "from training.export.publish import export"),
    ],
)
def test_that_check_can_fail_too(module: str, source: str) -> None:
    assert list(offences(module, imports(source, module)))
