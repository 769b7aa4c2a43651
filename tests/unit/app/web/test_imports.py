"""The JavaScript modules of the page import each other without cycles."""

import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

_IMPORT = re.compile(r"""^(?:import|export)\b[^"';]*["']\./([^"']+)["'];""", re.MULTILINE)


def imports(source: str) -> set[str]:
    """The modules that a module imports, or exports again, by file name."""
    return set(_IMPORT.findall(source))


def cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """The first cycle that is found, with its first module repeated at the end; else nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_modules_import_each_other_without_cycles(root: Path) -> None:
    sources = {path.name: path.read_text() for path in (root / "app" / "web").glob("*.js")}
    graph = {name: imports(source) for name, source in sources.items()}
    lines = sum(len(re.findall(r"\bfrom\s*[\"']", source)) for source in sources.values())
    assert sum(map(len, graph.values())) == lines > 0
    assert set().union(*graph.values()) <= graph.keys()
    assert cycle(graph) == []


@pytest.mark.parametrize(
    "statement",
    [
        'import { a } from "./first.js";',
        'import * as a from "./first.js";',
        'import a, {\n  b,\n} from "./first.js";',
        'import "./first.js";',
        'export { a } from "./first.js";',
    ],
)
def test_a_cycle_would_be_found(statement: str) -> None:
    graph = {
        "first.js": imports('import { b } from "./second.js";\n'),
        "second.js": imports('import { c } from "./third.js";\n'),
        "third.js": imports(f"/* A comment. */\n\n{statement}\n"),
    }
    assert set(cycle(graph)) == set(graph)
