"""``GET /models``: the models in service, with their cards."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from app.api import openapi
from app.api.dependencies import CurrentRegistry
from app.api.endpoints import Endpoints
from app.api.routes.images import url
from app.api.schemas import (
    RefusedVersion,
    ServedAttribute,
    ServedClass,
    ServedModel,
    ServedModels,
    ServedVersion,
)
from app.artifact.card import ModelName
from app.errors import NotFoundError, NotReadyError, ParameterError
from app.middleware.request_context import context_of
from app.registry.draw_options import DrawOptions
from app.registry.model_version import ModelVersion
from app.registry.registry import Registry

ENDPOINTS = Endpoints(APIRouter(tags=["models"]))
router = ENDPOINTS.router


def _classes(version: ModelVersion, base: str) -> list[ServedClass]:
    return [
        ServedClass(**one.model_dump(), index=k, example=_example(version, one.name, base))
        for k, one in enumerate(version.card.classes or [])
    ]


def _condition_attributes(version: ModelVersion, base: str) -> list[ServedAttribute]:
    found = version.card.attributes
    return [
        ServedAttribute(**one.model_dump(), example=_example(version, one.name, base))
        for one in (found.attributes if found else [])
    ]


def _example(version: ModelVersion, name: str, base: str) -> str:
    """The URL of an image with this class or attribute."""
    choice = version.choice([{name: 1}]) if version.card.classes else version.choice((), {name: 1})
    return url(version, DrawOptions(choice=choice), 0, base=base)


def _described(registry: Registry, name: str, base: str) -> ServedModel:
    versions = [
        ServedVersion(
            version=number,
            provider=version.engine.provider,
            precision=version.engine.precision,
            graph=version.variant.file,
            attributes=version.card.editable,
            classes=_classes(version, base),
            condition_attributes=_condition_attributes(version, base),
            card=version.card,
        )
        for number, version in sorted(registry.models[name].items())
    ]
    return ServedModel(name=name, default_version=registry.default_version(name), versions=versions)


@router.get("/models")
async def models(registry: CurrentRegistry, request: Request) -> ServedModels:
    """List every model in service with the card of each version, and what is not in service."""
    base = context_of(request.scope).public_url
    described = [_described(registry, name, base) for name in sorted(registry.models)]
    try:
        default = registry.default
    except NotReadyError:
        default = None
    refused = [RefusedVersion(folder=r.folder, reason=r.reason) for r in registry.refused]
    loading = [str(key) for key in sorted(registry.loading)]
    return ServedModels(default=default, models=described, loading=loading, refused=refused)


@router.get("/models/{name}", responses=openapi.problems(NotFoundError, ParameterError))
async def model(
    name: Annotated[ModelName, Path(description="a served model")],
    registry: CurrentRegistry,
    request: Request,
) -> ServedModel:
    """Describe one model in service."""
    found = registry.find(name, None, place="path", parameter="name")
    return _described(registry, found.card.name, context_of(request.scope).public_url)
