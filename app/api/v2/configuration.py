"""``GET /v2/models/…/config``: Triton's model configuration extension.

The response is Triton's ``ModelConfig`` as JSON (github.com/triton-inference-server/common,
``model_config.proto``), as far as it applies to this server.
"""

from fastapi import APIRouter

from app.api import openapi
from app.api.dependencies import CurrentRegistry, CurrentServices
from app.api.endpoints import Endpoints
from app.api.v2 import tensors
from app.api.v2.models import DefaultVersion, ExactVersion
from app.api.v2.schemas import (
    ConfiguredInput,
    ConfiguredTensor,
    ConfiguredText,
    ModelConfiguration,
    SpecificVersions,
    VersionPolicy,
)
from app.artifact.card import CLASSES, INPUT, OUTPUT
from app.errors import NotFoundError, ParameterError
from app.registry.model_version import ModelVersion

ENDPOINTS = Endpoints(APIRouter(prefix="/v2", tags=["open inference protocol"]))
router = ENDPOINTS.router

_NOT_FOUND = openapi.protocol_errors(NotFoundError, ParameterError)


@router.get("/models/{model}/config", responses=_NOT_FOUND)
async def model_configuration(
    version: DefaultVersion, registry: CurrentRegistry, services: CurrentServices
) -> ModelConfiguration:
    """Describe the tensors and the batches of a model, in its default version."""
    versions = sorted(registry.models.get(version.card.name, ()))
    return _configuration(version, versions, services.settings.max_images)


@router.get("/models/{model}/versions/{version}/config", responses=_NOT_FOUND)
async def version_configuration(
    version: ExactVersion, services: CurrentServices
) -> ModelConfiguration:
    """Describe the tensors and the batches of one version."""
    return _configuration(version, [version.card.version], services.settings.max_images)


def _configuration(
    version: ModelVersion, versions: list[int], max_images: int
) -> ModelConfiguration:
    card = version.card
    names = card.sampler.names if card.sampler else ()
    return ModelConfiguration(
        name=card.name,
        version_policy=VersionPolicy(specific=SpecificVersions(versions=versions)),
        max_batch_size=tensors.most_images(card, max_images),
        input=[
            ConfiguredInput(
                name=name,
                data_type=f"TYPE_{tensors.FLOATS}",
                dims=[width],
                optional=name != INPUT,
            )
            for name, width in card.inputs.items()
        ],
        output=[
            ConfiguredTensor(
                name=OUTPUT, data_type=f"TYPE_{tensors.BYTES}", dims=[*card.image.shape]
            )
        ],
        default_model_filename=version.variant.file,
        parameters={CLASSES: ConfiguredText(string_value=",".join(names))} if names else {},
    )
