import pytest

from app.api.drawing import require_absent
from app.errors import ParameterError


def test_parameters_that_are_none_are_absent() -> None:
    require_absent("seeds", {"from": None, "to": None})


@pytest.mark.parametrize("place", ["query", "body"])
def test_every_given_parameter_is_named(place: str) -> None:
    with pytest.raises(ParameterError) as refused:
        require_absent("seeds", {"from": 0, "to": None, "n": 3}, place)
    errors = [(one.parameter, one.place, one.value) for one in refused.value.errors]
    assert errors == [("from", place, 0), ("n", place, 3)]
    assert {one.allowed for one in refused.value.errors} == {"left out where seeds is given"}
