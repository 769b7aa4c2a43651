from collections.abc import Mapping

import pytest

from app.api.drawing import require_absent
from app.errors import InvalidParameter, ParameterError


def refused(parameters: Mapping[str, object], place: str = "query") -> list[InvalidParameter]:
    """The errors for parameters beside ``seeds``."""
    try:
        require_absent("seeds", parameters, place)
    except ParameterError as error:
        return error.errors
    return []


def test_parameters_that_are_none_are_absent() -> None:
    assert refused({"from": None, "to": None}) == []


@pytest.mark.parametrize("place", ["query", "body"])
def test_every_given_parameter_is_named(place: str) -> None:
    found = refused({"from": 0, "to": None, "n": 3}, place)
    errors = [(one.parameter, one.place, one.value) for one in found]
    assert errors == [("from", place, 0), ("n", place, 3)]
    assert {one.allowed for one in found} == {"left out where seeds is given"}
