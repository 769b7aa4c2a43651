"""``python -m app push``: a version of the models folder to a repository or a bucket."""

from pathlib import Path

from app.artifact import card, graph_safety
from app.artifact.card import CARD_FILE, SAMPLES_FILE, CardError
from app.exchange import stores
from app.exchange.options import PushSettings
from app.exchange.renaming import Files
from app.exchange.store import ExchangeError


def push(options: PushSettings) -> dict[str, int]:
    """Copy the version in ``options.folder`` to ``options.target``, its card last.

    Returns the sizes of the files in bytes, by their addresses. Raises ExchangeError if the version
    is damaged, if there is a version at the target, or if it cannot be written; OSError if the disk
    fails.
    """
    folder = options.folder.resolve()
    if not (folder / CARD_FILE).exists():
        raise ExchangeError(
            f"{options.folder}: has no {CARD_FILE} but must be the folder of one version, such as "
            "models/digits/1"
        )
    files = _files(folder)
    target = stores.open_target(options.target)
    if target.exists(CARD_FILE):
        raise ExchangeError(
            f"{target.address(CARD_FILE)}: exists already; a published version never changes"
        )
    target.write(files)
    return {target.address(name): len(content) for name, content in files.items()}


def _files(folder: Path) -> Files:
    """The files of the version in ``folder``, verified, its card last. Raises ExchangeError."""
    try:
        described = card.read(folder)
        files = {graph.file: card.load_graph(folder, graph) for graph in described.graphs}
        for content in files.values():
            graph_safety.check(content)
    except CardError as error:
        raise ExchangeError(str(error)) from error
    samples = folder / SAMPLES_FILE
    sheet = {SAMPLES_FILE: samples.read_bytes()} if samples.exists() else {}
    return {**files, **sheet, CARD_FILE: (folder / CARD_FILE).read_bytes()}
