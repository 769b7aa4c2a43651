"""What answers of the Open Inference Protocol say in JSON, tensors aside."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.api.values import whole
from app.artifact.card import VersionNumber

_NAME, _VERSION = Field(examples=["fashion-mnist"]), Field(examples=["1"])


class ProtocolError(BaseModel):
    """Every error's body below ``/v2``."""

    error: str = Field(description="what is wrong with this request")


class ServerMetadata(BaseModel):
    """Answer of ``GET /v2``."""

    name: str = "dcgan-server"
    version: str
    extensions: list[str] = Field(examples=[["binary_tensor_data", "statistics"]])


class ServerLive(BaseModel):
    """Answer of ``GET /v2/health/live``."""

    live: Literal[True] = True


class ServerReady(BaseModel):
    """Answer of ``GET /v2/health/ready``."""

    ready: Literal[True] = True


class ModelReady(ServerReady):
    """Answer of ``GET /v2/models/{model}/ready``."""

    name: str = _NAME


class TensorMetadata(BaseModel):
    """One input or output of a model."""

    name: str = Field(examples=["latents"])
    datatype: str = Field(examples=["FP32"])
    shape: list[int] = Field(description="-1 is the number of images", examples=[[-1, 64]])


class ModelMetadata(BaseModel):
    """Answer of ``GET /v2/models/{model}``."""

    name: str = _NAME
    versions: list[str] = Field(examples=[["1", "2"]])
    platform: str = "onnxruntime_onnx"
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class IndexRequest(BaseModel):
    """Of ``POST /v2/repository/index``."""

    model_config = ConfigDict(strict=True)

    ready: bool = Field(False, description="whether only what is in service is told of")


class LoadParameters(BaseModel):
    """How a model is loaded. Triton's ``config`` and files are not taken: a folder has both."""

    model_config = ConfigDict(extra="forbid", strict=True)

    versions: list[Annotated[VersionNumber, BeforeValidator(whole)]] | None = Field(
        None, min_length=1, max_length=256, description="by default all that are there"
    )


class LoadRequest(BaseModel):
    """Of ``POST /v2/repository/models/{model}/load``."""

    parameters: LoadParameters = Field(LoadParameters(versions=None), examples=[{}])


class UnloadParameters(BaseModel):
    """How a model is unloaded."""

    model_config = ConfigDict(extra="forbid", strict=True)

    unload_dependents: bool = Field(False, description="means nothing here: no model has any")


class UnloadRequest(BaseModel):
    """Of ``POST /v2/repository/models/{model}/unload``."""

    parameters: UnloadParameters = Field(UnloadParameters(unload_dependents=False), examples=[{}])


class Done(BaseModel):
    """Answer of both: there is nothing to say."""


class IndexEntry(BaseModel):
    """One version in the models folder."""

    name: str = _NAME
    version: str = _VERSION
    state: Literal["READY", "UNAVAILABLE"]
    reason: str = Field("", description="why it is out of service")


class Duration(BaseModel):
    """How often, and for how long in all."""

    count: int
    ns: int


class InferenceStatistics(BaseModel):
    """Where the time of requests went."""

    success: Duration
    fail: Duration
    queue: Duration
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration


class ModelStatistics(BaseModel):
    """One version's figures since it was taken into service, by the process that answers."""

    name: str = _NAME
    version: str = _VERSION
    last_inference: int = Field(description="when the last batch ended: ms since 1970, 0 for never")
    inference_count: int = Field(description="images")
    execution_count: int = Field(description="batches")
    inference_stats: InferenceStatistics


class AllStatistics(BaseModel):
    """Answer of ``GET /v2/models/{model}/stats``."""

    model_config = ConfigDict(protected_namespaces=())

    model_stats: list[ModelStatistics]
