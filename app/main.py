"""The application: ``create_app(settings)``."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline

from app import __version__, deps, errors, memory, openapi, problems, telemetry, traces
from app.access import Access
from app.bodies import BodyLimit
from app.callers import Callers
from app.catalog import Catalog
from app.compression import Compression
from app.connections import Limits
from app.cors import Cors
from app.draining import Drain
from app.gate import Gate, Gated
from app.metrics import Metrics
from app.orders import Orders
from app.pictures import Pictures
from app.rates import Rates
from app.repository import Repository
from app.routes import access as entrance
from app.routes import (
    arithmetic,
    generate,
    grid,
    health,
    images,
    inference_v2,
    interpolate,
    models,
    models_v2,
    page,
    repository_v2,
    variations,
)
from app.routes import metrics as measured
from app.settings import Settings
from app.watchdog import Watchdog

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
    memory.share()
    metrics = Metrics(shared)
    catalog = Catalog.load(settings, metrics.watch)

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
    app.state.traces = traces.from_environment()
    telemetry.install(app, metrics, app.state.traces, log=settings.access_log)
    orders = Orders(shared and shared / "orders")
    app.state.repository = Repository(catalog, settings, orders, metrics)
    app.state.limits = Limits(settings.max_connections, settings.patience)
    app.state.gate = Gate()
    app.state.drain = Drain(settings.grace)
    app.state.watchdog = Watchdog(catalog.running, settings.stalled)
    app.state.pictures = Pictures(settings.cache_bytes)
    metrics.look_at(catalog, partial(deps.hindrance, app.state))
    _wrap(app, settings)
    problems.install(app)
    openapi.install(app, settings.timeout)
    _route(app, settings)
    return app


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
    with state.watchdog.looking(), state.drain.listening():
        async with state.metrics.sampling(), state.repository.attended():
            # Serve; the web server drains its connections before it comes back.
            yield {"limits": state.limits, "ending": state.drain}
        await state.catalog.close()
        if state.traces:
            await asyncio.to_thread(state.traces.close)
    gc.unfreeze()


def _route(app: FastAPI, settings: Settings) -> None:
    """Add all routes: those that draw take a key where there are any, orders take one always."""
    keyed = [Depends(deps.keyed)] if settings.api_keys else []
    wrong = [errors.AccessError] if settings.api_keys else []
    described = {**_DRAWING, **openapi.problems(*wrong)}
    for drawing in (generate, images, interpolate, grid, variations, arithmetic):
        app.include_router(drawing.router, responses=described, dependencies=keyed)
    described = openapi.protocol_errors(*wrong)
    app.include_router(inference_v2.router, responses=described, dependencies=keyed)
    closed = errors.AccessError if settings.admin_keys else errors.ForbiddenError
    app.include_router(
        repository_v2.administration,
        responses=openapi.protocol_errors(closed),
        dependencies=[Depends(deps.administering)],
    )
    for open_to_all in (models, models_v2, repository_v2, health, measured, entrance, page):
        app.include_router(open_to_all.router)
