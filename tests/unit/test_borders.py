"""Which package may import which: the design's two tables, checked against every import.

Imports inside functions and under ``TYPE_CHECKING`` count like any other.
"""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

Graph = dict[str, set[str]]
"""From each importer to everything that it imports."""

BELOW = {"everything below"}
APP: Graph = {
    "errors": set(),
    "settings": set(),
    "web": set(),
    "latent": set(),
    "imaging": set(),
    "artifact": {"latent"},
    "runtime": {"artifact", "imaging"},
    "batching": set(),
    "registry": BELOW,
    "rendering": BELOW,
    "model": BELOW,
    "exchange": BELOW,
    "observability": {"settings"},
    "auth": {"settings", "errors"},
    "middleware": BELOW,
    "api": BELOW,
    "server": {"settings", "errors"},
    "main": BELOW,
    "deploy": {"main", "settings"},
    "__main__": BELOW,
    "console": {"__main__"},
}
"""What each package of ``app`` may import of ``app``, from the ground up."""

TRAINING: Graph = {
    "errors": set(),
    "image_size": set(),
    "presets": BELOW,
    "config": BELOW,
    "data": BELOW,
    "gan": BELOW,
    "run": BELOW,
    "loop": BELOW,
    "evaluation": BELOW,
    "export": BELOW,
    "library": BELOW,
    "encoder": BELOW,
    "figures": BELOW,
    "__main__": BELOW,
}
"""What each package of ``training`` may import of ``training``, from the ground up."""

SHARED = {"artifact", "latent", "imaging", "runtime"}
"""Packages of ``app`` that ``training`` may import."""
LIGHT = SHARED | {"batching"}
"""Packages of ``app`` that use no web framework."""
LIBRARIES = sys.stdlib_module_names | {"isal", "numpy", "onnxruntime", "PIL", "pydantic", "app"}
"""Everything that the light packages may import."""

NEVER_IN_APP = {"training", "torch", "onnx"}
NEVER_LOADED_BY_THE_SERVER = ("torch", "training", "onnx", "tqdm", "httpx", "app.exchange")


def table(root: str, floors: Graph) -> Graph:
    """The full names that each package may import; the package ``root`` itself is the ground."""
    allowed: Graph = {root: set()}
    for package, named in floors.items():
        below = set(allowed) if named is BELOW else {root, *(f"{root}.{name}" for name in named)}
        allowed[f"{root}.{package}"] = below
    return allowed


ALLOWED = table("app", APP) | {
    package: below | {f"app.{name}" for name in SHARED}
    for package, below in table("training", TRAINING).items()
}
ALLOWED["training.__main__"].add("app")  # for its version


def imports(source: str, known: set[str]) -> set[str]:
    """The modules that ``source`` imports anywhere; ``from app import x`` is ``app.x`` if known."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"relative import of {node.module}"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & known
            found |= {node.module or ""} if names - known else set()
    return found


def package_of(module: str) -> str:
    """``app.api.v2.tensors`` belongs to ``app.api``."""
    return ".".join(module.split(".")[:2])


def ours(module: str) -> bool:
    return module.partition(".")[0] in {"app", "training"}


def between_packages(modules: Graph) -> Graph:
    """Which package imports which of our own packages, without imports inside a package."""
    packages: Graph = defaultdict(set)
    for module, imported in modules.items():
        targets = {package_of(name) for name in imported if ours(name)}
        packages[package_of(module)] |= targets - {package_of(module)}
    return dict(packages)


def upwards(modules: Graph) -> set[tuple[str, str]]:
    """Importer and imported of every import between packages that the tables do not allow."""
    return {
        (package, target)
        for package, targets in between_packages(modules).items()
        for target in targets - ALLOWED.get(package, set())
    }


def cycle(graph: Graph) -> list[str]:
    """The nodes of one cycle; none where there is no cycle."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def disallowed_libraries(modules: Graph) -> Iterator[str]:
    """Imports of libraries that a package may not use."""
    for module, imported in modules.items():
        libraries = {name.partition(".")[0] for name in imported}
        wrong = libraries & NEVER_IN_APP if module.startswith("app") else set()
        if module.startswith("app.") and module.split(".")[1] in LIGHT:
            wrong |= libraries - LIBRARIES
        yield from (f"{module} imports {name}" for name in sorted(wrong))


@pytest.fixture(scope="module")
def modules(root: Path) -> Graph:
    """Every module of both packages, with what it imports."""
    paths = [path for package in ("app", "training") for path in (root / package).rglob("*.py")]
    names = {".".join(path.relative_to(root).with_suffix("").parts): path for path in paths}
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    return {name: imports(path.read_text(), set(names)) for name, path in names.items()}


def test_every_package_stands_in_a_table(modules: Graph) -> None:
    assert set(map(package_of, modules)) <= ALLOWED.keys()


def test_no_import_runs_upwards(modules: Graph) -> None:
    assert upwards(modules) == set()


def test_no_packages_import_each_other(modules: Graph) -> None:
    assert cycle(between_packages(modules)) == []


def test_no_modules_import_each_other(modules: Graph) -> None:
    assert cycle({name: set(filter(ours, imported)) for name, imported in modules.items()}) == []


def test_each_package_uses_only_the_libraries_that_it_may(modules: Graph) -> None:
    assert list(disallowed_libraries(modules)) == []


def scripts(folder: Path) -> Graph:
    """Every script of the page, with the scripts that it imports."""
    return {path.name: set(_IMPORTED.findall(path.read_text())) for path in folder.glob("*.js")}


_IMPORTED = re.compile(r"""(?:^import|^export|\bfrom|\bimport\()\s*["']\./([^"']+)""", re.MULTILINE)


def test_no_scripts_of_the_page_import_each_other(root: Path) -> None:
    graph = scripts(root / "app" / "web")
    assert graph["main.js"] >= {"state.js"}
    assert cycle(graph) == []


def test_scripts_that_import_each_other_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text('import {\n  b,\n} from "./b.js";\n')
    (tmp_path / "b.js").write_text("const a = await import('./a.js');\n")
    assert set(cycle(scripts(tmp_path))) == {"a.js", "b.js"}


def test_the_tables_themselves_have_no_cycle() -> None:
    assert cycle(ALLOWED) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("app.registry.registry", "from app.api.routes import grid"),
        ("app.registry.registry", "def f():\n    from app.observability import metrics"),
        ("app.middleware.cors", "if TYPE_CHECKING:\n    from app.main import create_app"),
        ("app.latent.sampling", "from app.errors import AppError"),
        ("app.server.workers", "import app.main"),
        ("app.runtime.engine", "import training"),
        ("app.new_package.module", "import app.errors"),
        ("training.loop.fit", "from app import settings"),
        ("training.loop.epochs", "from training.export.publish import export"),
        ("training.data.idx", "from training import gan"),
    ],
)
def test_an_import_that_runs_upwards_is_found(modules: Graph, module: str, source: str) -> None:
    assert upwards({module: imports(source, set(modules))})


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("app.main", "import torch"),
        ("app.__main__", "def f():\n    from onnx import helper"),
        ("app.imaging.png", "import fastapi"),
        ("app.batching.batcher", "from app.errors import AppError\nimport starlette.types"),
    ],
)
def test_a_library_that_a_package_may_not_use_is_found(module: str, source: str) -> None:
    assert list(disallowed_libraries({module: imports(source, set())}))


def test_a_cycle_is_found() -> None:
    graph = {"app.a.one": {"app.b.two"}, "app.b.other": {"app.a.one"}, "app.b.two": {"numpy"}}
    assert cycle(graph) == []
    assert set(cycle(between_packages(graph))) == {"app.a", "app.b"}
    graph["app.b.two"] = {"app.b.other"}
    assert set(cycle(graph)) == set(graph)


_PROGRAM = """
import sys
{first}
import app.main
print(*(name for name in {never} if name in sys.modules))
"""


def loaded(root: Path, first: str = "") -> list[str]:
    """Those of NEVER_LOADED_BY_THE_SERVER that a new interpreter loads with the server."""
    program = _PROGRAM.format(first=first, never=NEVER_LOADED_BY_THE_SERVER)
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=root, check=True, capture_output=True, text=True
    )
    return ended.stdout.split()


def test_the_server_loads_neither_torch_nor_the_trainer(root: Path) -> None:
    assert loaded(root) == []


def test_a_library_that_the_server_may_not_load_is_found(root: Path) -> None:
    assert loaded(root, first="import tqdm") == ["tqdm"]
