import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from app.artifact.card import ModelName
from app.settings import Settings, unknown_variables

KEYS = ("first-of-two-keys", "second-of-two-keys")


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


def test_the_default_model_may_have_any_name_that_a_card_may_have() -> None:
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


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (",".join(KEYS), KEYS),
        (f" {KEYS[0]} ,", KEYS[:1]),
        (f'["{KEYS[0]}", "with,a-comma-in-it"]', (KEYS[0], "with,a-comma-in-it")),
        ("[]", ()),
    ],
)
def test_keys_are_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, text: str, keys: tuple[str, ...]
) -> None:
    monkeypatch.setenv("DCGAN_API_KEYS", text)
    settings = Settings()
    assert tuple(key.get_secret_value() for key in settings.api_keys) == keys
    assert not any(key in repr(settings) + settings.model_dump_json() for key in keys)


@pytest.mark.parametrize("empty", ["", " ", ","])
def test_an_empty_secret_does_not_open_the_server(
    monkeypatch: pytest.MonkeyPatch, empty: str
) -> None:
    monkeypatch.setenv("DCGAN_API_KEYS", empty)
    with pytest.raises(ValidationError, match="contains no key"):
        Settings()


@pytest.mark.parametrize("weak", ["fifteen-letters", "with a space inside", "sixteen-lettérs-x"])
def test_a_weak_key_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, weak: str) -> None:
    monkeypatch.setenv("DCGAN_API_KEYS", f"{KEYS[0]},{weak}")
    with pytest.raises(ValidationError, match="16 ASCII characters or more") as refused:
        Settings()
    assert weak not in str(refused.value)
    assert KEYS[0] not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "origins"),
    [
        ("*", "*"),
        (" ", ""),
        ("https://a.example, http://localhost:3000", "https://a.example,http://localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("capacitor://localhost", "capacitor://localhost"),
    ],
)
def test_origins_are_as_browsers_send_them(given: str, origins: str) -> None:
    assert Settings(cors_origins=given).cors_origins == origins


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("https://a.example/", "write https://a.example"),
        ("https://a.example/path?x#y", "write https://a.example"),
        ("a.example", "write https://a.example"),
        ("localhost:3000", "write https://localhost:3000"),
        ("https://A.example", "write https://a.example"),
        ("HTTPS://a.example", "write https://a.example"),
        ("https://a.example:443", "write https://a.example"),
        ("http://a.example:80", "write http://a.example"),
        ("https://me@a.example", "write https://a.example"),
        ("https://bücher.example", "write https://xn--bcher-kva.example"),
        ("https://b.example,https://a.example/", "write https://b.example,https://a.example"),
        ("null", "'null' is not an origin"),
        ("*,https://a.example", "'*' is not an origin"),
        ("https://*.a.example", "'https://*.a.example' is not an origin"),
        ("https://a.example,", "'' is not an origin"),
        ("https://a b.example", "'https://a b.example' is not an origin"),
    ],
)
def test_what_is_no_origin_is_refused_with_what_to_write(given: str, words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(cors_origins=given)
    (error,) = refused.value.errors()
    assert error["loc"] == ("cors_origins",)
    assert "which have no path" in error["msg"]
    assert error["msg"].endswith(words)


@pytest.mark.parametrize(
    ("given", "path"), [("", ""), ("/", ""), ("/a", "/a"), ("/a/b.c-d_e~/", "/a/b.c-d_e~")]
)
def test_a_root_path_is_a_path_without_a_slash_at_its_end(given: str, path: str) -> None:
    assert Settings(root_path=given).root_path == path


@pytest.mark.parametrize(
    "given", ["a", "//a.example", "https://a.example/b", "/a/../b", "/a b", "/ä", "/a//b", "/a?b"]
)
def test_any_other_root_path_is_refused(given: str) -> None:
    with pytest.raises(ValidationError, match="begins with a slash, such as /dcgan"):
        Settings(root_path=given)


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("2001:db8::80", "2001:db8::80"),
        ("a-name.example", "a-name.example"),
    ],
)
def test_a_host_is_an_address_or_a_name(given: str, host: str) -> None:
    assert Settings(host=given).host == host


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "0.0.0.0 for every network"),
        ("*", "0.0.0.0 for every network"),
        ("127.0.0.1:80", "write --host 127.0.0.1 --port 80"),
        ("a.example:80", "write --host a.example --port 80"),
        ("[::1]:80", r"write --host \[::1\] --port 80"),
        ("http://127.0.0.1", "write --host 127.0.0.1$"),
        ("http://[::1]:80/a", r"write --host \[::1\] --port 80"),
        ("127.0.0.1/", "write --host 127.0.0.1$"),
    ],
)
def test_what_is_no_host_alone_is_refused_with_what_to_write(given: str, words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(host=given)
    (error,) = refused.value.errors()
    assert re.search(words, error["msg"])
