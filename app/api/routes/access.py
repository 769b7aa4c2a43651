"""``POST /access``: stores the page's key as a cookie, because ``<img>`` sends no headers."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from app.api.dependencies import CurrentServices, KeyRoute
from app.api.endpoints import Access, Endpoints
from app.auth.api_keys import COOKIE, cookie, presented

ENDPOINTS = Endpoints(
    APIRouter(include_in_schema=False, route_class=KeyRoute), access=Access.WITH_KEY
)
router = ENDPOINTS.router


@router.post("/access")
async def access(request: Request, services: CurrentServices) -> Response:
    """Set a cookie that stands for the key of this request until the browser is closed."""
    response = Response(status_code=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})
    if services.authenticator.drawing and (secret := presented(request)) is not None:
        response.set_cookie(
            COOKIE,
            cookie(secret),
            path=request.scope.get("root_path") or "/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",  # pages of other origins cannot use it
        )
    return response
