"""The application: ``create_app(settings)``."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline
from starlette.datastructures import State
from starlette.responses import Response

from app import __version__, errors
from app.api import dependencies, openapi, problems
from app.api.image_cache import Pictures
from app.api.routes import access as entrance
from app.api.routes import (
    arithmetic,
    generate,
    grid,
    health,
    images,
    interpolate,
    models,
    page,
    variations,
)
from app.api.routes import metrics as measured
from app.api.v2 import inference as v2_inference
from app.api.v2 import models as v2_models
from app.api.v2 import repository as v2_repository
from app.auth.api_keys import Access
from app.auth.rate_limit import Rates
from app.middleware import access_log
from app.middleware.body_limit import BodyLimit
from app.middleware.compression import Compression
from app.middleware.cors import Cors
from app.middleware.load_shedding import Gate, Gated
from app.middleware.request_context import Callers
from app.observability import multiprocess, tracing
from app.observability.metrics import Metrics, Sample, VersionSample
from app.registry.registry import Catalog
from app.registry.reload_log import Orders
from app.registry.reloader import Repository
from app.server import malloc
from app.server.protocol import ConnectionLimits
from app.server.shutdown import GracefulShutdown
from app.server.watchdog import Watchdog
from app.settings import Settings

_DRAWING = openapi.problems(
    errors.NotFoundError,
    errors.NotAcceptableError,
    errors.ParameterError,
    errors.OverShareError,
    errors.OverRateError,
    errors.NotReadyError,
    errors.OverloadedError,
    errors.ClosedError,
    errors.EngineError,
    errors.LateError,
)


def create_app(settings: Settings, shared: Path | None = None) -> FastAPI:
    """The server's application, with its models loaded, verified and warmed up.

    ``shared`` is a folder of the workers, who count together in it, which this process has joined,
    and hear of each other's orders.
    Raises StartupError where the provider that was asked for does not run. Damaged models are left
    out; without any model the application is live and not ready.
    """
    malloc.limit_arenas()
    metrics = Metrics(shared)
    catalog = Catalog.load(settings, metrics.image_counter)

    app = FastAPIOffline(
        title="DCGAN server",
        summary="Images from DCGAN generators: random, seeded, between and around seeds.",
        version=__version__,
        license_info={"name": "MIT", "identifier": "MIT"},
        redoc_url=None,
        redirect_slashes=False,  # an answer without words, to what a path parameter may hold, too
        generate_unique_id_function=lambda route: route.name,
        lifespan=_lifespan,
    )
    app.state.settings, app.state.catalog = settings, catalog
    app.state.access, app.state.rates = Access(settings), Rates(settings.rate)
    app.state.metrics = metrics
    app.state.traces = tracing.from_environment()
    access_log.install(app, metrics, app.state.traces, log=settings.access_log)
    orders = Orders(shared and shared / "orders")
    app.state.repository = Repository(catalog, settings, orders, metrics)
    app.state.limits = ConnectionLimits(settings.max_connections, settings.patience)
    app.state.gate = Gate()
    app.state.drain = GracefulShutdown(settings.grace)
    app.state.watchdog = Watchdog(catalog.running, settings.stalled)
    app.state.pictures = Pictures(settings.cache_bytes)
    metrics.sample_from(partial(_sample, app.state))
    _wrap(app, settings)
    problems.install(app)
    openapi.install(app, settings.timeout)
    _route(app, settings)
    return app


def create_worker_app(settings: Settings, shared: Path) -> FastAPI:
    """The application of one of several workers, which keep common counters in ``shared``.

    Raises StartupError as ``create_app`` does.
    """
    multiprocess.join(shared)
    return create_app(settings, shared)


def _sample(state: State) -> Sample:
    """The readiness of this process and its versions in service, for the metrics."""
    catalog: Catalog = state.catalog
    versions = [
        VersionSample(
            model=served.card.name,
            version=served.card.version,
            waiting=served.batcher.waiting,
            digest=served.variant.sha256,
            provider=served.engine.provider,
            precision=served.engine.precision,
            graph=served.variant.file,
        )
        for served in catalog
    ]
    ready = bool(catalog.models) and not dependencies.hindrance(state)
    return Sample(ready, versions)


def _wrap(app: FastAPI, settings: Settings) -> None:
    """Add all middleware, from the innermost to what sees a request first."""
    app.add_middleware(BodyLimit)
    app.add_middleware(Callers, timeout=settings.timeout)
    app.add_middleware(Compression)
    app.add_middleware(Gated, gate=app.state.gate)
    app.add_middleware(Cors, origins=settings.cors_origins.replace(" ", "").split(","))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
    state = app.state
    # To look for garbage in what stays holds up whoever waits, every thousand requests or so.
    gc.collect()
    gc.freeze()
    with state.watchdog.watching(), state.drain.handling_signals():
        async with state.metrics.sampling(), state.repository.attended():
            # Serve; the web server drains its connections before it comes back.
            yield {
                "limits": state.limits,
                "ending": state.drain,
                "error_response": _error_response,
            }
        await state.catalog.close()
        if state.traces:
            await asyncio.to_thread(state.traces.close)
    gc.unfreeze()


def _error_response(path: str, error: errors.AppError) -> Response:
    """The response to a request for ``path`` that the web server itself refuses."""
    return problems.answer(path, error.status, error.detail, headers=error.headers)


def _route(app: FastAPI, settings: Settings) -> None:
    """Add all routes: those that draw take a key where there are any, orders take one always."""
    keyed = [Depends(dependencies.keyed)] if settings.api_keys else []
    wrong = [errors.AccessError] if settings.api_keys else []
    described = {**_DRAWING, **openapi.problems(*wrong)}
    for drawing in (generate, images, interpolate, grid, variations, arithmetic):
        app.include_router(drawing.router, responses=described, dependencies=keyed)
    described = openapi.protocol_errors(*wrong)
    app.include_router(v2_inference.router, responses=described, dependencies=keyed)
    closed = errors.AccessError if settings.admin_keys else errors.ForbiddenError
    app.include_router(
        v2_repository.administration,
        responses=openapi.protocol_errors(closed),
        dependencies=[Depends(dependencies.administering)],
    )
    for open_to_all in (
        models,
        v2_models,
        v2_repository,
        health,
        measured,
        entrance,
        page,
    ):
        app.include_router(open_to_all.router)
