"""The directions along which images are edited, from all commands that find some."""

from collections.abc import Iterable
from typing import get_args

from app.artifact.card import Directions
from training.evaluation.options import Method
from training.evaluation.records import AttributesRecord, DirectionsRecord
from training.run.journal import Run


def of_run(run: Run, step: int) -> Directions | None:
    """Those that ``attributes`` and ``directions`` found for the checkpoint of ``step``.

    Raises RunError if a record is damaged.
    """
    attributes = AttributesRecord.read_for_step(run.edits, step)
    records = [
        DirectionsRecord.read_for_step(run.directions(method), step) for method in get_args(Method)
    ]
    return joined(
        [
            attributes.directions() if attributes else None,
            *(record.directions() for record in records if record),
        ]
    )


def joined(parts: Iterable[Directions | None]) -> Directions | None:
    """The directions of all ``parts``, whose names differ; None if there are none."""
    found = [part for part in parts if part]
    if not found:
        return None
    return Directions(
        protocol="; ".join(part.protocol for part in found),
        attributes={name: one for part in found for name, one in part.attributes.items()},
    )
