"""The application: ``create_app(settings)``."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from app import __version__, errors, openapi, problems, telemetry
from app.access import Access
from app.bodies import BodyLimit
from app.callers import Callers
from app.catalog import Catalog
from app.connections import Limits
from app.draining import Drain
from app.metrics import Metrics
from app.orders import Orders
from app.repository import Repository
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
    metrics = Metrics(shared)
    catalog = Catalog.load(settings, metrics.watch)
    orders = Orders(shared and shared / "orders")
    repository = Repository(catalog, settings, orders, metrics)

    app = FastAPIOffline(
        title="DCGAN server",
        summary="Images from DCGAN generators: random, seeded, between and around seeds.",
        version=__version__,
        license_info={"name": "MIT", "identifier": "MIT"},
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        lifespan=_lifespan,
    )
    app.state.settings, app.state.catalog = settings, catalog
    app.state.access, app.state.metrics = Access(settings), metrics
    telemetry.install(app, metrics, log=settings.access_log)
    app.state.repository = repository
    app.state.limits = Limits(settings.max_connections, settings.patience)
    app.state.drain = Drain(settings.grace)
    app.state.watchdog = Watchdog(catalog.running, settings.stalled)
    app.add_middleware(BodyLimit)
    app.add_middleware(Callers, timeout=settings.timeout)
    problems.install(app)
    openapi.install(app, settings.timeout)
    _route(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
    state = app.state
    # To look for garbage in what stays holds up whoever waits, every thousand requests or so.
    gc.collect()
    gc.freeze()
    with state.watchdog.looking(), state.drain.listening():
        async with state.metrics.sampling(state.catalog), state.repository.attended():
            # Serve; the web server drains its connections before it comes back.
            yield {"limits": state.limits, "ending": state.drain}
        await state.catalog.close()
    gc.unfreeze()


def _route(app: FastAPI) -> None:
    for drawing in (generate, images, interpolate, grid, variations, arithmetic):
        app.include_router(drawing.router, responses=_DRAWING)
    app.include_router(models.router)
    app.include_router(health.router)
    app.include_router(measured.router)
    for protocol in (models_v2, inference_v2, repository_v2):
        app.include_router(protocol.router)
    app.include_router(repository_v2.administration)
    app.include_router(page.router)
