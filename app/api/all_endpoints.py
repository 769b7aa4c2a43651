"""All endpoints of the server."""

from app.api.endpoints import Endpoints
from app.api.openai import images as openai_images
from app.api.openai import models as openai_models
from app.api.routes import (
    access,
    arithmetic,
    encode,
    generate,
    grid,
    health,
    images,
    interpolate,
    kinds,
    metrics,
    models,
    page,
    page_images,
    variations,
)
from app.api.v2 import configuration as v2_configuration
from app.api.v2 import inference as v2_inference
from app.api.v2 import models as v2_models
from app.api.v2 import repository as v2_repository

ENDPOINTS: tuple[Endpoints, ...] = (
    generate.ENDPOINTS,
    images.ENDPOINTS,
    interpolate.ENDPOINTS,
    grid.ENDPOINTS,
    variations.ENDPOINTS,
    arithmetic.ENDPOINTS,
    encode.ENDPOINTS,
    v2_inference.ENDPOINTS,
    openai_images.ENDPOINTS,
    access.ENDPOINTS,
    v2_repository.ADMINISTRATION,
    models.ENDPOINTS,
    openai_models.ENDPOINTS,
    v2_models.ENDPOINTS,
    v2_configuration.ENDPOINTS,
    v2_repository.ENDPOINTS,
    health.ENDPOINTS,
    metrics.ENDPOINTS,
    kinds.ENDPOINTS,
    page_images.ENDPOINTS,
    page.ENDPOINTS,
)
"""The OpenAPI document has them in this order; where paths overlap, the first is found."""
