"""``GET /models``: the models in service, with their cards."""

from typing import Annotated

from fastapi import APIRouter, Path

from app.api import openapi
from app.api.dependencies import CurrentRegistry
from app.api.schemas import RefusedVersion, ServedModel, ServedModels, ServedVersion
from app.artifact.card import ModelName
from app.errors import NotFoundError, NotReadyError, ParameterError
from app.registry.registry import Registry

router = APIRouter(tags=["models"])


def _described(registry: Registry, name: str) -> ServedModel:
    versions = [
        ServedVersion(
            version=number,
            provider=version.engine.provider,
            precision=version.engine.precision,
            graph=version.variant.file,
            attributes=version.card.editable,
            card=version.card,
        )
        for number, version in sorted(registry.models[name].items())
    ]
    return ServedModel(name=name, default_version=versions[-1].version, versions=versions)


@router.get("/models")
async def models(registry: CurrentRegistry) -> ServedModels:
    """List every model in service with the card of each version, and what is not in service."""
    described = [_described(registry, name) for name in sorted(registry.models)]
    try:
        default = registry.default
    except NotReadyError:
        default = None
    refused = [RefusedVersion(folder=r.folder, reason=r.reason) for r in registry.refused]
    loading = [str(key) for key in sorted(registry.loading)]
    return ServedModels(default=default, models=described, loading=loading, refused=refused)


@router.get("/models/{name}", responses=openapi.problems(NotFoundError, ParameterError))
async def model(
    name: Annotated[ModelName, Path(description="a served model")], registry: CurrentRegistry
) -> ServedModel:
    """Describe one model in service."""
    found = registry.find(name, None, place="path", parameter="name")
    return _described(registry, found.card.name)
