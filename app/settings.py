"""Settings of the server, from flags (``--port 80``) or the environment (``DCGAN_PORT=80``).

``python -m app`` reads them once, at its start.
"""

import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Provider = Literal["auto", "cpu", "cuda", "openvino", "tensorrt"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
LogFormat = Literal["text", "json"]

PREFIX = "DCGAN_"


def _split(text: object) -> object:
    """The values of a JSON list, or of a list separated by commas; other types unchanged."""
    if not isinstance(text, str):
        return text
    if text.lstrip().startswith("["):
        return json.loads(text)
    values = [value.strip() for value in text.split(",") if value.strip()]
    if not values:  # most likely a secret that was not found
        raise ValueError("contains no key; for no keys, leave it out or set it to []")
    return values


def _none_if_empty(text: object) -> object:
    """None for an empty variable, which would otherwise mean the current folder."""
    return None if text == "" else text


def _check_path(path: object) -> object:
    """``path``, unless it is an empty text, which would mean the current folder."""
    if path == "":
        raise ValueError("must be a path")
    return path


GivenPath = Annotated[Path, BeforeValidator(_check_path)]


def _check_key(key: SecretStr) -> SecretStr:
    secret = key.get_secret_value()
    if len(secret) < MIN_KEY_LENGTH or not re.fullmatch(r"[!-~]*", secret):
        raise ValueError(f"must be {MIN_KEY_LENGTH} ASCII characters or more, without spaces")
    return key


UNIX_CLIENT = "unix"
"""Stands for the address of a client at a Unix socket."""
MIN_KEY_LENGTH = 16
"""That many random letters and digits have 95 bits, too many to guess."""
Key = Annotated[SecretStr, AfterValidator(_check_key)]
Keys = Annotated[tuple[Key, ...], NoDecode, BeforeValidator(_split)]

_WITH_PORT = re.compile(r"(?:[a-z]+://)?(\[[^]/]+\]|[^][:/]+)(?::([0-9]+))?(?:/.*)?")
"""A host, perhaps with what a URL has in addition; no bare IPv6 address."""


def _check_host(text: str) -> str:
    """The address or the name in ``text``, without the brackets that IPv6 has in a URL."""
    if text in {"", "*"}:
        raise ValueError("must be an address, such as 127.0.0.1; 0.0.0.0 for every network")
    found = _WITH_PORT.fullmatch(text)
    if found and found[1] != text:
        port = f" --port {found[2]}" if found[2] else ""
        raise ValueError(f"must be an address alone: write --host {found[1]}{port}")
    return text.removeprefix("[").removesuffix("]")


Host = Annotated[str, AfterValidator(_check_host)]

_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+")


def is_path(text: str) -> bool:
    """Whether ``text`` is a path of plain characters, such as ``/a/b``; no slash ends it.

    It names neither another host, as ``//a.example`` does, nor a folder above.
    """
    return bool(_PATH.fullmatch(text))


def _check_root_path(text: str) -> str:
    path = text.rstrip("/")
    if path and not is_path(path):
        raise ValueError(
            "must be a path of letters, digits and -._~ that begins with a slash, such as /dcgan"
        )
    return path


RootPath = Annotated[str, AfterValidator(_check_root_path)]

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def _check_origins(text: str) -> str:
    """Origins as browsers send them, with commas between them; or ``*`` or nothing."""
    origins = [one.strip() for one in text.split(",")]
    if origins in ([""], ["*"]):
        return origins[0]
    meant = {one: _origin(one) for one in origins}
    wrong = next((one for one, origin in meant.items() if origin is None), None)
    written = ",".join(filter(None, meant.values()))
    if wrong is None and written == ",".join(origins):
        return written
    remedy = f"write {written}" if wrong is None else f"{wrong!r} is not an origin"
    raise ValueError(
        "must be origins, such as https://a.example,http://localhost:3000, which have no path, "
        f"or * alone for all: {remedy}"
    )


def _origin(text: str) -> str | None:
    """The origin (RFC 6454, section 6.2) that ``text`` probably means, as a browser writes it."""
    scheme, _, rest = text.rpartition("://")
    scheme = scheme.lower() or "https"
    host = re.split(r"[/?#]", rest)[0].rpartition("@")[2].lower()
    with suppress(UnicodeError):
        host = host if host.isascii() else host.encode("idna").decode()
    origin = f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, '/'))}"
    return origin if text != "null" and _ORIGIN.fullmatch(origin) else None


Origins = Annotated[str, AfterValidator(_check_origins)]


class GeneratorSettings(BaseSettings):
    """Which generators are loaded and where they run; shared by serving and rendering."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_parse_none_str="none",  # the help says "(default: none)"
        hide_input_in_errors=True,  # the input may be a key
    )

    models: GivenPath = Field(
        Path("models"), description="models folder, with a folder <name>/<version>/ per version"
    )
    provider: Provider = Field(
        "auto",
        description="execution provider; auto takes cuda if it works, else openvino on CPUs with "
        "bfloat16 units, else cpu",
    )
    precision: Precision = Field(
        "auto",
        description="arithmetic precision; auto is bf16 for openvino if the CPU has units for it",
    )
    engine_cache: Annotated[Path | None, BeforeValidator(_none_if_empty)] = Field(
        None,
        description="folder for built TensorRT engines; without it every start builds them",
    )
    threads: int = Field(
        0, ge=0, le=1024, description="CPU threads; 0 for all CPUs that the process may use"
    )


class Settings(GeneratorSettings):
    """Serve DCGAN image generators over HTTP. Other commands: render, pull, push."""

    model_config = SettingsConfigDict(cli_prog_name="python -m app")

    host: Host = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 for any free port")
    uds: Annotated[Path | None, BeforeValidator(_none_if_empty)] = Field(
        None, description="path of a Unix socket to listen on, instead of host and port"
    )
    root_path: RootPath = Field(
        "/",
        validate_default=True,
        description="path below which a proxy offers the server, such as /dcgan",
    )
    default_model: str = Field(
        "fashion-mnist",
        pattern=r"^[a-z0-9][a-z0-9-]{0,63}$",  # as in a model card, which a test compares
        description="model for requests that name none",
    )
    workers: int = Field(
        1, ge=1, le=256, description="worker processes, which share the CPU threads"
    )
    load_timeout: float = Field(
        10,
        ge=0,
        le=3600,
        description="time limit in seconds for the trial of a new version; 0 for no limit",
    )
    load_memory: int = Field(
        2**30,
        ge=0,
        description="memory limit in bytes for the trial of a new version; 0 for no limit",
    )
    state_folder: Annotated[Path | None, BeforeValidator(_none_if_empty)] = Field(
        None,
        description="folder that remembers which versions have passed their trial or have crashed",
    )
    max_images: int = Field(256, ge=16, le=256, description="maximum number of images per request")
    max_batch: int = Field(64, ge=1, le=4096, description="maximum number of images per batch")
    max_queue: int = Field(
        4096, ge=1, description="maximum queue length in images; further requests get 503"
    )
    cache_bytes: int = Field(
        64 * 2**20, ge=0, description="size of the image cache in bytes, per worker; 0 for no cache"
    )
    encode_bytes: int = Field(
        0,
        ge=0,
        description="memory in bytes for encoding images, per worker; large responses wait for "
        "each other; 0 for an eighth of the memory of the machine or its container",
    )
    timeout: float = Field(
        30, gt=0, le=3600, description="request timeout in seconds; afterwards 504"
    )
    watch: float = Field(
        0, ge=0, le=3600, description="seconds between checks for new models; 0 for no checks"
    )
    max_connections: int = Field(
        1000,
        ge=1,
        description="maximum number of connections per process; further ones get 503,"
        " except health checks",
    )
    client_connections: int = Field(
        500,
        ge=0,
        description="maximum number of connections per process and client address;"
        " further ones get 429; 0 for no limit",
    )
    patience: float = Field(
        20,
        gt=0,
        description="seconds for a request to arrive, a quarter of it for the first byte,"
        " and for a response to make progress",
    )
    keep_alive: int = Field(5, ge=0, description="seconds for which an idle connection stays open")
    stalled: float = Field(
        30,
        gt=0,
        description="batch time limit in seconds: not ready after this long, "
        "process exits after twice as long",
    )
    grace: float = Field(
        0, ge=0, description="seconds after SIGTERM in which connections are still accepted"
    )
    access_log: bool = Field(True, description="one line on standard output per request")
    log_format: LogFormat = Field(
        "text", description="format of the log: text, or one JSON object per line"
    )
    cors_origins: Origins = Field(
        "*",
        description="origins whose pages may call the API, comma-separated; * for all, "
        "empty for none",
    )
    api_keys: Keys = Field((), description="accepted API keys; empty: no key required")
    rate: float = Field(
        0,
        ge=0,
        allow_inf_nan=False,
        description="rate limit in images per second and client; 0 for no limit",
    )
    admin_keys: Keys = Field(
        (), description="accepted keys for loading and unloading models; empty: nobody may do it"
    )

    @model_validator(mode="after")
    def _queue_holds_a_request(self) -> Self:
        if self.max_queue < self.max_images:
            raise ValueError(
                f"max_queue {self.max_queue} is less than max_images {self.max_images}"
            )
        return self


def unknown_variables() -> list[str]:
    """Environment variables with our prefix that are not settings, and probably misspelt."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
