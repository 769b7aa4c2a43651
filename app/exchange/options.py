"""Settings of ``python -m app pull`` and ``python -m app push``, by flag or environment."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, CliImplicitFlag, CliPositionalArg, SettingsConfigDict

from app.artifact.card import ModelName
from app.exchange import address
from app.settings import PREFIX, GeneratorSettings, GivenPath


def _source(text: str) -> str:
    address.parse(text)
    return text


def _target(text: str) -> str:
    address.parse_target(text)
    return text


class PullSettings(GeneratorSettings):
    """Copy a version from elsewhere into the models folder, once it has passed every check."""

    model_config = SettingsConfigDict(cli_prog_name="python -m app pull")

    source: CliPositionalArg[Annotated[str, AfterValidator(_source)]] = Field(
        description=f"{address.PULLED}, or the card.json in it"
    )
    name: ModelName = Field(description="name of the model here; the version is the next free one")
    default: CliImplicitFlag[bool] = Field(
        False, description="make it the default version of its model"
    )


class PushSettings(BaseSettings):
    """Copy a version of the models folder to a repository or a bucket."""

    model_config = SettingsConfigDict(
        cli_prog_name="python -m app push",
        env_prefix=PREFIX,
        frozen=True,
        cli_kebab_case=True,
        hide_input_in_errors=True,
    )

    folder: CliPositionalArg[GivenPath] = Field(description="the version, such as models/digits/1")
    target: CliPositionalArg[Annotated[str, AfterValidator(_target)]] = Field(
        description=address.PUSHED
    )
