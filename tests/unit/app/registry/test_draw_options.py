import numpy as np

from app.latent.edits import Edit
from app.registry.draw_options import DEFAULT, DrawOptions


def test_defaults_are_no_parameters() -> None:
    assert DEFAULT.parameters == {}


def test_parameters_are_in_a_fixed_order_and_as_short_as_possible() -> None:
    vectors = {"glasses": np.ones(2), "beard": np.zeros(2)}
    edit = Edit.from_directions(vectors, {"glasses": 2.0, "beard": -1.50})
    options = DrawOptions(scale=2, truncation=0.70, edit=edit)
    assert list(options.parameters.items()) == [
        ("edit", "beard:-1.5,glasses:2"),
        ("truncation", "0.7"),
        ("scale", "2"),
    ]
