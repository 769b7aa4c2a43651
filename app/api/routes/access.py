"""``POST /access``: the page's key in a cookie, since images send no headers."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from app.auth.api_keys import COOKIE, Access, cookie, presented

router = APIRouter(include_in_schema=False)


@router.post("/access")
async def access(request: Request) -> Response:
    """Let a browser that sends a key be known by a cookie until it is closed."""
    known: Access = request.app.state.access
    known.admit(request)
    answer = Response(status_code=HTTPStatus.NO_CONTENT)
    if known.drawing and (secret := presented(request)) is not None:
        answer.set_cookie(
            COOKIE,
            cookie(secret),
            path=request.scope.get("root_path") or "/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",  # nobody else's page draws with it
        )
    return answer
