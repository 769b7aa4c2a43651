"""``/v2``: server and models as the Open Inference Protocol (KServe's, Triton's) describes them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from app import __version__
from app.api import openapi
from app.api.dependencies import Healthy, InService
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
from app.artifact.card import INPUT, OUTPUT, Card, ModelName, VersionNumber
from app.errors import NotFoundError, NotReadyError, ParameterError
from app.registry.model_version import Served
from app.registry.statistics import Count

router = APIRouter(prefix="/v2", tags=["open inference protocol"])

_EXTENSIONS = ["binary_tensor_data", "model_repository", "statistics"]
_FINDING = openapi.protocol_errors(NotFoundError, ParameterError)

Name = Annotated[ModelName, Path(description="a served model")]
_Number = Annotated[VersionNumber, Path(description="its version")]


async def _highest(model: Name, catalog: InService) -> Served:
    return catalog.find(model, place="path")


async def _exact(model: Name, version: _Number, catalog: InService) -> Served:
    return catalog.find(model, version, place="path")


Highest = Annotated[Served, Depends(_highest)]
Exact = Annotated[Served, Depends(_exact)]


@router.get("")
async def server_metadata() -> ServerMetadata:
    """What serves, and which extensions of the protocol it has."""
    return ServerMetadata(version=__version__, extensions=_EXTENSIONS)


@router.get("/health/live")
async def server_live() -> ServerLive:
    """The process answers."""
    return ServerLive()


@router.get(
    "/health/ready",
    dependencies=[Healthy],
    responses=openapi.protocol_errors(NotReadyError),
)
async def server_ready(catalog: InService) -> ServerReady:
    """The default model is in service."""
    catalog.find()
    return ServerReady()


# Before the routes of one model: none can be called so.
@router.get("/models/stats")
async def statistics(catalog: InService) -> AllStatistics:
    """What every version in service has computed, by the process that answers."""
    return AllStatistics(model_stats=[_counted(served) for served in catalog])


@router.get("/models/{model}", responses=_FINDING)
async def model_metadata(served: Highest, catalog: InService) -> ModelMetadata:
    """The tensors of a model, in its highest version."""
    return _described(served.card, sorted(catalog.models.get(served.card.name, ())))


@router.get("/models/{model}/versions/{version}", responses=_FINDING)
async def version_metadata(served: Exact) -> ModelMetadata:
    """The tensors of one version."""
    return _described(served.card, [served.card.version])


@router.get("/models/{model}/ready", responses=_FINDING)
async def model_ready(served: Highest) -> ModelReady:
    """The model is in service."""
    return ModelReady(name=served.card.name)


@router.get("/models/{model}/versions/{version}/ready", responses=_FINDING)
async def version_ready(served: Exact) -> ModelReady:
    """The version is in service."""
    return ModelReady(name=served.card.name)


@router.get("/models/{model}/stats", responses=_FINDING)
async def model_statistics(served: Highest, catalog: InService) -> AllStatistics:
    """What every version of a model has computed, by the process that answers."""
    versions = catalog.models.get(served.card.name, {})  # it may have been retired since
    return AllStatistics(model_stats=[_counted(versions[number]) for number in sorted(versions)])


@router.get("/models/{model}/versions/{version}/stats", responses=_FINDING)
async def version_statistics(served: Exact) -> AllStatistics:
    """What one version has computed, by the process that answers."""
    return AllStatistics(model_stats=[_counted(served)])


def _described(card: Card, versions: list[int]) -> ModelMetadata:
    image, width = card.image, card.latent.width
    shape = [-1, image.height, image.width, image.channels]
    return ModelMetadata(
        name=card.name,
        versions=[str(number) for number in versions],
        inputs=[TensorMetadata(name=INPUT, datatype=tensors.FLOATS, shape=[-1, width])],
        outputs=[TensorMetadata(name=OUTPUT, datatype=tensors.BYTES, shape=shape)],
    )


def _counted(served: Served) -> ModelStatistics:
    counts = served.statistics
    none = Duration(count=counts.succeeded.times, ns=0)  # tensors are neither copied nor sent on
    return ModelStatistics(
        name=served.card.name,
        version=str(served.card.version),
        last_inference=round(1000 * (counts.last or 0)),
        inference_count=counts.images,
        execution_count=counts.batches,
        inference_stats=InferenceStatistics(
            success=_duration(counts.succeeded),
            fail=_duration(counts.failed),
            queue=_duration(counts.queued),
            compute_input=none,
            compute_infer=_duration(counts.computed),
            compute_output=none,
        ),
    )


def _duration(count: Count) -> Duration:
    return Duration(count=count.times, ns=round(1e9 * count.seconds))
