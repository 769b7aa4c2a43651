"""The folder of all models, and what is said about one too deep, too high or elsewhere."""

from pathlib import Path

import pytest

from app.artifact import models_folder

MUST = "but must be the folder of all models, which has <name>/<version>/card.json"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the folders `models/cats/1` and `models/dogs/1`."""
    for name in ("cats", "dogs"):
        version = tmp_path / "models" / name / "1"
        version.mkdir(parents=True)
        (version / "card.json").touch()
        (version / "generator.onnx").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_folder_of_all_models_is_right(here: Path) -> None:
    assert models_folder.misplaced(Path("models")) is None
    assert models_folder.misplaced(here / "models") is None
    assert models_folder.missing(Path("models")) is None
    assert models_folder.has_versions(Path("models"))


@pytest.mark.parametrize(
    ("models", "kind"),
    [
        ("models/cats", "the folder of one model"),
        ("models/cats/1", "the folder of one version"),
        ("models/cats/1/card.json", "a file of one version"),
        ("models/cats/1/generator.onnx", "a file of one version"),
        (".", "above the folder of the models"),
    ],
)
def test_a_folder_that_is_too_deep_or_too_high_is_told_the_right_one(
    here: Path, models: str, kind: str
) -> None:
    reason = models_folder.misplaced(Path(models))
    assert reason == f"models is '{models}', which is {kind}, {MUST}: write --models models"
    assert models_folder.misplaced(here / models)


def test_the_right_folder_is_absolute_if_it_is_elsewhere(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(here / "models" / "cats" / "1")
    for models in (".", ".."):
        reason = models_folder.misplaced(Path(models))
        assert reason
        assert reason.endswith(f"write --models {here / 'models'}")


def test_an_empty_or_a_strange_folder_is_not_misplaced(here: Path) -> None:
    """Models may be put into it later."""
    (here / "empty").mkdir()
    (here / "words").touch()
    for models in ("empty", "words", "missing"):
        assert models_folder.misplaced(Path(models)) is None


def test_models_beside_a_card_that_is_too_high_are_served(here: Path) -> None:
    (here / "models" / "stray").mkdir()
    (here / "models" / "stray" / "card.json").touch()
    assert models_folder.misplaced(Path("models")) is None


def test_a_missing_folder_is_looked_for_above(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = here / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert models_folder.missing(Path("models")) == (
        f"models is 'models', which does not exist in {below}: write --models {here / 'models'}"
    )


def test_a_missing_folder_is_looked_for_in_the_checkout(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    reason = models_folder.missing(Path("models"))
    assert reason
    assert reason.endswith(f"write --models {root / 'models'}")


def test_without_any_models_the_flag_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert models_folder.missing(missing) == (
        f"models is '{missing}', which does not exist: --models names another folder"
    )


def test_a_folder_that_cannot_be_accessed_is_neither_misplaced_nor_missing(here: Path) -> None:
    """Reading it gives the reason: here a name that is too long, elsewhere the permissions."""
    inaccessible = here / ("x" * 300)
    assert models_folder.misplaced(inaccessible) is None
    assert models_folder.missing(inaccessible) is None
