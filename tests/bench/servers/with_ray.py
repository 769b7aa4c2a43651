"""Ray Serve with dynamic batches, https://docs.ray.io/en/latest/serve."""

import os
import signal
import sys

import numpy as np
import ray
from generator import Generator, Latents, Pixels, png
from ray import serve
from starlette.requests import Request
from starlette.responses import Response


@serve.deployment(max_ongoing_requests=256)
class Sheets:
    def __init__(self) -> None:
        self.generator = Generator()

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.001)
    async def draw(self, several: list[Latents]) -> list[Pixels]:
        ends = np.cumsum([len(latents) for latents in several])[:-1]
        return np.split(self.generator.draw(np.concatenate(several)), ends)

    async def __call__(self, request: Request) -> Response:
        n = int(request.query_params.get("n", 16))
        pixels = await self.draw(self.generator.latents(n))
        return Response(png(pixels), media_type="image/png")


if __name__ == "__main__":
    environment = {"env_vars": {"GRAPH": os.environ["GRAPH"]}}
    ray.init(include_dashboard=False, runtime_env=environment)
    serve.start(http_options={"port": int(sys.argv[1])})
    serve.run(Sheets.bind(), route_prefix="/generate")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pause()
