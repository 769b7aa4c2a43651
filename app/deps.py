"""What routes ask for, as annotated aliases."""

from typing import Annotated

from fastapi import Depends, Request

from app.catalog import Catalog
from app.errors import ParameterError, offence
from app.settings import Settings


def _catalog(request: Request) -> Catalog:
    catalog: Catalog = request.app.state.catalog
    return catalog


def _accept(request: Request) -> str | None:
    # OpenAPI wants Accept described by the answers' media types, not as a parameter.
    return ", ".join(request.headers.getlist("accept")) or None


class Limit:
    """How many images one request may ask for, by setting."""

    def __init__(self, request: Request) -> None:
        settings: Settings = request.app.state.settings
        self._most = settings.max_images

    def check(self, count: int, **parameters: int) -> None:
        """Raise ParameterError, naming ``parameters``, where ``count`` images are too many."""
        if count <= self._most:
            return
        allowed = f"at most {self._most} images in all"
        errors = [offence(name, "query", value, allowed) for name, value in parameters.items()]
        named = ", ".join(f"{name}={value}" for name, value in parameters.items())
        raise ParameterError(f"{named} asks for {count} images but must ask for {allowed}", errors)


InService = Annotated[Catalog, Depends(_catalog)]
Accept = Annotated[str | None, Depends(_accept)]
ImageLimit = Annotated[Limit, Depends(Limit)]
