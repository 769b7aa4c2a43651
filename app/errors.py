"""Exceptions that become HTTP responses, one class for each kind of failure.

AppError                     has an HTTP status; its text is the ``detail`` of the problem
├── MalformedError           400 malformed HTTP
├── UnauthorizedError        401 missing or unknown API key
├── ForbiddenError           403 the server does not offer this to anyone
├── NotFoundError            404 unknown model, version or page
├── MethodError              405 a method that the path does not have
├── NotAcceptableError       406 no representation that the client accepts
├── RequestTimeoutError      408 the request did not arrive in time
├── ModelsFolderError        409 the models folder cannot be served as it is
├── BodyTooLargeError        413 request body too large
├── UrlTooLongError          414 URL too long
├── MediaTypeError           415 a body of a media type that the route does not read
├── ContentCodingError       415 a body that is compressed with anything but gzip or deflate
├── ParameterError           422 a parameter with a value that is not allowed
├── HeadTooLongError         431 request headers too large
├── UnexpectedError          500 a fault of the server
├── EngineError              500 a batch that could not be computed
├── TransferCodingError      501 a transfer coding other than chunked
├── NotReadyError            503 no model is served, or the requested one is being loaded
├── ShuttingDownError        503 the server is shutting down
├── OverloadedError          503 the queue is full; has ``Retry-After``
│   ├── QueueShareError      429 the client's share of the queue is full
│   ├── RateLimitError       429 the client exceeds its rate
│   └── TooManyConnectionsError  503 too many open connections
│       └── ClientConnectionsError  429 too many of this client
└── DeadlineError            504 the deadline passed before the images were generated
StartupError                 the server cannot start with these settings; clients never see it
"""

import json
import re
import reprlib
from collections.abc import Sequence
from http import HTTPStatus
from itertools import chain, islice
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Refusal = TypeVar("Refusal", bound="AppError")

MEDIA_TYPE = "application/problem+json"

# Characters in JSON. Longer values are abbreviated; so are values that are nested too deeply for
# the JSON encoder, by a few hundred brackets.
_LONGEST_VALUE = 400
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


class StartupError(Exception):
    """The server cannot start with these settings. The command line prints it and exits with 1."""


class InvalidParameter(BaseModel):
    """One parameter that was refused."""

    model_config = ConfigDict(populate_by_name=True)

    parameter: str
    place: str = Field(alias="in", description="query, path, header or body")
    value: Any = Field(description="the value received")
    allowed: str
    is_null: bool = Field(False, exclude=True)
    """Whether the value is JSON's null; None alone is that of a missing parameter."""


TYPES = "/problems"
"""The path below which every kind of error is described."""


class Problem(BaseModel):
    """Body of every error response (RFC 9457)."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    type: str = Field(
        description="the kind of error, a path on every server; `GET` it for an explanation",
        examples=["/problems/invalid-parameter"],
    )
    title: str = Field(description="the status in words")
    status: int
    detail: str = Field(description="what is wrong with this request")
    instance: str = Field(description="the path of the request")
    errors: list[InvalidParameter] = Field([], description="the parameters that were refused")


class AppError(Exception):
    """A failure that is reported to the client; the module's docstring has the whole tree."""

    kind: ClassVar[str]
    """Its name in the API, which never changes: the end of the problem's ``type``."""
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    example: ClassVar[str]
    refusal_reason = ""
    """The metrics' label ``reason`` for a refused request; empty for errors of other kinds."""

    def __init__(self, detail: str, errors: list[InvalidParameter] | None = None) -> None:
        super().__init__(detail)
        self.detail, self.errors = detail, errors or []
        self.headers: dict[str, str] = {}


class UnexpectedError(AppError):
    """The server failed; its log has the reason."""

    kind = "server-error"
    example = "the server failed; see its log"


class ParameterError(AppError):
    """A parameter has a value that is not allowed."""

    kind = "invalid-parameter"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    example = "n is '257' but must be an integer from 1 to 256"


class UnauthorizedError(AppError):
    """The API key is missing or unknown."""

    kind = "unauthorized"
    status = HTTPStatus.UNAUTHORIZED
    example = "this needs an API key: Authorization: Bearer … or X-API-Key"

    def __init__(self, detail: str, *, invalid_key: bool) -> None:
        super().__init__(f"{detail}: Authorization: Bearer … or X-API-Key")
        # RFC 6750, section 3: no error code for a request without a key.
        error = ', error="invalid_token"' if invalid_key else ""
        self.headers = {"WWW-Authenticate": f'Bearer realm="dcgan"{error}'}


class ForbiddenError(AppError):
    """The server does not offer this to anyone."""

    kind = "forbidden"
    status = HTTPStatus.FORBIDDEN
    example = "administration is disabled; DCGAN_ADMIN_KEYS enables it"


class NotFoundError(AppError):
    """The model, version or page does not exist."""

    kind = "not-found"
    status = HTTPStatus.NOT_FOUND
    example = "model is 'cats' but must be one of fashion-mnist"


class MethodError(AppError):
    """The path exists, but not with this method; ``Allow`` has those that it has."""

    kind = "method-not-allowed"
    status = HTTPStatus.METHOD_NOT_ALLOWED
    example = "POST /health/live: Method Not Allowed; allowed: GET, HEAD"


class ModelsFolderError(AppError):
    """The models folder cannot be served as it is."""

    kind = "models-folder"
    status = HTTPStatus.CONFLICT
    example = "not every version of faces is served: models/faces/2/card.json: Invalid JSON"


class NotAcceptableError(AppError):
    """The client accepts no representation that the server offers."""

    kind = "not-acceptable"
    status = HTTPStatus.NOT_ACCEPTABLE
    example = "Accept is 'text/html' but must allow one of image/png"


class BodyTooLargeError(AppError):
    """The request body is too large."""

    kind = "body-too-large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    example = "the body is longer than 65536 bytes"


class MediaTypeError(AppError):
    """The media type of the body is not one that the route reads."""

    kind = "media-type"
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    example = "Content-Type is 'text/plain' but must be one of image/png, image/jpeg"


class ContentCodingError(AppError):
    """The body is compressed in a way that the server does not read."""

    kind = "content-coding"
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    example = "Content-Encoding is 'br' but must be one of identity, gzip, deflate"

    def __init__(self, detail: str, errors: list[InvalidParameter] | None = None) -> None:
        super().__init__(detail, errors)
        # RFC 9110, section 15.5.16.
        self.headers = {"Accept-Encoding": "gzip, deflate"}


class NotReadyError(AppError):
    """No model is served, or the requested one is being loaded."""

    kind = "not-ready"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    example = "no model is served: models: cannot be read: No such file or directory"


class OverloadedError(AppError):
    """The queue is full; ``Retry-After`` estimates when there is room."""

    kind = "overloaded"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    example = "the server is busy: 4096 images are waiting"
    refusal_reason = "full"

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after)}


class QueueShareError(OverloadedError):
    """The client's share of the queue is full; ``Retry-After`` as for 503."""

    kind = "queue-share"
    status = HTTPStatus.TOO_MANY_REQUESTS
    example = "other clients are waiting too: 4000 images are waiting"
    refusal_reason = "share"


class RateLimitError(OverloadedError):
    """The client exceeds its rate of images; ``Retry-After`` as for 503."""

    kind = "rate-limit"
    status = HTTPStatus.TOO_MANY_REQUESTS
    example = "the rate limit is 10 images per second on average"
    refusal_reason = "rate"


class MalformedError(AppError):
    """The request is not valid HTTP."""

    kind = "malformed-http"
    status = HTTPStatus.BAD_REQUEST
    example = "Invalid HTTP request received."


class RequestTimeoutError(AppError):
    """The request did not arrive in time."""

    kind = "request-timeout"
    status = HTTPStatus.REQUEST_TIMEOUT
    example = "the request did not arrive within 20 s"


class UrlTooLongError(AppError):
    """The URL is too long."""

    kind = "url-too-long"
    status = HTTPStatus.REQUEST_URI_TOO_LONG
    example = "the URL is longer than 8192 bytes"


class HeadTooLongError(AppError):
    """The request headers are too large."""

    kind = "head-too-long"
    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    example = "the request head exceeds 32768 bytes or 100 headers"


class TransferCodingError(AppError):
    """The request has a transfer coding that the server does not support."""

    kind = "transfer-coding"
    status = HTTPStatus.NOT_IMPLEMENTED
    example = "Transfer-Encoding is 'gzip, chunked' but must be chunked"


class TooManyConnectionsError(OverloadedError):
    """The server has too many open connections; ``Retry-After`` says when to try again."""

    kind = "too-many-connections"
    example = "the server has too many connections"


class ClientConnectionsError(TooManyConnectionsError):
    """The client has too many open connections; ``Retry-After`` as for 503."""

    kind = "client-connections"
    status = HTTPStatus.TOO_MANY_REQUESTS
    example = "the client has too many connections"


PROTOCOL_ERRORS = (
    MalformedError,
    RequestTimeoutError,
    UrlTooLongError,
    HeadTooLongError,
    TransferCodingError,
    TooManyConnectionsError,
    ClientConnectionsError,
)
"""Errors of the HTTP connection: any request may get one before a route has seen it."""


class ShuttingDownError(AppError):
    """The server is shutting down."""

    kind = "shutting-down"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    example = "the server is shutting down"
    refusal_reason = "closed"


class DeadlineError(AppError):
    """The deadline passed before the images were generated."""

    kind = "deadline"
    status = HTTPStatus.GATEWAY_TIMEOUT
    example = "not generated in time: after 30.00 s 16 of 16 images were still in the queue"


class EngineError(AppError):
    """A batch could not be computed; the log has its stack trace under the fault's number."""

    kind = "engine-failure"
    example = "these images could not be computed; see fault 8f1d22c0 in the log"


def kinds() -> dict[str, type[AppError]]:
    """Every kind of error by its name, sorted."""
    found, waiting = {}, AppError.__subclasses__()
    while waiting:
        one = waiting.pop()
        found[one.kind] = one
        waiting += one.__subclasses__()
    return dict(sorted(found.items()))


def problem(
    kind: type[AppError], detail: str, instance: str, errors: Sequence[InvalidParameter] = ()
) -> Problem:
    """The body of the response to a request for ``instance``, a path."""
    return Problem(
        type=f"{TYPES}/{kind.kind}",
        title=kind.status.phrase,
        status=kind.status,
        detail=detail,
        instance=instance,
        errors=list(errors),
    )


SECRET_NAME = re.compile(r"key|token|secret|passw", re.IGNORECASE)
"""In the name of a parameter: its value is neither logged nor repeated in a response.

No parameter of ours has such a name, but a client may send its key in the wrong place.
"""


def invalid(
    parameter: str, place: str, value: object, allowed: str, *, is_null: bool = False
) -> InvalidParameter:
    """One refused parameter of the request's ``place``: query, path, header or body.

    A ``value`` of None is a missing parameter, or null in JSON if ``is_null``.
    """
    if SECRET_NAME.search(parameter):
        value = "***"
    return InvalidParameter(
        parameter=parameter,
        place=place,
        value=json_safe(value),
        allowed=allowed,
        is_null=is_null,
    )


def parameter_error(*refused: InvalidParameter) -> ParameterError:
    """One error that names every parameter of ``refused``."""
    return error_naming(ParameterError, *refused)


def error_naming(kind: type[Refusal], *refused: InvalidParameter) -> Refusal:
    """One error of this kind that names every parameter of ``refused``."""
    return kind("; ".join(map(_sentence, refused)), list(refused))


def _sentence(refused: InvalidParameter) -> str:
    value = repr(refused.value)
    if refused.value is None:
        value = "null" if refused.is_null else "missing"
    return f"{refused.parameter} is {value} but must be {refused.allowed}"


def json_safe(value: object) -> object:
    """``value`` if JSON can express it in 400 characters, else an abbreviated ``repr`` of it."""
    if isinstance(value, bytes):
        value = value[: 4 * (_LONGEST_VALUE + 1)].decode(errors="replace")
    if _has_many_parts(value):
        return reprlib.repr(value)
    try:
        text = _ENCODER.encode(value)
        text.encode()  # JSON escapes may contain lone surrogates, which UTF-8 cannot encode
    except (TypeError, ValueError, RecursionError):
        return reprlib.repr(value)
    return value if len(text) <= _LONGEST_VALUE else reprlib.repr(value)


def _has_many_parts(value: object) -> bool:
    """Whether JSON cannot express ``value`` in 400 characters, as it has more parts.

    Of a list with a million parts only the first are looked at.
    """
    waiting, count = [value], 0
    while waiting and count + len(waiting) <= _LONGEST_VALUE:
        part = waiting.pop()
        count += len(part) if isinstance(part, str) else 1
        if isinstance(part, dict):
            waiting += islice(chain.from_iterable(part.items()), _LONGEST_VALUE)
        elif isinstance(part, list | tuple):
            waiting += islice(part, _LONGEST_VALUE)
    return bool(waiting) or count > _LONGEST_VALUE
