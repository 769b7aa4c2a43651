"""What the server is told, by flag (``--port 80``) or environment (``DCGAN_PORT=80``).

Read once, by ``python -m app``; nothing is built at import.
"""

import json
import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Provider = Literal["auto", "cpu", "cuda", "openvino", "tensorrt"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
LogFormat = Literal["text", "json"]

PREFIX = "DCGAN_"


def _listed(told: object) -> object:
    """A list in JSON, or one whose values are separated by commas."""
    if not isinstance(told, str):
        return told
    if told.lstrip().startswith("["):
        return json.loads(told)
    values = [value.strip() for value in told.split(",") if value.strip()]
    if not values:  # a secret that was not found, most likely
        raise ValueError("names no key; leave it out, or say [], where there shall be none")
    return values


def _given(told: object) -> object:
    """Nothing where a variable is there but empty: the current folder is not what it means."""
    return None if told == "" else told


def _strong(key: SecretStr) -> SecretStr:
    secret = key.get_secret_value()
    if len(secret) < SHORTEST_KEY or not re.fullmatch(r"[!-~]*", secret):
        raise ValueError(f"must be {SHORTEST_KEY} ASCII characters or more, without a space")
    return key


SHORTEST_KEY = 16
"""So many random letters and digits are 95 bits: too many to be guessed."""
Key = Annotated[SecretStr, AfterValidator(_strong)]
Keys = Annotated[tuple[Key, ...], NoDecode, BeforeValidator(_listed)]


_ORIGIN = r"https?://[^\s/,*]+"
Origins = Annotated[str, Field(pattern=rf"^(\*|({_ORIGIN}(, ?{_ORIGIN})*)?)$")]


class Engines(BaseSettings):
    """Which generators there are, and where they run."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        cli_kebab_case=True,
        cli_hide_none_type=True,
        hide_input_in_errors=True,  # it may be a key
    )

    models: Path = Field(Path("models"), description="folder of the models, <name>/<version>/")
    provider: Provider = Field("auto", description="where generators run; auto prefers a GPU")
    precision: Precision = Field(
        "auto", description="of their arithmetic; auto is bf16 for openvino where the CPU has it"
    )
    engine_cache: Annotated[Path | None, BeforeValidator(_given)] = Field(
        None, description="folder where tensorrt's engines are kept; none: built at every start"
    )
    threads: int = Field(
        0, ge=0, le=1024, description="CPU threads; 0 for all this process may use"
    )


class Settings(Engines):
    """Serve DCGAN image generators over HTTP; `python -m app render` draws into files instead."""

    model_config = SettingsConfigDict(cli_prog_name="python -m app")

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 for any free one")
    default_model: str = Field(
        "fashion-mnist",
        pattern=r"^[a-z0-9][a-z0-9-]{0,63}$",  # as in a model card, which a test compares
        description="served where none is named",
    )
    workers: int = Field(1, ge=1, le=256, description="processes, which share the CPU threads")
    max_images: int = Field(256, ge=16, le=256, description="most images of one request")
    max_batch: int = Field(64, ge=1, le=4096, description="most images computed at once")
    max_queue: int = Field(4096, ge=1, description="most images that wait; more are refused")
    cache_bytes: int = Field(
        64 * 2**20, ge=0, description="how much of images that may be wanted again is kept"
    )
    timeout: float = Field(
        30, gt=0, le=3600, description="most seconds that images are waited for; then it is 504"
    )
    watch: float = Field(
        0, ge=0, le=3600, description="seconds between looks for new models; 0 for no look"
    )
    max_connections: int = Field(1000, ge=1, description="most connections; more are refused")
    patience: float = Field(
        20, gt=0, description="seconds for a request to arrive, and for an answer to move on"
    )
    keep_alive: int = Field(
        5, ge=0, description="seconds that a connection is kept without a request"
    )
    stalled: float = Field(
        30, gt=0, description="seconds of one batch after which it is not ready; twice, it ends"
    )
    grace: float = Field(
        0, ge=0, description="seconds after SIGTERM in which connections are still taken"
    )
    access_log: bool = Field(True, description="a line on standard output for every request")
    log_format: LogFormat = Field("text", description="how the log is written; json: for machines")
    cors_origins: Origins = Field(
        "*", description="origins whose pages may ask, with commas; * for all, nothing for none"
    )
    api_keys: Keys = Field((), description="keys, one of which it takes to draw; none for all")
    rate: float = Field(
        0, ge=0, allow_inf_nan=False, description="images a second for a client; 0 for any number"
    )
    admin_keys: Keys = Field((), description="keys, one of which it takes to load and unload")

    @model_validator(mode="after")
    def _room_for_one_request(self) -> Self:
        if self.max_queue < self.max_images:
            raise ValueError(
                f"max_queue {self.max_queue} has no room for max_images {self.max_images}"
            )
        return self


def unknown_variables() -> list[str]:
    """Environment variables with our prefix that mean nothing: misspelt, most likely."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
