"""The server on a Ray cluster: ``serve run app.deploy.ray_serve:build``.

Ray Serve (https://docs.ray.io/en/latest/serve) starts replicas on as many machines as the load
needs, replaces the replicas of a lost machine, and routes requests to the others until then. Every
replica is a complete server with its own batcher and engine. This package and the models folder
must lie at the same paths on every machine.
"""

from fastapi import FastAPI
from pydantic import BaseModel, Field
from ray import serve
from ray.serve.config import AutoscalingConfig

from app.main import create_app
from app.settings import Settings


class Options(BaseModel, extra="forbid"):
    """Arguments ``name=value`` of ``serve run``; the server reads its settings as usual."""

    min_replicas: int = Field(1, ge=1)
    max_replicas: int = Field(8, ge=1)
    cpus: float = Field(2, gt=0, description="CPUs of a replica, and threads of its engine")
    gpus: float = Field(0, ge=0, description="GPUs of a replica; below 1, replicas share one")
    ongoing_requests: int = Field(
        16, ge=1, description="requests in progress per replica, above which Ray adds replicas"
    )


def build(options: Options) -> serve.Application:
    """Return the application for ``serve run``.

    Raises pydantic's ValidationError if a setting in the environment is invalid.
    """
    settings = Settings(threads=max(1, round(options.cpus)))
    settings = settings.model_copy(update={"models": settings.models.resolve()})

    def create() -> FastAPI:
        return create_app(settings)

    deployment = serve.deployment(
        serve.ingress(create)(),
        name="dcgan",
        autoscaling_config=AutoscalingConfig(
            min_replicas=options.min_replicas,
            max_replicas=options.max_replicas,
            target_ongoing_requests=options.ongoing_requests,
        ),
        # Many requests at a time make large batches; the server refuses those it has no room for.
        max_ongoing_requests=256,
        ray_actor_options={"num_cpus": options.cpus, "num_gpus": options.gpus},
        graceful_shutdown_timeout_s=60,
    )
    return deployment.bind()
