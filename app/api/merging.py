"""Parameters that a request may have in its query or in its JSON body."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from app.api.parameters import GenerateQuery, Parameters
from app.errors import AppError, invalid, parameter_error


def merged(query: GenerateQuery, body: Parameters, names: frozenset[str]) -> GenerateQuery:
    """``query`` with the values that ``body`` has for any of ``names``.

    ``names`` are fields of both, with the same types. Raises ParameterError for a field that the
    request has in both places, even with equal values. ``query`` itself is not changed.
    """
    given = _given(body, names)
    if not given:
        return query
    both = query.model_fields_set & given.keys()
    if both:
        allowed = "left out where the body has it: in the query or in the body, not in both"
        values = {name: getattr(query, name) for name in sorted(both)}
        raise parameter_error(
            *(invalid(name, "query", value, allowed) for name, value in values.items())
        )
    values = {name: getattr(query, name) for name in query.model_fields_set} | given
    return GenerateQuery.model_construct(**values)


@contextmanager
def located(body: Parameters, names: frozenset[str]) -> Iterator[None]:
    """Errors raised inside have the place "body" for any of ``names`` that ``body`` has."""
    given = _given(body, names)
    try:
        yield
    except AppError as error:
        for refused in error.errors:
            if refused.parameter in given:
                refused.place = body.place
        raise


def _given(body: Parameters, names: frozenset[str]) -> dict[str, object]:
    """The values that ``body`` has for any of ``names``; null counts as absent."""
    values = {name: getattr(body, name) for name in names & body.model_fields_set}
    return {name: value for name, value in values.items() if value is not None}


def without_defaults(schema: dict[str, Any]) -> None:
    """Move the defaults in ``schema``, which is that of an object, into its descriptions.

    Generated clients would send a default, which would contradict another value in the body.
    """
    for described in schema.get("properties", {}).values():
        _in_words(described, described)


def query_without_defaults(parameters: list[dict[str, Any]]) -> None:
    """``without_defaults`` of the parameters of an operation in OpenAPI."""
    for parameter in parameters:
        _in_words(parameter["schema"], parameter)


def _in_words(schema: dict[str, Any], described: dict[str, Any]) -> None:
    default = schema.pop("default", None)
    if default not in (None, {}):
        described["description"] += f"; default: {default:g}"
