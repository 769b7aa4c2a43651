"""Lists in a query, which it may have in several parts. Other parameters are given once."""

from contextlib import suppress
from functools import cache

from pydantic import BaseModel
from starlette.datastructures import QueryParams

from app.errors import invalid, parameter_error


def split(received: object) -> object:
    """The values of a list: the parameter may be repeated, and commas separate values within it.

    What is not text, as in a JSON body, is returned unchanged.
    """
    if isinstance(received, str):
        return received.split(",")
    if isinstance(received, list) and received:
        with suppress(TypeError):  # not all of them are text
            return ",".join(received).split(",")
    return received


@cache
def lists(model: type[BaseModel]) -> frozenset[str]:
    """The parameters of ``model`` that are lists."""
    properties = model.model_json_schema()["properties"].items()
    return frozenset(
        name
        for name, schema in properties
        if any(one.get("type") == "array" for one in schema.get("anyOf", [schema]))
    )


@cache
def _single(model: type[BaseModel]) -> frozenset[str]:
    """The parameters of ``model`` that have one value."""
    return frozenset(model.model_json_schema()["properties"]) - lists(model)


def check_repeated(query: QueryParams, model: type[BaseModel]) -> None:
    """Raise ParameterError if a parameter of ``model`` that is no list is given twice."""
    if len(query.multi_items()) == len(query):
        return
    given = {name: query.getlist(name) for name in query if name in _single(model)}
    repeated = {name: values for name, values in given.items() if len(values) > 1}
    if repeated:
        raise parameter_error(
            *(invalid(name, "query", values, "given once") for name, values in repeated.items())
        )
