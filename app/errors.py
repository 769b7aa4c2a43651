"""What can go wrong, and how a client is told: RFC 9457 ``application/problem+json``.

AppError                     has an HTTP status; its text is the problem's detail
├── AccessError          401 no key, or none of the server's
├── ForbiddenError       403 what this server does for nobody
├── ParameterError       422 a parameter that is not allowed
├── NotFoundError        404 a model, version or page that is not served
├── NotAcceptableError   406 no representation that the client accepts
├── TooLargeError        413 a body that is longer than any request needs
├── NotReadyError        503 no model is served
├── OverloadedError      503 the queue is full; says when to come back
├── ClosedError          503 the server is shutting down
└── EngineError          500 a batch that could not be computed
StartupError                 a server that cannot start as it was told to; never seen by a client
"""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from app.allowed import Schema, told, within, words

MEDIA_TYPE = "application/problem+json"

_BODY = "a JSON object, sent as application/json"
# A body may hold any number of unknown parameters; nobody reads a longer list of them.
_MOST = 16


class StartupError(Exception):
    """A server that cannot start as it was told to. The command line prints it and exits with 1."""


class Offence(BaseModel):
    """One parameter that was refused."""

    model_config = ConfigDict(populate_by_name=True)

    parameter: str
    place: str = Field(alias="in", description="query, path, header or body")
    value: Any = Field(description="as it was received")
    allowed: str


class Problem(BaseModel):
    """Every error's body (RFC 9457)."""

    type: str = Field("about:blank", description="always about:blank: the status says it")
    title: str = Field(description="the status in words")
    status: int
    detail: str = Field(description="what is wrong with this request")
    instance: str = Field(description="the path that was asked for")
    errors: list[Offence] = Field([], description="the parameters that were refused")


class AppError(Exception):
    """A failure that a client is told of; see the tree above."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    example = "the server failed; its log says why"

    def __init__(self, detail: str, errors: list[Offence] | None = None) -> None:
        super().__init__(detail)
        self.detail, self.errors = detail, errors or []
        self.headers: dict[str, str] = {}


class ParameterError(AppError):
    """A parameter that is not allowed."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    example = "n is '257' but must be an integer from 1 to 256"


class AccessError(AppError):
    """No key, or none of the server's."""

    status = HTTPStatus.UNAUTHORIZED
    example = "this takes an API key: Authorization: Bearer … or X-API-Key"

    def __init__(self, detail: str, *, wrong: bool) -> None:
        super().__init__(f"{detail}: Authorization: Bearer … or X-API-Key")
        # RFC 6750, section 3: no word of an error to whoever did not know that it takes a key.
        error = ', error="invalid_token"' if wrong else ""
        self.headers = {"WWW-Authenticate": f'Bearer realm="dcgan"{error}'}


class ForbiddenError(AppError):
    """What this server does for nobody."""

    status = HTTPStatus.FORBIDDEN
    example = "administration is off; DCGAN_ADMIN_KEYS turns it on"


class NotFoundError(AppError):
    """A model or version that is not served."""

    status = HTTPStatus.NOT_FOUND
    example = "model is 'cats' but must be one of fashion-mnist"


class NotAcceptableError(AppError):
    """No representation that the client accepts."""

    status = HTTPStatus.NOT_ACCEPTABLE
    example = "Accept is 'text/html' but must allow one of image/png"


class TooLargeError(AppError):
    """A body that is longer than any request needs."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    example = "the body is longer than 65536 bytes"


class NotReadyError(AppError):
    """No model is served."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    example = "no model is served: models: cannot be read: No such file or directory"


class OverloadedError(AppError):
    """The queue is full; ``Retry-After`` says in how many seconds there should be room."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    example = "the server is busy: 4096 images are waiting"

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after)}


class ClosedError(AppError):
    """The server is shutting down."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    example = "the server is shutting down"


class EngineError(AppError):
    """A batch that could not be computed."""

    example = "these images could not be computed; the log says why"


def offence(parameter: str, place: str, value: object, allowed: str) -> Offence:
    """One refused parameter."""
    return Offence(parameter=parameter, place=place, value=value, allowed=allowed)


def refusal(*refused: Offence) -> ParameterError:
    """The error that tells of all of ``refused``."""
    return ParameterError("; ".join(map(_sentence, refused)), list(refused))


def install(app: FastAPI) -> None:
    """Let every error of ``app``, foreseen or not, be answered with a Problem."""

    @app.exception_handler(AppError)
    async def foreseen(request: Request, error: AppError) -> JSONResponse:
        return answer(request, error.status, error.detail, error.errors, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        problems = error.errors()[:_MOST]
        refused = [_refused(request, problem, error.body) for problem in problems]
        # Several wrong values of one list are one wrong parameter.
        told_once = {(one.place, one.parameter): one for one in refused}
        return await foreseen(request, refusal(*told_once.values()))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == HTTPStatus.BAD_REQUEST:
            return await foreseen(request, _unreadable(error))
        status, headers = HTTPStatus(error.status_code), dict(error.headers or {})
        detail = f"{request.method} {request.url.path}: {error.detail}"
        if "Allow" in headers:
            detail += f"; allowed: {headers['Allow']}"
        return answer(request, status, detail, headers=headers)

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, _: Exception) -> JSONResponse:
        # Starlette raises the error again behind this answer; the web server logs its trace.
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        return answer(request, status, "the server failed; its log says why")


def answer(
    request: Request,
    status: HTTPStatus,
    detail: str,
    errors: list[Offence] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """A Problem as a response."""
    problem = Problem(
        title=status.phrase,
        status=status,
        detail=detail,
        instance=request.url.path,
        errors=errors or [],
    )
    body = problem.model_dump(mode="json", by_alias=True)
    return JSONResponse(body, status, headers, media_type=MEDIA_TYPE)


def _unreadable(error: HTTPException) -> AppError:
    """Why FastAPI could not read a body: the only thing that it calls a bad request."""
    if isinstance(error.__cause__, AppError):
        return error.__cause__
    refused = offence("body", "body", None, _BODY)
    return ParameterError(f"body cannot be read but must be {_BODY}", [refused])


def _refused(request: Request, problem: dict[str, Any], body: object) -> Offence:
    """FastAPI's account of a refused parameter, with what the OpenAPI document allows there."""
    place, *path = map(str, problem["loc"])
    if place == "body" and (not path or problem["type"] == "json_invalid"):
        return offence("body", place, told(body), _BODY)
    schema, components = _schemas(request, place)
    if problem["type"] == "extra_forbidden":
        names = ", ".join(within(schema, [], components)["properties"]) or "in the body"
        allowed = f"left out: the parameters here are {names}"
        return offence(_name(path), place, told(problem["input"]), allowed)
    if place == "query":
        path = path[:1]  # a list is one parameter, whichever of its values is wrong
    try:
        found = within(schema, path, components)
    except KeyError:
        return offence(_name(path), place, told(problem["input"]), problem["msg"])
    # Of a missing parameter FastAPI gives all the others as its input.
    value = None if problem["type"] == "missing" else problem["input"]
    if listed := place == "query" and found["type"] == "array":
        value = ",".join(request.query_params.getlist(path[0]))
    return offence(_name(path), place, told(value), words(found, separated=listed))


def _schemas(request: Request, place: str) -> tuple[Schema, Schema]:
    """The schema of all that the route takes in ``place``, and those that it refers to."""
    document = request.app.openapi()
    route = request.scope["route"].path_format
    operation = document["paths"][route][request.method.lower()]
    components = document["components"]["schemas"]
    if place == "body":
        return operation["requestBody"]["content"]["application/json"]["schema"], components
    listed = operation.get("parameters", [])
    return {"properties": {p["name"]: p["schema"] for p in listed if p["in"] == place}}, components


def _name(path: list[str]) -> str:
    return str(told(".".join(path)))


def _sentence(refused: Offence) -> str:
    value = "missing" if refused.value is None else repr(refused.value)
    return f"{refused.parameter} is {value} but must be {refused.allowed}"
