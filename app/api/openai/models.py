"""``GET /v1/models``: the models in service, as OpenAI's API lists them."""

import re
from typing import Annotated

from fastapi import APIRouter, Path

from app.api import openapi
from app.api.dependencies import CurrentRegistry
from app.api.endpoints import Endpoints
from app.api.openai.schemas import ModelList, ModelObject
from app.errors import NotFoundError
from app.registry.model_version import ModelVersion
from app.registry.registry import Registry

ENDPOINTS = Endpoints(APIRouter(prefix="/v1", tags=["openai"]))
router = ENDPOINTS.router

_VERSION = re.compile(r"(.+)/([1-9][0-9]{0,9})")


def parse_id(model: str | None) -> tuple[str | None, int | None]:
    """The name and the version in ``name`` or ``name/version``."""
    found = _VERSION.fullmatch(model or "")
    return (found[1], int(found[2])) if found else (model, None)


def _object(version: ModelVersion, model: str) -> ModelObject:
    return ModelObject(id=model, created=int(version.card.created.timestamp()))


def _objects(registry: Registry, name: str) -> list[ModelObject]:
    """The model, which stands for its default version, and every version."""
    versions = registry.models[name]
    each = [_object(versions[number], f"{name}/{number}") for number in sorted(versions)]
    return [_object(versions[registry.default_version(name)], name), *each]


@router.get("/models")
async def list_models(registry: CurrentRegistry) -> ModelList:
    """List the ids of all models in service: `name` for the default version, `name/version`."""
    names = sorted(registry.models)
    return ModelList(data=[one for name in names for one in _objects(registry, name)])


@router.get("/models/{model:path}", responses=openapi.openai_errors(NotFoundError))
async def retrieve_model(
    model: Annotated[str, Path(description="`name` or `name/version`")], registry: CurrentRegistry
) -> ModelObject:
    """Describe one model, or one version."""
    return _object(registry.find(*parse_id(model), "path"), model)
