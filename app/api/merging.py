"""Parameters that a request may have in its query or in its JSON body.

Each endpoint that takes them so has two models of the same fields: one for the query, in which all
values are text, and one for the body, in which lists may also have latents. A route gets one object
of the latter, wherever the request has its parameters; errors name the place of each.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar, cast

from fastapi import Request, Response

from app.api import direct_route
from app.api.bodies import EditBody
from app.api.direct_route import RefusedParametersError
from app.api.drawing import RouteContext, route_context
from app.api.parameters import Parameters
from app.errors import AppError, invalid, parameter_error

Given = TypeVar("Given", bound=EditBody)


async def answer(
    request: Request,
    in_query: type[Parameters],
    in_body: type[Given],
    respond: Callable[[RouteContext, Given], Awaitable[Response]],
) -> Response:
    """What ``respond`` returns for the parameters of ``request``.

    ``GET`` has them in the query, ``POST`` there or in the body. Raises ParameterError if one is
    given twice, RefusedParametersError, and the errors of ``parse_body`` and of ``respond``.
    """
    route = route_context(request)
    body = None
    if request.method == "POST" and route.request.has_body:
        query = direct_route.parse_query(request, in_query)
        body = await direct_route.parse_body(request, in_body)
    if body is None:
        text: bytes = request.scope["query_string"]
        if len(text) <= direct_route.SHORT:
            return await respond(route, _remembered(in_query, in_body, text))
        return await respond(route, _of_query(in_query, in_body, text))
    given = _merged(query, body)
    with _located(query):
        return await respond(route, given)


def _of_query(in_query: type[Parameters], in_body: type[Given], text: bytes) -> Given:
    """The parameters of a request without a body; equal requests share the object."""
    query = direct_route.query_of(in_query, text)
    if direct_route.needs_body(in_body):
        missing = {"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}
        raise RefusedParametersError([missing], {"body": in_body})
    return cast("Given", in_body.model_construct(**_in_json(query)))


_remembered = lru_cache(direct_route.REMEMBERED)(_of_query)


def _merged(query: Parameters, body: Given) -> Given:
    """The parameters of both. Raises ParameterError for one that both have, even if equal."""
    if not query.model_fields_set:
        return body
    given = {name: getattr(body, name) for name in body.model_fields_set}
    twice = sorted(query.model_fields_set & given.keys())
    if twice:
        allowed = "left out where the body has it: in the query or in the body, not in both"
        raise parameter_error(
            *(invalid(_named(query, one), "query", _text(query, one), allowed) for one in twice)
        )
    return cast("Given", type(body).model_construct(**_in_json(query), **given))


def _in_json(query: Parameters) -> dict[str, Any]:
    """The values in ``query`` as a body has them."""
    return {name: getattr(query, query.in_json.get(name, name)) for name in query.model_fields_set}


def _text(query: Parameters, field: str) -> object:
    """The value of a field; a list as it is in the query."""
    value = getattr(query, field)
    return ",".join(map(str, value)) if isinstance(value, list) else value


def _named(parameters: Parameters, field: str) -> str:
    """The name of a field in requests."""
    return type(parameters).model_fields[field].alias or field


@contextmanager
def _located(query: Parameters) -> Iterator[None]:
    """Errors raised inside have the place "body" for what is not in ``query``."""
    try:
        yield
    except AppError as error:
        in_query = {_named(query, field) for field in query.model_fields_set}
        for refused in error.errors:
            if refused.place == "query" and refused.parameter.partition(".")[0] not in in_query:
                refused.place = "body"
        raise
