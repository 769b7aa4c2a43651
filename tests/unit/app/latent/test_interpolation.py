import math
from collections.abc import Callable

import numpy as np
import pytest

from app.latent import interpolation, sampling
from app.latent.interpolation import Easing
from app.latent.sampling import Latents, Method


@pytest.fixture
def stops() -> Latents:
    return sampling.from_seeds([3, 17, 99, 4], 100)


@pytest.mark.parametrize("method", ["slerp", "lerp"])
@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("steps", [2, 3, 8])
def test_a_path_contains_every_stop_exactly_and_once(
    stops: Latents, method: Method, count: int, steps: int
) -> None:
    path = interpolation.path(stops[:count], steps, method)
    assert path.shape == ((count - 1) * (steps - 1) + 1, 100)
    assert path.dtype == np.float32
    np.testing.assert_array_equal(path[:: steps - 1], stops[:count])
    assert len(np.unique(path, axis=0)) == len(path)
    assert interpolation.frame_count(count, steps) == len(path)


@pytest.mark.parametrize("method", ["slerp", "lerp"])
@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize("steps", [2, 3, 8])
def test_a_loop_returns_to_its_start_without_a_repeated_frame(
    stops: Latents, method: Method, count: int, steps: int
) -> None:
    loop = interpolation.path(stops[:count], steps, method, loop=True)
    assert len(loop) == count * (steps - 1) == interpolation.frame_count(count, steps, loop=True)
    assert len(np.unique(loop, axis=0)) == len(loop)
    np.testing.assert_array_equal(loop[:: steps - 1], stops[:count])
    # The last segment is the whole way back, except for its end, which is the first frame.
    back = sampling.interpolate(stops[count - 1], stops[0], np.linspace(0, 1, steps), method)
    np.testing.assert_array_equal(loop[1 - steps :], back[:-1])
    np.testing.assert_array_equal(back[-1], loop[0])


def test_a_loop_of_two_stops_goes_there_and_back(stops: Latents) -> None:
    loop = interpolation.path(stops[:2], 3, loop=True)
    assert len(loop) == 4
    np.testing.assert_allclose(loop[1], loop[3], rtol=1e-5)


def test_a_path_through_two_stops_is_their_interpolation(stops: Latents) -> None:
    there = sampling.slerp(stops[0], stops[1], np.linspace(0, 1, 8))
    np.testing.assert_array_equal(interpolation.path(stops[:2], 8), there)


EASINGS: dict[Easing, Callable[[float], float]] = {
    "linear": lambda t: t,
    "ease-in": lambda t: 1 - math.cos(t * math.pi / 2),
    "ease-out": lambda t: math.sin(t * math.pi / 2),
    "ease-in-out": lambda t: math.sin(t * math.pi / 2) ** 2,
}


@pytest.mark.parametrize("easing", EASINGS)
@pytest.mark.parametrize("steps", [2, 3, 8, 256])
def test_fractions_match_the_formula_of_their_easing_and_have_exact_ends(
    easing: Easing, steps: int
) -> None:
    fractions = interpolation.fractions(steps, easing)
    expected = [EASINGS[easing](k / (steps - 1)) for k in range(steps)]
    np.testing.assert_allclose(fractions, expected, atol=1e-15)
    assert fractions[[0, -1]].tolist() == [0, 1]
    assert (np.diff(fractions) > 0).all()


def test_easing_in_is_easing_out_reversed_and_both_are_halves_of_ease_in_out() -> None:
    there, back, both = (
        interpolation.fractions(9, e) for e in ("ease-in", "ease-out", "ease-in-out")
    )
    np.testing.assert_allclose(there, 1 - back[::-1], atol=1e-15)
    halves = [
        *interpolation.fractions(5, "ease-in") / 2,
        *(1 + interpolation.fractions(5, "ease-out")[1:]) / 2,
    ]
    np.testing.assert_allclose(both, halves, atol=1e-15)


@pytest.mark.parametrize("loop", [True, False])
@pytest.mark.parametrize("method", ["slerp", "lerp"])
@pytest.mark.parametrize("easing", EASINGS)
def test_every_segment_is_eased_and_contains_its_stops(
    stops: Latents, method: Method, easing: Easing, loop: bool
) -> None:
    path = interpolation.path(stops, 5, method, loop=loop, easing=easing)
    np.testing.assert_array_equal(path[::4], stops)
    assert len(path) == interpolation.frame_count(4, 5, loop=loop)
    segment = sampling.interpolate(stops[1], stops[2], interpolation.fractions(5, easing), method)
    np.testing.assert_array_equal(path[4:9], segment)


@pytest.mark.parametrize("easing", EASINGS)
def test_positions_are_fractions_of_the_whole_path(easing: Easing) -> None:
    first, second, third = (EASINGS[easing](t) for t in (0.25, 0.5, 0.75))
    segment = np.array([0, first, second, third])
    expected = [*(segment / 3), *((1 + segment) / 3), *((2 + segment) / 3)]
    loop = interpolation.positions(3, 5, loop=True, easing=easing)
    np.testing.assert_allclose(loop, expected, atol=1e-15)
    through = interpolation.positions(4, 5, easing=easing)
    np.testing.assert_allclose(through, [*expected, 1], atol=1e-15)


SIZES = [(2, 2), (2, 5), (5, 2), (3, 3), (8, 8)]


@pytest.mark.parametrize("method", ["slerp", "lerp"])
@pytest.mark.parametrize(("rows", "cols"), SIZES)
def test_a_planes_corners_are_exact(stops: Latents, method: Method, rows: int, cols: int) -> None:
    plane = interpolation.plane(stops, rows, cols, method)
    assert plane.shape == (rows * cols, 100)
    assert plane.dtype == np.float32
    np.testing.assert_array_equal(plane[[0, cols - 1, -cols, -1]], stops)


@pytest.mark.parametrize(("rows", "cols"), SIZES)
def test_a_plane_by_lerp_is_bilinear(stops: Latents, rows: int, cols: int) -> None:
    down = np.linspace(0, 1, rows)[:, None, None]
    across = np.linspace(0, 1, cols)[None, :, None]
    a, b, c, d = stops.astype(np.float64)
    upper, lower = (1 - across) * a + across * b, (1 - across) * c + across * d
    expected = ((1 - down) * upper + down * lower).reshape(rows * cols, 100)
    plane = interpolation.plane(stops, rows, cols, "lerp")
    np.testing.assert_allclose(plane, expected, atol=1e-6)


def test_a_plane_by_slerp_has_arcs_for_edges_and_stays_on_the_sphere(stops: Latents) -> None:
    unit = stops / np.linalg.norm(stops, axis=1, keepdims=True)
    plane = interpolation.plane(unit, 5, 7).reshape(5, 7, 100)
    np.testing.assert_allclose(np.linalg.norm(plane, axis=2), 1, rtol=1e-6)
    top_left, top_right, bottom_left, bottom_right = unit
    for edge, start, end in (
        (plane[0], top_left, top_right),
        (plane[-1], bottom_left, bottom_right),
        (plane[:, 0], top_left, bottom_left),
        (plane[:, -1], top_right, bottom_right),
    ):
        arc = sampling.slerp(start, end, np.linspace(0, 1, len(edge)))
        np.testing.assert_allclose(edge, arc, atol=1e-6)


def test_the_middle_of_an_octant_by_slerp() -> None:
    x, y, z = np.eye(3, dtype=np.float32)
    middle = interpolation.plane(np.stack([x, y, y, z]), 3, 3)[4]
    # Half-way from x to y, and from y to z: two unit vectors at 60 degrees.
    expected = np.array([1, 2, 1]) / math.sqrt(6)
    np.testing.assert_allclose(middle, expected, atol=1e-6)


def test_each_prior_has_a_method() -> None:
    assert interpolation.METHOD_BY_PRIOR == {"normal": "slerp", "uniform": "lerp"}
