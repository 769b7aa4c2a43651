"""Gives a version another name and number, which its card and its graphs contain."""

from app.artifact import card, graph_metadata
from app.artifact.card import CARD_FILE, Card, CardError, Encoder, Variant
from app.artifact.version_key import VersionKey

Files = dict[str, bytes]
"""The files of a version, by name."""


def renamed(files: Files, original: Card, key: VersionKey) -> Files:
    """The files of the version ``original`` under the name and number of ``key``.

    Nothing changes if it has them already. Raises CardError if a graph contradicts its card.
    """
    if key == VersionKey(original.name, str(original.version)):
        return files
    changed = {**files}
    for variant in original.variants:
        found, expected = graph_metadata.read(files[variant.file]), original.metadata()
        if found != expected:
            raise CardError(
                f"{variant.file}: the graph's metadata is {found}, but the card says {expected}"
            )
    name, version = key.name, int(key.version)
    for graph in original.graphs:
        changed[graph.file] = graph_metadata.replaced(
            files[graph.file], card.metadata(name, version)
        )
    variants = [_described(variant, changed) for variant in original.variants]
    encoder = original.encoder and _described(original.encoder, changed)
    described = original.model_copy(
        update={"name": name, "version": version, "variants": variants, "encoder": encoder}
    )
    return {**changed, CARD_FILE: card.serialise(described)}


def _described(graph: Variant | Encoder, files: Files) -> Variant | Encoder:
    """The entry on the card for the file of ``graph``, as it is now."""
    content = files[graph.file]
    size = {"size": len(content)} if isinstance(graph, Encoder) else {}
    return graph.model_copy(update={"sha256": card.digest(content), **size})
