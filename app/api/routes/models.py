"""``GET /models``: what is served, with its cards."""

from typing import Annotated

from fastapi import APIRouter, Path

from app.api import openapi
from app.api.dependencies import InService
from app.api.schemas import RefusedVersion, ServedModel, ServedModels, ServedVersion
from app.artifact.card import ModelName
from app.errors import NotFoundError, ParameterError
from app.registry.registry import Catalog

router = APIRouter(tags=["models"])


def _described(catalog: Catalog, name: str) -> ServedModel:
    versions = [
        ServedVersion(
            version=number,
            provider=served.engine.provider,
            precision=served.engine.precision,
            graph=served.variant.file,
            attributes=served.card.attributes,
            card=served.card,
        )
        for number, served in sorted(catalog.models[name].items())
    ]
    return ServedModel(name=name, default_version=versions[-1].version, versions=versions)


@router.get("/models")
async def models(catalog: InService) -> ServedModels:
    """Every model in service, with the card of every version, and what is left out, and why."""
    described = [_described(catalog, name) for name in sorted(catalog.models)]
    default = catalog.default if described else None
    refused = [RefusedVersion(folder=r.folder, reason=r.reason) for r in catalog.refused]
    return ServedModels(default=default, models=described, refused=refused)


@router.get("/models/{name}", responses=openapi.problems(NotFoundError, ParameterError))
async def model(
    name: Annotated[ModelName, Path(description="a served model")], catalog: InService
) -> ServedModel:
    """One model in service."""
    found = catalog.find(name, None, place="path", parameter="name")
    return _described(catalog, found.card.name)
