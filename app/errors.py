"""What can go wrong, with the status and the words that a client is told.

AppError                     has an HTTP status; its text is the problem's detail
├── MalformedError       400 what is not HTTP
├── SlowError            408 a request that does not arrive
├── LongUrlError         414 a URL that is longer than any request needs
├── LongHeadError        431 a request's head that is
├── AccessError          401 no key, or none of the server's
├── ForbiddenError       403 what this server does for nobody
├── RepositoryError      409 a models folder that cannot be served as it lies there
├── ParameterError       422 a parameter that is not allowed
├── NotFoundError        404 a model, version or page that is not served
├── NotAcceptableError   406 no representation that the client accepts
├── TooLargeError        413 a body that is longer than any request needs
├── NotReadyError        503 no model is served
├── OverloadedError      503 the queue is full; says when to come back
│   ├── OverShareError   429 the client's share of the queue is full
│   ├── OverRateError    429 more images a second than its client may draw
│   └── CrowdedError     503 more connections than the server has room for
├── ClosedError          503 the server is shutting down
├── LateError            504 the deadline passed; says what was waited for
└── EngineError          500 a batch that could not be computed
StartupError                 a server that cannot start as it was told to; never seen by a client
"""

from collections.abc import Callable, Hashable
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MEDIA_TYPE = "application/problem+json"


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
    refusal = ""
    """What there was no room in, where that is why: as the metrics name it."""

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


class RepositoryError(AppError):
    """A models folder that cannot be served as it lies there."""

    status = HTTPStatus.CONFLICT
    example = "not all of faces is served: models/faces/2/card.json: Invalid JSON"


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


Holds = Callable[[Hashable], bool]
"""Whether a client would be refused for the same reason now."""


def _once(_client: Hashable) -> bool:
    return False


class OverloadedError(AppError):
    """The queue is full; ``Retry-After`` says in how many seconds there should be room."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    example = "the server is busy: 4096 images are waiting"
    refusal = "full"

    def __init__(self, detail: str, retry_after: int, holds: Holds = _once) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after)}
        self.holds = holds


class OverShareError(OverloadedError):
    """The client's share of the queue is full while others wait; ``Retry-After`` as for 503."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    example = "others wait, too: 4000 images are waiting"
    refusal = "share"


class OverRateError(OverloadedError):
    """The client drew more images lately than its rate allows; ``Retry-After`` as for 503."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    example = "10 images a second are allowed on average"
    refusal = "rate"


class MalformedError(AppError):
    """What is not HTTP."""

    status = HTTPStatus.BAD_REQUEST
    example = "Invalid HTTP request received."


class SlowError(AppError):
    """A request that does not arrive in time."""

    status = HTTPStatus.REQUEST_TIMEOUT
    example = "the request did not arrive within 20 s"


class LongUrlError(AppError):
    """A URL that is longer than any request needs."""

    status = HTTPStatus.REQUEST_URI_TOO_LONG
    example = "the URL is longer than 8192 bytes"


class LongHeadError(AppError):
    """A request's head that is longer than any request needs."""

    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    example = "the request head exceeds 32768 bytes or 100 headers"


class CrowdedError(OverloadedError):
    """The server has too many connections; ``Retry-After`` says when to try again."""

    example = "the server has too many connections"


UNREAD = (MalformedError, SlowError, LongUrlError, LongHeadError, CrowdedError)
"""What any request may be answered before anybody has read it."""


class ClosedError(AppError):
    """The server is shutting down."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    example = "the server is shutting down"
    refusal = "closed"


class LateError(AppError):
    """The deadline passed before the images were drawn."""

    status = HTTPStatus.GATEWAY_TIMEOUT
    example = "not drawn in time: after 30.00 s 16 of 16 images were still in the queue"


class EngineError(AppError):
    """A batch that could not be computed; the log has its trace by the fault's name."""

    example = "these images could not be computed; the log says why by fault 8f1d22c0"


def offence(parameter: str, place: str, value: object, allowed: str) -> Offence:
    """One refused parameter."""
    return Offence(parameter=parameter, place=place, value=value, allowed=allowed)


def refusal(*refused: Offence) -> ParameterError:
    """The error that tells of all of ``refused``."""
    return ParameterError("; ".join(map(_sentence, refused)), list(refused))


def _sentence(refused: Offence) -> str:
    value = "missing" if refused.value is None else repr(refused.value)
    return f"{refused.parameter} is {value} but must be {refused.allowed}"
