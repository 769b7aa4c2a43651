"""The same application on a Ray cluster: ``serve run app.deploy.ray_serve:build``.

Ray Serve (https://docs.ray.io/en/latest/serve) starts it on as many machines as requests need,
replaces replicas whose machine is lost, and sends requests past them. Each replica is a whole
server, batcher and engine included; every machine has this package and the models folder at the
same paths.
"""

from fastapi import FastAPI
from pydantic import BaseModel, Field
from ray import serve
from ray.serve.config import AutoscalingConfig

from app.main import create_app
from app.settings import Settings


class Options(BaseModel, extra="forbid"):
    """What ``serve run`` takes as ``name=value``; the server's own settings are its variables."""

    min_replicas: int = Field(1, ge=1)
    max_replicas: int = Field(8, ge=1)
    cpus: float = Field(2, gt=0, description="of a replica; its engine has as many threads")
    gpus: float = Field(0, ge=0, description="of a replica; a part of one is shared")
    ongoing_requests: int = Field(16, ge=1, description="of a replica; above it, more are started")


def build(options: Options) -> serve.Application:
    """The application for ``serve run``.

    Raises pydantic's ValidationError where a setting in the environment, or an option, is wrong.
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
        # The batcher wants many at once, and refuses by itself what it has no room for.
        max_ongoing_requests=256,
        ray_actor_options={"num_cpus": options.cpus, "num_gpus": options.gpus},
        graceful_shutdown_timeout_s=60,
    )
    return deployment.bind()
