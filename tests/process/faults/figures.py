"""Writes measurements into ``RESULTS.md``, one section per script."""

import re
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


def keep(title: str, text: str, path: Path = RESULTS) -> None:
    """Write ``text`` as the section ``title``, replacing its previous text."""
    whole = path.read_text()
    section = f"## {title}\n\n{text.strip()}\n"
    there = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    if there.search(whole):
        whole = there.sub(lambda _: section + "\n", whole)
    else:
        whole = f"{whole.rstrip()}\n\n{section}"
    path.write_text(whole.rstrip() + "\n")
