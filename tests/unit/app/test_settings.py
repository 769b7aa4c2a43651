from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from app import settings
from app.artifact.card import ModelName
from app.settings import Settings


def test_defaults_serve_fashion_mnist_to_this_machine_only() -> None:
    defaults = Settings()
    assert (defaults.host, defaults.port) == ("127.0.0.1", 8000)
    assert (str(defaults.models), defaults.default_model) == ("models", "fashion-mnist")


def test_the_environment_sets_and_a_flag_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCGAN_PORT", "81")
    monkeypatch.setenv("DCGAN_MAX_BATCH", "7")
    told = Settings(_cli_parse_args=["--port", "82", "--default-model", "faces"])
    assert (told.port, told.max_batch, told.default_model) == (82, 7, "faces")


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": -1},
        {"port": 65536},
        {"provider": "tpu"},
        {"threads": -1},
        {"workers": 0},
        {"max_images": 15},
        {"max_images": 257},
        {"max_batch": 0},
        {"max_queue": 255},
        {"default_model": "../etc"},
    ],
)
def test_a_wrong_setting_is_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Settings(**wrong)


def test_the_default_model_is_any_name_that_a_card_may_have() -> None:
    schema = Settings.model_json_schema()["properties"]["default_model"]
    assert schema["pattern"] == TypeAdapter(ModelName).json_schema()["pattern"]


def test_a_misspelt_variable_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCGAN_PORT", "81")
    monkeypatch.setenv("DCGAN_PROT", "82")
    assert settings.unknown_variables() == ["DCGAN_PROT"]


@pytest.mark.parametrize(("told", "meant"), [("", None), ("engines", Path("engines"))])
def test_an_empty_variable_names_no_folder(
    monkeypatch: pytest.MonkeyPatch, told: str, meant: Path | None
) -> None:
    monkeypatch.setenv("DCGAN_ENGINE_CACHE", told)
    assert Settings().engine_cache == meant
    assert Settings(_cli_parse_args=["--engine-cache", told]).engine_cache == meant
