"""``/problems``: what each ``type`` of an error response means."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from app.api import openapi
from app.api.endpoints import Endpoints
from app.errors import (
    TYPES,
    AppError,
    NotFoundError,
    ParameterError,
    error_naming,
    invalid,
    kinds,
)

ENDPOINTS = Endpoints(APIRouter(tags=["errors"]))
router = ENDPOINTS.router

_EXAMPLE = "invalid-parameter"
_KIND = Path(
    description="the end of a problem's `type`", pattern="^[a-z-]{1,64}$", examples=[_EXAMPLE]
)


class ProblemKind(BaseModel):
    """One kind of error."""

    type: str = Field(description="the problem's `type`", examples=[f"{TYPES}/{_EXAMPLE}"])
    status: int = Field(examples=[HTTPStatus.UNPROCESSABLE_ENTITY])
    title: str = Field(description="the status in words", examples=["Unprocessable Entity"])
    meaning: str = Field(examples=["A parameter has a value that is not allowed."])
    example: str = Field(description="the `detail` of one such problem")


def _described(error: type[AppError]) -> ProblemKind:
    return ProblemKind(
        type=f"{TYPES}/{error.kind}",
        status=error.status,
        title=error.status.phrase,
        meaning=openapi.meaning(error),
        example=error.example,
    )


@router.get(TYPES)
async def problem_kinds() -> list[ProblemKind]:
    """List every kind of error, by the `type` that its responses have."""
    return [_described(error) for error in kinds().values()]


@router.get(TYPES + "/{kind}", responses=openapi.problems(NotFoundError, ParameterError))
async def problem_kind(
    kind: Annotated[str, _KIND],
) -> ProblemKind:
    """Explain one kind of error."""
    if error := kinds().get(kind):
        return _described(error)
    allowed = f"one of {', '.join(kinds())}"
    raise error_naming(NotFoundError, invalid("kind", "path", kind, allowed))
