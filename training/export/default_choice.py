"""Whether a new version becomes the default of its model: only a better one does by itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from app.artifact import card, default_version
from app.artifact.card import Card, CardError, Metric
from training.errors import ExportError
from training.run.journal import SCORE


@dataclass(frozen=True)
class DefaultChoice:
    """Which version of a model is the default once a new one is published, and why."""

    model: Path
    """The folder of the model."""
    new: int
    present: int | None
    """The default so far; None for a new model."""
    scores: tuple[Metric | None, Metric | None]
    """``SCORE`` of the new version and of the default so far, if it was measured."""
    requested: bool
    """Whether the new version becomes the default whatever its score."""

    @classmethod
    def of(cls, model: Path, new: Card, *, requested: bool) -> Self:
        """The choice for the card ``new``, which is not published yet, in the folder ``model``.

        Raises ExportError if the file that records the default is damaged.
        """
        present = _present(model)
        before = None if present is None else _score(model / str(present))
        return cls(model, new.version, present, (new.metrics.get(SCORE), before), requested)

    @property
    def becomes_default(self) -> bool:
        """Whether the new version becomes the default."""
        return self.requested or self.present is None or not self._objection()

    def hold(self) -> None:
        """Record the present default before the new version appears, which might be higher."""
        if self.present is not None:
            default_version.write(self.model, self.present)

    def carry_out(self) -> None:
        """Record the new default, now that the new version is published."""
        if self.becomes_default and self.present is not None:
            default_version.write(self.model, self.new)

    def lines(self) -> Iterator[str]:
        """The choice as lines of text."""
        if self.present is None:
            return
        for number, score in zip((self.new, self.present), self.scores, strict=True):
            value = f"{score.value:.4g}" if score else "not measured"
            default = ", the default so far" if number == self.present else ""
            yield f"{SCORE} of version {number}{default}: {value}"
        if self.becomes_default:
            yield f"version {self.new} is the default now"
            return
        yield f"version {self.present} stays the default: {self._objection()}"
        models = "" if self.model.parent == Path("models") else f" --models {self.model.parent}"
        command = f"default --name {self.model.name} --version {self.new}{models}"
        yield f"to change that: python -m training {command}; or publish with --default"

    def _objection(self) -> str:
        """The reason why the new version must not replace the default by itself; may be empty."""
        new, present = self.scores
        if new is None:
            return f"`evaluate` has not measured version {self.new}"
        if present is None:
            return f"`evaluate` has not measured version {self.present}"
        if _method(new) != _method(present):
            return f"{SCORE} of the two was measured in different ways"
        # Not with ">", which is false for NaN.
        return "" if new.value <= present.value else "the new version is worse"


def set_default(models: Path, name: str, version: int) -> None:
    """Record ``version`` as the default of a model. Raises ExportError if it is not published."""
    try:
        card.read(models / name / str(version))
    except CardError as error:
        raise ExportError(str(error)) from error
    default_version.write(models / name, version)


def _present(model: Path) -> int | None:
    try:
        return default_version.present(model)
    except CardError as error:
        raise ExportError(str(error)) from error


def _score(folder: Path) -> Metric | None:
    """The score on the card in ``folder``; None without one, or if the card is damaged."""
    try:
        return card.read(folder).metrics.get(SCORE)
    except CardError:
        return None


def _method(score: Metric) -> str:
    """How a score was measured, without that of real images for comparison."""
    return score.protocol.partition(";")[0]
