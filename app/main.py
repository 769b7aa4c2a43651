"""Builds the application: ``create_app(settings)``."""

import asyncio
import gc
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi_offline import FastAPIOffline
from starlette.types import Receive, Scope, Send

from app import __version__
from app.api import openapi, problems
from app.api.all_endpoints import ENDPOINTS
from app.api.dependencies import Services
from app.api.direct_route import DirectRoutes
from app.api.endpoints import Endpoints, folders, traits_by_path
from app.api.fastapi_scope import FastAPIScope
from app.api.image_cache import ImageCache
from app.auth.addresses import TrustedProxies
from app.auth.api_keys import Authenticator
from app.auth.rate_limit import RateLimiter
from app.errors import StartupError
from app.middleware.access_log import AccessLog
from app.middleware.body_limit import BodyLimit
from app.middleware.compression import Compression
from app.middleware.cors import Cors
from app.middleware.encoders import Encoders
from app.middleware.endpoint_traits import TraitsByPath
from app.middleware.load_shedding import Admission, LoadShedding
from app.middleware.pipeline import Parts, Pipeline
from app.middleware.proxy_headers import ProxyHeaders
from app.middleware.request_context import RequestContext
from app.middleware.upload_memory import UploadMemory
from app.observability import multiprocess, tracing
from app.observability.metrics import Metrics, Sample, VersionSample
from app.observability.tracing import Tracer
from app.registry import loader
from app.registry.crash_log import CrashLog
from app.registry.guarded_loader import GuardedLoader
from app.registry.registry import Registry
from app.registry.reload_log import ReloadLog
from app.registry.reloader import Reloader
from app.registry.trial_client import TrialProcess
from app.runtime import cpus, memory
from app.server import descriptors, malloc
from app.server.connections import ConnectionLimits, ConnectionTable
from app.server.protocol import APPLICATION, Application
from app.server.shutdown import GracefulShutdown
from app.server.watchdog import Watchdog
from app.settings import Settings

START_SECONDS = 2.0
"""How long a server waits for its models before it listens; usually they are loaded by then."""
_DOCUMENTATION = frozenset({"docs", "static-offline-docs"})
"""The first names of paths that FastAPIOffline adds."""
_NEW_OBJECTS = 5000
"""After so many more containers, the garbage collector looks for cycles among the new ones."""
_MEMORY_SHARE = 8
"""By default, all encoders of the server use this part of the memory."""


@dataclass(frozen=True)
class _Process:
    """The parts of one server process that no route uses."""

    connections: ConnectionTable
    shutdown: GracefulShutdown
    watchdog: Watchdog
    crash_log: CrashLog
    tracer: Tracer | None

    def not_ready_reason(self) -> str | None:
        """Why this process is not ready although it serves models; None if it is ready."""
        if self.shutdown.started:
            return "the server is shutting down"
        return self.watchdog.reason


@dataclass(frozen=True)
class Start:
    """How an application starts."""

    seconds: float = math.inf
    """How long the start waits until all models are loaded."""
    on_failure: Callable[[StartupError], object] | None = None
    """Called if the provider turns out not to start; None to raise the error."""
    trial_process: TrialProcess | None = None
    """A process for trials of versions that has been started already."""


_WAIT_FOR_ALL = Start()


def create_app(
    settings: Settings,
    shared: Path | None = None,
    start: Start = _WAIT_FOR_ALL,
    endpoints: Sequence[Endpoints] = ENDPOINTS,
) -> FastAPI:
    """The application, which loads, verifies and warms up its models when it starts.

    ``shared`` is the folder through which several workers share metrics, reload orders and crashes;
    this process has joined it. Damaged models are left out; without any model the application is
    live but not ready. Raises StartupError if the requested provider does not run here, or if
    ``settings`` name a folder of models or a path prefix that cannot be meant.
    """
    malloc.limit_arenas()
    _check_root_path(settings.root_path, folders(endpoints) | _DOCUMENTATION)
    traits = traits_by_path(endpoints)
    services, process = _build(settings, shared, start.trial_process, traits)
    app = FastAPIOffline(
        title="DCGAN server",
        summary="Generates images with DCGAN models: random, seeded, and along paths of latents.",
        description="`HEAD` is answered wherever `GET` is, with the same status and headers.",
        version=__version__,
        license_info={"name": "MIT", "identifier": "MIT"},
        redoc_url=None,
        redirect_slashes=False,  # a redirect would bypass the explanation of a wrong parameter
        generate_unique_id_function=lambda route: route.name,
        # Traces and metrics are the pipeline's; FastAPI would look for its own in every request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        lifespan=_lifespan(services, process, start),
    )
    app.state.services = services
    direct = [one.router for one in endpoints if one.is_direct]
    _add_pipeline(app, direct, _pipeline_parts(services, process.tracer, traits))
    problems.install(app)
    openapi.install(app, settings.timeout)
    for one in endpoints:
        one.add_to(app, settings)
    return app


def _check_root_path(root_path: str, own: set[str]) -> None:
    """Raise StartupError if paths below ``root_path`` could be those of routes, in folders ``own``.

    A proxy may remove the prefix or not, so they would have two meanings.
    """
    first = root_path.removeprefix("/").partition("/")[0]
    if first in own:
        named = ", ".join(f"/{name}" for name in sorted(own))
        reason = f"must not begin like paths of the server itself: {named}"
        raise StartupError(f"root_path is {root_path!r} but {reason}")


def _build(
    settings: Settings,
    shared: Path | None,
    trial_process: TrialProcess | None,
    traits: TraitsByPath,
) -> tuple[Services, _Process]:
    """All parts of a process. Raises StartupError as ``create_app``."""
    loader.check_models_folder(settings.models)
    loader.placements(settings)  # a provider that does not run ends the start even without models
    recorded = Metrics(shared)
    admission = Admission(RateLimiter(settings.rate), traits.queues)
    registry = Registry(settings.default_model, admission.forget_queues)
    state = settings.state_folder or (shared and shared / "state")
    versions = GuardedLoader(settings, recorded.image_counter, state, trial_process)
    log = ReloadLog(shared and shared / "orders")
    process = _Process(
        connections=_connections(settings),
        shutdown=GracefulShutdown(settings.grace),
        watchdog=Watchdog(registry.running_batches, settings.stalled, versions.crash_log.note_hang),
        crash_log=versions.crash_log,
        tracer=tracing.from_environment(),
    )
    encoders = Encoders(
        settings.threads or cpus.available(),
        settings.encode_bytes or memory.available() // _MEMORY_SHARE // settings.workers,
    )
    services = Services(
        settings=settings,
        registry=registry,
        reloader=Reloader(registry, settings, log, versions, recorded.count_reload),
        authenticator=Authenticator(settings),
        admission=admission,
        encoders=encoders,
        upload_memory=UploadMemory(encoders.budget),
        image_cache=ImageCache(settings.cache_bytes, encoders),
        metrics=recorded,
        not_ready_reason=process.not_ready_reason,
    )
    recorded.sample_from(partial(_sample, services))
    return services, process


def _connections(settings: Settings) -> ConnectionTable:
    """The table of connections, within the settings and the limit on file descriptors."""
    admitted, reserve = descriptors.split(settings.max_connections)
    limits = ConnectionLimits(
        admitted,
        reserve,
        settings.client_connections,
        settings.patience,
        memory.available() // _MEMORY_SHARE // settings.workers,
    )
    return ConnectionTable(limits, TrustedProxies().counted_client)


def create_worker_app(
    settings: Settings,
    shared: Path,
    on_failure: Callable[[StartupError], object] | None = None,
) -> FastAPI:
    """The application of one of several workers, which keep common counters in ``shared``.

    Raises StartupError as ``create_app`` does; ``on_failure`` is that of ``Start``.
    """
    multiprocess.join(shared)
    return create_app(settings, shared, Start(START_SECONDS, on_failure))


def _sample(services: Services) -> Sample:
    """The readiness of this process and its versions in service, for the metrics."""
    versions = [
        VersionSample(
            model=version.card.name,
            version=version.card.version,
            waiting=sum(batcher.waiting for batcher in version.batchers),
            digest=version.variant.sha256,
            provider=version.engine.provider,
            precision=version.engine.precision,
            graph=version.variant.file,
        )
        for version in services.registry
    ]
    ready = bool(services.registry.models) and not services.not_ready_reason()
    return Sample(ready, versions)


def _add_pipeline(app: FastAPI, direct: Sequence[APIRouter], parts: Parts) -> None:
    """Wrap everything in the pipeline, including the middleware that answers failures with 500.

    The direct routes of the routers ``direct`` are answered ahead of FastAPI's routing.
    """
    build = app.build_middleware_stack

    def stack() -> Pipeline:
        routing = FastAPIScope(build())
        return Pipeline(DirectRoutes(routing, app.exception_handlers, direct), parts)

    app.build_middleware_stack = stack  # type: ignore[method-assign]


def _pipeline_parts(services: Services, tracer: Tracer | None, traits: TraitsByPath) -> Parts:
    """What all requests pass through."""
    settings = services.settings
    return Parts(
        new_context=partial(RequestContext.open, services.authenticator, settings.timeout),
        proxy_headers=ProxyHeaders(TrustedProxies(), settings.root_path),
        cors=Cors(settings.cors_origins.split(",")),
        load_shedding=LoadShedding(services.admission, traits, problems.error_response),
        body_limit=BodyLimit(partial(_body_bound, services, traits)),
        compression=Compression(services.encoders),
        access_log=AccessLog(services.metrics, tracer, write_lines=settings.access_log),
    )


def _body_bound(services: Services, traits: TraitsByPath, path: str) -> int | None:
    """The longest body in bytes that a route accepts; None if the route bounds it itself."""
    widest = max((version.card.latent.width for version in services.registry), default=0)
    return traits.of(path).body_bound(services.settings.max_images, widest)


def _lifespan(
    services: Services, process: _Process, start: Start
) -> Callable[[FastAPI], AbstractAsyncContextManager[dict[str, object]]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        with process.watchdog.watching(), process.shutdown.handling_signals():
            async with services.metrics.sampling(), _models_loaded(services.reloader, start):
                # The web server resumes here once all its connections are closed.
                yield {APPLICATION: _application(app, services, process)}
            await services.registry.close()
            services.encoders.close()
            process.crash_log.close()
            if process.tracer:
                await asyncio.to_thread(process.tracer.close)

    return lifespan


def _application(app: FastAPI, services: Services, process: _Process) -> Application:
    """What connections need of ``app``.

    FastAPI and Starlette put two coroutines around every request, which only name the application.
    """
    stack = app.middleware_stack or app.build_middleware_stack()

    def handle(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        scope["app"] = app
        return stack(scope, receive, send)

    return Application(
        handle,
        process.connections,
        process.shutdown,
        problems.error_response,
        services.settings.root_path,
    )


@asynccontextmanager
async def _models_loaded(reloader: Reloader, start: Start) -> AsyncIterator[None]:
    """Load the models, as far as ``start`` waits for them, and reload them meanwhile."""
    try:
        async with reloader.running(start.seconds) as loading:
            if start.on_failure:
                loading.add_done_callback(partial(_report, start.on_failure))
            with _rare_collections():
                yield
    except StartupError as error:
        if not start.on_failure:
            raise
        start.on_failure(error)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Meanwhile the garbage collector ignores all that exists already, and runs seldom.

    Otherwise it would traverse what has been loaded every thousand requests or so, and what all
    requests in progress refer to every forty. Requests leave no cycles behind.
    """
    gc.collect()
    gc.freeze()
    before = gc.get_threshold()
    gc.set_threshold(_NEW_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _report(on_failure: Callable[[StartupError], object], loading: "asyncio.Task[None]") -> None:
    """Call ``on_failure`` if the first load has failed because the provider does not start."""
    error = None if loading.cancelled() else loading.exception()
    if isinstance(error, StartupError):
        on_failure(error)
