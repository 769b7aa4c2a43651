"""One script from JavaScript modules; the browser tests run the page's own."""

from graphlib import CycleError

import pytest

from app.web.bundle import bundle

SOURCES = {
    "main": 'import * as one from "./one.js";\nimport "./effects.js";\none.run();\n',
    "one": 'import {\n  two,\n  $ as x,\n} from "./two.js";\n\nexport const run = () => two(x);\n',
    "two": "export const $ = 1;\nexport async function two(x) {}\nconst hidden = 2;\n",
    "effects": 'import { two } from "./two.js";\ntwo();\n',
}


def test_modules_become_functions_before_those_that_import_them() -> None:
    script = bundle(SOURCES, "main")
    for name, exported in (("one", "run"), ("two", "$, two"), ("effects", "")):
        begin = script.index(f"const module_{name} = (() => {{")
        assert f"return {{ {exported} }};" in script[begin:]
    positions = [script.index(f"const module_{name} =") for name in ("two", "one")]
    assert positions == sorted(positions)
    assert script.index("const module_effects =") < script.index("one.run();")
    assert script.endswith("one.run();\n")


def test_imports_take_what_other_modules_return() -> None:
    script = bundle(SOURCES, "main")
    assert "const {\n  two,\n  $: x,\n} = module_two;" in script
    assert "const one = module_one;" in script
    assert "import" not in script
    assert "export" not in script
    assert "const hidden = 2;" in script


def test_modules_that_import_each_other_are_refused() -> None:
    cyclic = {
        "main": 'import { b } from "./b.js";\nexport const a = 1;\n',
        "b": 'import { a } from "./main.js";\nexport const b = 1;\n',
    }
    with pytest.raises(CycleError):
        bundle(cyclic, "main")


def test_a_missing_module_is_refused() -> None:
    with pytest.raises(KeyError, match="gone"):
        bundle({"main": 'import "./gone.js";\n'}, "main")
