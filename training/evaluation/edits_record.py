"""The record of ``attributes``: what can be edited in a generator's images, and how well."""

from collections.abc import Iterator

from app.artifact.card import Direction, Directions
from training.evaluation.records import Part, Record
from training.run.journal import Run


class Edit(Part):
    """One attribute."""

    share: float
    """Of the images that have it unedited."""
    direction: Direction
    kept: dict[str, float]
    """Of each other attribute, the share of edited images in which it is as before."""

    @property
    def least(self) -> str:
        """The other attribute that is kept worst, and its share."""
        name = min(self.kept, key=self.kept.__getitem__)
        return f"{name} {self.kept[name]:.0%}"


class Edits(Record):
    """All of them; as JSON the content of ``attributes.json``."""

    count: int
    """Images that were drawn: a half to find directions by, a half to judge them."""
    protocol: str
    edits: dict[str, Edit]

    def directions(self) -> Directions | None:
        """What a card tells of them; None where nothing can be edited."""
        if not self.edits:
            return None
        attributes = {name: edit.direction for name, edit in self.edits.items()}
        return Directions(protocol=self.protocol, attributes=attributes)

    def table(self) -> Iterator[str]:
        """The record as lines to read."""
        step = "" if self.step is None else f", step {self.step}"
        yield f"{self.subject}{step}: {self.count} images"
        yield f"{'':14}{'share':>8}{'gained':>8}{'kept':>8}  least kept"
        for name, edit in self.edits.items():
            found = (edit.share, edit.direction.gained, edit.direction.kept)
            yield f"{name:14}{''.join(f'{share:8.1%}' for share in found)}  {edit.least}"
        yield f"features: {self.feature_network.file}; {self.seconds:.0f} s on {self.device}"


def directions_of(run: Run, step: int) -> Directions | None:
    """The directions found in ``run``, unless in another checkpoint than that of ``step``.

    Raises RunError for a damaged record.
    """
    found = Edits.of_step(run.edits, step)
    return found.directions() if found else None
