"""Errors in OpenAI's format, which its clients read."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field

from app.api.response_body import WholeBody
from app.errors import InvalidParameter

_PREFIX = "/v1"
_REQUEST, _SERVER = "invalid_request_error", "server_error"


class ErrorDetail(WholeBody):
    """What is wrong with a request."""

    message: str
    type: str = Field(description="kind of error", examples=[_REQUEST])
    param: str | None = Field(None, description="the first parameter that was refused")
    code: str | None = Field(
        None, description="kind of error, more precisely", examples=["invalid_value"]
    )


class ErrorResponse(BaseModel):
    """Body of every error response below ``/v1``."""

    error: ErrorDetail


def is_openai(path: str) -> bool:
    """Whether ``path`` belongs to OpenAI's API, which has its own error body."""
    return path == _PREFIX or path.startswith(f"{_PREFIX}/")


def status_of(status: HTTPStatus) -> HTTPStatus:
    """The status below ``/v1``: OpenAI's API answers invalid parameters with 400, not with 422."""
    return HTTPStatus.BAD_REQUEST if status == HTTPStatus.UNPROCESSABLE_ENTITY else status


def body(status: HTTPStatus, detail: str, refused: Sequence[InvalidParameter]) -> dict[str, Any]:
    """The body of an error with ``detail`` about the parameters in ``refused``."""
    found = ErrorDetail(
        message=detail,
        type=_kind(status),
        param=refused[0].parameter if refused else None,
        code=_code(status, refused),
    )
    return ErrorResponse(error=found).model_dump()


def _kind(status: HTTPStatus) -> str:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "requests"
    return _SERVER if status >= HTTPStatus.INTERNAL_SERVER_ERROR else _REQUEST


def _code(status: HTTPStatus, refused: Sequence[InvalidParameter]) -> str | None:
    if status == HTTPStatus.UNAUTHORIZED:
        return "invalid_api_key"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "rate_limit_exceeded"
    if not refused:
        return None
    return "model_not_found" if status == HTTPStatus.NOT_FOUND else "invalid_value"
