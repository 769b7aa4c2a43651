"""``/v2``: server and model metadata of the Open Inference Protocol (KServe's, Triton's)."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from app import __version__
from app.api import openapi
from app.api.dependencies import CurrentRegistry, RequiresReady
from app.api.drawing import Route
from app.api.endpoints import Endpoints
from app.api.parameters import Version
from app.api.v2 import tensors
from app.api.v2.schemas import (
    AllStatistics,
    Duration,
    InferenceStatistics,
    ModelMetadata,
    ModelReady,
    ModelStatistics,
    ServerLive,
    ServerMetadata,
    ServerReady,
    TensorMetadata,
)
from app.artifact.card import OUTPUT, Card, ModelName
from app.errors import NotFoundError, NotReadyError, ParameterError
from app.registry.model_version import ModelVersion

ENDPOINTS = Endpoints(APIRouter(prefix="/v2", tags=["open inference protocol"]))
router = ENDPOINTS.router

_EXTENSIONS = ["binary_tensor_data", "model_configuration", "model_repository", "statistics"]
_NOT_FOUND = openapi.protocol_errors(NotFoundError, ParameterError)

Name = Annotated[ModelName, Path(description="a served model")]
_Number = Annotated[Version, Path(description="its version")]


async def _default(model: Name, route: Route) -> ModelVersion:
    return route.find(model, None, "path")


async def _exact(model: Name, version: _Number, route: Route) -> ModelVersion:
    return route.find(model, version, "path")


DefaultVersion = Annotated[ModelVersion, Depends(_default)]
ExactVersion = Annotated[ModelVersion, Depends(_exact)]


@router.get("")
async def server_metadata() -> ServerMetadata:
    """Return the server's name, version, and extensions of the protocol."""
    return ServerMetadata(version=__version__, extensions=_EXTENSIONS)


@router.get("/health/live")
async def server_live() -> ServerLive:
    """Report that the process responds."""
    return ServerLive()


@router.get(
    "/health/ready",
    dependencies=[RequiresReady],
    responses=openapi.protocol_errors(NotReadyError),
)
async def server_ready(registry: CurrentRegistry) -> ServerReady:
    """Report that the default model is in service."""
    registry.find()
    return ServerReady()


# Before the routes of one model, which would match this path: the protocol has no model "stats".
@router.get("/models/stats")
async def statistics(registry: CurrentRegistry) -> AllStatistics:
    """Return the statistics of every version in service, of the worker that responds."""
    return AllStatistics(model_stats=[_statistics(version) for version in registry])


@router.get("/models/{model}", responses=_NOT_FOUND)
async def model_metadata(version: DefaultVersion, registry: CurrentRegistry) -> ModelMetadata:
    """Describe the tensors of a model, in its default version."""
    return _metadata(version.card, sorted(registry.models.get(version.card.name, ())))


@router.get("/models/{model}/versions/{version}", responses=_NOT_FOUND)
async def version_metadata(version: ExactVersion) -> ModelMetadata:
    """Describe the tensors of one version."""
    return _metadata(version.card, [version.card.version])


@router.get("/models/{model}/ready", responses=_NOT_FOUND)
async def model_ready(version: DefaultVersion) -> ModelReady:
    """Report that the model is in service."""
    return ModelReady(name=version.card.name)


@router.get("/models/{model}/versions/{version}/ready", responses=_NOT_FOUND)
async def version_ready(version: ExactVersion) -> ModelReady:
    """Report that the version is in service."""
    return ModelReady(name=version.card.name)


@router.get("/models/{model}/stats", responses=_NOT_FOUND)
async def model_statistics(version: DefaultVersion, registry: CurrentRegistry) -> AllStatistics:
    """Return the statistics of every version of a model, of the worker that responds."""
    versions = registry.models.get(version.card.name, {})  # it may have been retired meanwhile
    return AllStatistics(model_stats=[_statistics(versions[number]) for number in sorted(versions)])


@router.get("/models/{model}/versions/{version}/stats", responses=_NOT_FOUND)
async def version_statistics(version: ExactVersion) -> AllStatistics:
    """Return the statistics of one version, of the worker that responds."""
    return AllStatistics(model_stats=[_statistics(version)])


def _metadata(card: Card, versions: list[int]) -> ModelMetadata:
    return ModelMetadata(
        name=card.name,
        versions=[str(number) for number in versions],
        inputs=[
            TensorMetadata(name=name, datatype=tensors.FLOATS, shape=[-1, width])
            for name, width in card.inputs.items()
        ],
        outputs=[
            TensorMetadata(name=OUTPUT, datatype=tensors.BYTES, shape=[-1, *card.image.shape])
        ],
    )


def _statistics(version: ModelVersion) -> ModelStatistics:
    counts = version.statistics
    succeeded, queue, compute = counts.succeeded, counts.queue_seconds, counts.compute_seconds
    # Tensors are neither copied to a device nor back, so these stages take no time.
    none = _duration(succeeded, 0)
    return ModelStatistics(
        name=version.card.name,
        version=str(version.card.version),
        last_inference=round(1000 * (counts.last or 0)),
        inference_count=counts.images,
        execution_count=counts.batches,
        inference_stats=InferenceStatistics(
            success=_duration(succeeded, queue + compute),
            fail=_duration(counts.failed.times, counts.failed.seconds),
            queue=_duration(succeeded, queue),
            compute_input=none,
            compute_infer=_duration(succeeded, compute),
            compute_output=none,
        ),
    )


def _duration(count: int, seconds: float) -> Duration:
    return Duration(count=count, ns=round(1e9 * seconds))
