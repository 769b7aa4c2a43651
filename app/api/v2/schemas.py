"""Request and response bodies of the Open Inference Protocol, except for tensors."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.api.json_body import JsonBody
from app.api.numbers import integral
from app.api.response_body import WholeBody
from app.artifact.card import VersionNumber

_NAME, _VERSION = Field(examples=["fashion-mnist"]), Field(examples=["3"])
_PLATFORM = "onnxruntime_onnx"


class ProtocolError(BaseModel):
    """Body of every error response below ``/v2``."""

    error: str = Field(description="what is wrong with this request")


def is_v2(path: str) -> bool:
    """Whether ``path`` belongs to the Open Inference Protocol, which has its own error body."""
    return path == "/v2" or path.startswith("/v2/")


class ServerMetadata(WholeBody):
    """Response of ``GET /v2``."""

    name: str = "dcgan-server"
    version: str
    extensions: list[str] = Field(examples=[["binary_tensor_data", "statistics"]])


class ServerLive(WholeBody):
    """Response of ``GET /v2/health/live``."""

    live: Literal[True] = True


class ServerReady(WholeBody):
    """Response of ``GET /v2/health/ready``."""

    ready: Literal[True] = True


class ModelReady(ServerReady):
    """Response of ``GET /v2/models/{model}/ready``."""

    name: str = _NAME


class TensorMetadata(BaseModel):
    """One input or output of a model."""

    name: str = Field(examples=["latents"])
    datatype: str = Field(examples=["FP32"])
    shape: list[int] = Field(description="-1 is the number of images", examples=[[-1, 64]])


class ModelMetadata(WholeBody):
    """Response of ``GET /v2/models/{model}``."""

    name: str = _NAME
    versions: list[str] = Field(examples=[["1", "2"]])
    platform: str = _PLATFORM
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ConfiguredTensor(BaseModel):
    """One input or output of a model, as Triton configures it."""

    name: str = Field(examples=["latents"])
    data_type: str = Field(examples=["TYPE_FP32"])
    dims: list[int] = Field(description="without the number of images", examples=[[64]])


class ConfiguredInput(ConfiguredTensor):
    """One input of a model."""

    optional: bool = Field(description="whether requests may leave it out")


class SpecificVersions(BaseModel):
    """The versions in service."""

    versions: list[int] = Field(examples=[[1, 2]])


class VersionPolicy(BaseModel):
    """Which versions are served."""

    specific: SpecificVersions


class DynamicBatching(WholeBody):
    """How requests share batches."""

    max_queue_delay_microseconds: int = Field(0, description="0: requests wait for no others")


class ConfiguredText(BaseModel):
    """The value of a parameter."""

    string_value: str


class ModelConfiguration(WholeBody):
    """Response of ``GET /v2/models/{model}/config``: the ``ModelConfig`` of Triton."""

    name: str = _NAME
    platform: str = _PLATFORM
    backend: str = "onnxruntime"
    version_policy: VersionPolicy
    max_batch_size: int = Field(description="the most images of one request", examples=[256])
    input: list[ConfiguredInput]
    output: list[ConfiguredTensor]
    dynamic_batching: DynamicBatching = DynamicBatching()
    default_model_filename: str = Field(examples=["generator.onnx"])
    parameters: dict[str, ConfiguredText] = Field(
        description="`classes`: the names of its columns, separated by commas",
        examples=[{"classes": {"string_value": "boot,sneaker"}}],
    )


class IndexRequest(JsonBody):
    """Body of ``POST /v2/repository/index``."""

    model_config = ConfigDict(strict=True)

    ready: bool = Field(False, description="list only versions in service")


class LoadParameters(JsonBody):
    """How to load a model. Triton's ``config`` and files are not accepted: the folder has both."""

    model_config = ConfigDict(extra="forbid", strict=True)

    versions: list[Annotated[VersionNumber, BeforeValidator(integral)]] | None = Field(
        None, min_length=1, max_length=256, description="default: all in the folder"
    )


class LoadRequest(JsonBody):
    """Body of ``POST /v2/repository/models/{model}/load``."""

    parameters: LoadParameters = Field(default_factory=LoadParameters, examples=[{}])


class UnloadParameters(JsonBody):
    """How to unload a model."""

    model_config = ConfigDict(extra="forbid", strict=True)

    unload_dependents: bool = Field(False, description="has no effect: no model has dependents")


class UnloadRequest(JsonBody):
    """Body of ``POST /v2/repository/models/{model}/unload``."""

    parameters: UnloadParameters = Field(UnloadParameters(unload_dependents=False), examples=[{}])


class EmptyResponse(BaseModel):
    """Empty response."""


class IndexEntry(WholeBody):
    """One version in the models folder."""

    name: str = _NAME
    version: str = _VERSION
    state: Literal["READY", "LOADING", "UNAVAILABLE"]
    reason: str = Field("", description="why it is not in service")


class Duration(BaseModel):
    """A number of events and their total duration."""

    count: int
    ns: int


class InferenceStatistics(WholeBody):
    """How long requests spent in each stage."""

    success: Duration
    fail: Duration
    queue: Duration
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration
    cache_hit: Duration = Duration(count=0, ns=0)
    cache_miss: Duration = Duration(count=0, ns=0)


class ModelStatistics(BaseModel):
    """Statistics of one version since it was put into service, of the worker that responds."""

    name: str = _NAME
    version: str = _VERSION
    last_inference: int = Field(description="end of the last batch in ms since 1970; 0 for none")
    inference_count: int = Field(description="images")
    execution_count: int = Field(description="batches")
    inference_stats: InferenceStatistics


class AllStatistics(BaseModel):
    """Response of ``GET /v2/models/{model}/stats``."""

    model_config = ConfigDict(protected_namespaces=())

    model_stats: list[ModelStatistics]
