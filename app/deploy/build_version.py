"""The version of the package for its build, which fails where Python is too old.

pip 22 and 23, as Ubuntu 22.04 has them, notice ``requires-python`` only after they have tried all
older versions of the dependencies, for more than 20 minutes. The build comes before that. It runs
this file alone, by the Python that pip runs, so its syntax is that of Python 3.8.
"""

import re
import sys
from pathlib import Path

REQUIRED = (3, 11)
"""The least version of Python, as ``requires-python`` in ``pyproject.toml``."""


def version() -> str:
    """Return ``__version__`` of ``app``; exit with a message if Python is too old."""
    if sys.version_info < REQUIRED:
        needed, found = (".".join(map(str, parts)) for parts in (REQUIRED, sys.version_info[:3]))
        sys.exit(f"dcgan-server needs Python {needed} or newer, but this is Python {found}")
    source = Path(__file__).resolve().parents[1] / "__init__.py"
    (found,) = re.findall(r'^__version__ = "(.+)"$', source.read_text(), re.MULTILINE)
    return str(found)
