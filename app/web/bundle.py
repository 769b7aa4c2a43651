"""Joins the page's JavaScript modules into one script, so that a browser needs one request.

Each module becomes a function that returns what it exports, in the order of their imports. The
modules use a part of the language: named and namespace imports from ``./``, exports in front of
``const``, ``function`` and ``class``, and no cycles.
"""

import re
from collections.abc import Mapping
from graphlib import TopologicalSorter

_IMPORT = re.compile(r'^import (?:(\{[^}]*\}|\* as \w+) from )?"\./([\w]+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) ([\w$]+))", re.MULTILINE)


def bundle(sources: Mapping[str, str], main: str) -> str:
    """The script that runs the module ``main``; ``sources`` has all modules by name.

    Raises CycleError if modules import each other, and KeyError for a module that is missing.
    """
    graph = {name: [found[2] for found in _IMPORT.finditer(text)] for name, text in sources.items()}
    order = [name for name in TopologicalSorter(graph).static_order() if name != main]
    return "\n".join([*(_as_function(name, sources[name]) for name in order), _body(sources[main])])


def _as_function(name: str, source: str) -> str:
    exported = ", ".join(_EXPORT.findall(source))
    return f"const module_{name} = (() => {{\n{_body(source)}\nreturn {{ {exported} }};\n}})();"


def _body(source: str) -> str:
    return _EXPORT.sub("", _IMPORT.sub(_imported, source))


def _imported(statement: re.Match[str]) -> str:
    """The statement that takes imports from the result of the other module's function."""
    names, module = statement.groups()
    if names is None:
        return ""
    taken = names.removeprefix("* as ").replace(" as ", ": ")
    return f"const {taken} = module_{module};"
