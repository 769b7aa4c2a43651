from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from app.artifact.card import ModelName
from app.settings import Settings, unknown_variables


def test_defaults_serve_fashion_mnist_to_this_machine_only() -> None:
    defaults = Settings()
    assert (defaults.host, defaults.port) == ("127.0.0.1", 8000)
    assert (str(defaults.models), defaults.default_model) == ("models", "fashion-mnist")


def test_the_environment_sets_and_a_flag_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCGAN_PORT", "81")
    monkeypatch.setenv("DCGAN_MAX_BATCH", "7")
    settings = Settings(_cli_parse_args=["--port", "82", "--default-model", "faces"])
    assert (settings.port, settings.max_batch, settings.default_model) == (82, 7, "faces")


@pytest.mark.parametrize(
    "invalid",
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
def test_an_invalid_setting_is_named(invalid: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(invalid))):
        Settings(**invalid)


def test_the_default_model_is_any_name_that_a_card_may_have() -> None:
    schema = Settings.model_json_schema()["properties"]["default_model"]
    assert schema["pattern"] == TypeAdapter(ModelName).json_schema()["pattern"]


def test_a_misspelt_variable_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCGAN_PORT", "81")
    monkeypatch.setenv("DCGAN_PROT", "82")
    assert unknown_variables() == ["DCGAN_PROT"]


@pytest.mark.parametrize(("text", "expected"), [("", None), ("engines", Path("engines"))])
def test_an_empty_variable_names_no_folder(
    monkeypatch: pytest.MonkeyPatch, text: str, expected: Path | None
) -> None:
    monkeypatch.setenv("DCGAN_ENGINE_CACHE", text)
    assert Settings().engine_cache == expected
    assert Settings(_cli_parse_args=["--engine-cache", text]).engine_cache == expected
