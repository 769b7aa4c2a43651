import doctest
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import app
import app.model
from app.artifact.card import CardError
from app.imaging import png
from app.latent import sampling
from tests import conditional, encoding, painting, versions


@pytest.fixture(scope="module")
def shoes(tmp_path_factory: pytest.TempPathFactory) -> app.Model:
    """A model with classes, on one thread."""
    return _published("shoes", tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> app.Model:
    """A model that is conditional on attributes."""
    return _published("people", tmp_path_factory.mktemp("models"))


def _published(name: str, models: Path) -> app.Model:
    conditional.publish(name, models)
    encoding.add(models / name / "1")
    return app.load(models / name, provider="cpu", threads=1)


def test_the_doctests_hold(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    readme = doctest.testfile(str(root / "app" / "README.md"), module_relative=False)
    for found in (doctest.testmod(app.model), readme):
        assert found.attempted >= 9
        assert found.failed == 0


def test_importing_the_package_loads_nothing(root: Path) -> None:
    program = "import sys, app; print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=root, check=True, capture_output=True, text=True
    )
    loaded = ended.stdout.split()
    assert "app" in loaded
    assert not {"numpy", "pydantic", "onnxruntime", "app.model"} & {*loaded}
    with pytest.raises(AttributeError, match="'app' has no attribute 'lod'"):
        _ = app.lod  # type: ignore[attr-defined]


def test_loading_needs_no_web_framework(root: Path) -> None:
    program = "import sys, app; app.load('models/digits'); print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=root, check=True, capture_output=True, text=True
    )
    assert not {"fastapi", "starlette", "uvicorn", "torch"} & {*ended.stdout.split()}


def test_the_highest_version_or_the_one_that_is_named_is_loaded(tmp_path: Path) -> None:
    for number in (2, 10):
        versions.publish(tmp_path, "cats", number)
    highest = app.load(str(tmp_path / "cats"), provider="cpu")
    assert (highest.card.version, highest.provider) == (10, "cpu")
    assert repr(highest) == "<Model cats/10, 2×2×1>"
    assert (highest.sample([7]) == 10).all()
    assert (app.load(tmp_path / "cats" / "2").sample([7]) == 2).all()


def test_the_environment_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    versions.publish(tmp_path, "cats", 1)
    monkeypatch.setenv("DCGAN_PROVIDER", "tensorrt")
    monkeypatch.setenv("DCGAN_MODELS", "nowhere")
    assert app.load(tmp_path / "cats", provider="cpu").provider == "cpu"


def test_a_folder_without_a_version_is_named(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"/cats: does not exist; name a model"):
        app.load(tmp_path / "cats")
    with pytest.raises(CardError, match=rf"^{tmp_path}: holds no version, such as 1; name a"):
        app.load(tmp_path)
    folder = versions.publish(tmp_path, "cats", 1)
    (folder / "generator.onnx").write_bytes(b"")
    with pytest.raises(CardError, match=r"/cats/1/generator.onnx: has SHA-256"):
        app.load(folder)
    with pytest.raises(CardError, match=r"/generator.onnx: is no folder; name a model"):
        app.load(folder / "generator.onnx")
    with pytest.raises(ValueError, match="provider is 'abacus': Input should be 'auto', 'cpu'"):
        app.load(folder, provider="abacus")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="threads is -1: Input should be greater"):
        app.load(folder, threads=-1)


def test_seeds_determine_latents_and_classes(shoes: app.Model) -> None:
    seeds = [*range(3 * app.model.BATCH)]
    sampler = shoes.card.sampler
    assert sampler
    latents = sampling.from_seeds(seeds, conditional.WIDTH)
    expected = conditional.expected(latents, sampler.from_seeds(seeds))
    np.testing.assert_array_equal(shoes.sample(seeds), expected)
    np.testing.assert_array_equal(shoes.latents(seeds), latents)
    np.testing.assert_array_equal(shoes.latents(seeds, truncation=0.5), latents / 2)
    np.testing.assert_array_equal(
        shoes.sample(np.arange(2), truncation=0.5),
        conditional.expected(latents[:2] / 2, sampler.from_seeds(seeds[:2])),
    )


@pytest.mark.parametrize(
    ("classes", "rows"),
    [
        ("sneaker", [[0, 1, 0, 0]]),
        (2, [[0, 0, 1, 0]]),
        (np.int64(2), [[0, 0, 1, 0]]),
        ("boot,0", [[1, 0, 0, 0], [0, 0, 0, 1]]),
        (["Boot", 1], [[1, 0, 0, 0], [0, 1, 0, 0]]),
        (np.array([2, 1]), [[0, 0, 1, 0], [0, 1, 0, 0]]),
        ({"boot": 1, "sneaker": 3}, [[0.25, 0.75, 0, 0]]),
        ({2: 1, np.int64(1): 3}, [[0, 0.75, 0.25, 0]]),
        ({"Boot": 1, 1: 3}, [[0.25, 0.75, 0, 0]]),
        (np.array(2), [[0, 0, 1, 0]]),
        (["boot:0.5+sneaker:0.5", {"t-shirt": 1}], [[0.5, 0.5, 0, 0], [0, 0, 1, 0]]),
    ],
)
def test_images_have_the_classes_that_are_named_in_turn(
    shoes: app.Model, classes: Any, rows: list[list[float]]
) -> None:
    seeds = [5, 6, 7]
    turns = np.float32([rows[k % len(rows)] for k in range(3)])
    expected = conditional.expected(shoes.latents(seeds), turns)
    np.testing.assert_array_equal(shoes.sample(seeds, classes=classes), expected)
    np.testing.assert_array_equal(shoes.generate(shoes.latents(seeds), classes=classes), expected)


@pytest.mark.parametrize(
    "attributes", [{"Glasses": 1, "smile": 0.5}, "glasses,smile:0.5", ["smile:0.5", "glasses"]]
)
def test_images_have_the_attributes_that_are_named(people: app.Model, attributes: Any) -> None:
    seeds = [*range(8)]
    sampler = people.card.sampler
    assert sampler
    rows = sampler.from_seeds(seeds)
    rows[:, 0], rows[:, 3] = 1, 0.5
    expected = conditional.expected(people.latents(seeds), rows)
    np.testing.assert_array_equal(people.sample(seeds, attributes=attributes), expected)


def test_an_edit_moves_the_latents(people: app.Model) -> None:
    moved = people.latents([1, 2])
    moved[:, 0] += 1.5
    sampler = people.card.sampler
    assert sampler
    expected = conditional.expected(moved, sampler.from_seeds([1, 2]))
    np.testing.assert_array_equal(people.edit([1, 2], {"hat": 1.5}), expected)
    np.testing.assert_array_equal(people.sample([1, 2], edit={"hat": 1.5}), expected)


def test_latents_without_classes_have_the_most_frequent_one(shoes: app.Model) -> None:
    latents = np.zeros((2, conditional.WIDTH))
    images = shoes.generate(latents.tolist())
    boot = np.float32([[1, 0, 0, 0]] * 2)
    np.testing.assert_array_equal(images, conditional.expected(np.float32(latents), boot))


def test_a_path_passes_through_its_seeds_once(shoes: app.Model) -> None:
    stops = shoes.sample([3, 1, 4], classes=["boot", "sneaker"])
    frames = shoes.interpolate([3, 1, 4], 5, classes=["boot", "sneaker"])
    assert frames.shape == (9, 3, 4, 1)
    np.testing.assert_array_equal(frames[::4], stops)
    assert frames[2, 0, :2, 0].tolist() == [100, 100]  # half of each class
    loop = shoes.interpolate([3, 1, 4], 5, loop=True, easing="ease-in-out", method="lerp")
    np.testing.assert_array_equal(loop[::4], shoes.sample([3, 1, 4]))


Call = Callable[[app.Model], object]
IMAGE = np.zeros((9, 9), np.uint8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.sample([]), r"seeds are \[\] but must be 1 or more"),
        (lambda m: m.sample([2**32]), "seeds has 4294967296 but must be from 0 to 4294967295"),
        (lambda m: m.sample([-1]), "seeds has -1 but must be from 0"),
        (lambda m: m.interpolate([1]), r"seeds are \[1\] but must be 2 or more"),
        (lambda m: m.interpolate([1, 2], 1), "steps is 1 but must be 2 or more"),
        (lambda m: m.interpolate([1, 2], method="x"), "method is 'x' but must be one of slerp, "),
        (lambda m: m.interpolate([1, 2], easing="x"), "easing is 'x' but must be one of linear, "),
        (lambda m: m.sample([1], truncation=0), "truncation is 0 but must be above 0 and at most"),
        (lambda m: m.latents([1], truncation=float("nan")), "truncation is nan but must be above"),
        (lambda m: m.sample([1], classes="hat"), "classes is 'hat' but must be one of boot, "),
        (lambda m: m.sample([1], classes=9), "classes is '9' but must be one of boot, "),
        (lambda m: m.sample([1], classes=[0, 1]), "classes is '0,1' but must be one class, as"),
        (lambda m: m.sample([1], classes="a b:"), "classes has 'a b:': write a name, an index"),
        (lambda m: m.sample([1], classes={"boot": 0}), "classes has .*: at least one weight"),
        (lambda m: m.sample([1], classes={1: 1, "1": 1}), "classes has .*: a mixture names every"),
        (lambda m: m.sample([1], attributes="hat"), "attributes is 'hat' but must be left out: "),
        (lambda m: m.sample([1], attributes=["a:2"]), "attributes has 'a:2' but must be name, "),
        (
            lambda m: m.sample([1], attributes={"a": 1, "A": 0}),
            "attributes are .*: every attribute",
        ),
        (lambda m: m.sample([1], attributes="a,-a"), "attributes are a,-a: every attribute is"),
        (lambda m: m.sample([1], attributes={"a": 2}), "attributes has a 2 but must be from 0"),
        (lambda m: m.edit([1], {"hat": 6}), "edit has hat 6 but must be from -5 to 5"),
        (lambda m: m.edit([1], {"cat": 1}), "edit is 'cat' but must be "),
        (lambda m: m.generate([[1, 2]]), r"latents has the shape \(1, 2\) but must have \(n, 8\)"),
        (lambda m: m.generate([[float("nan")] * 8]), "latents has numbers that are not finite"),
        (lambda m: m.generate("x"), r"latents must be numbers \(n, width\): could not"),
    ],
)
def test_an_argument_that_is_not_allowed_is_named(
    shoes: app.Model, call: Call, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        call(shoes)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.sample(7), "seeds is 7 but must be several integers, such as range"),
        (lambda m: m.sample([1.5]), "seeds must be integers: 'float'"),
        (lambda m: m.sample([1], classes=1.5), "classes has 1.5 but must be a name, an index"),
        (lambda m: m.sample([1], classes={"boot"}), "classes has {'boot'} but must be a name"),
        (lambda m: m.sample([1], classes=np.eye(4)), "classes has array.* but must be a name"),
        (lambda m: m.sample([1], classes={"boot": "x"}), "classes has {'boot': 'x'} but must be"),
        (lambda m: m.sample([1], classes={1.5: 1}), "classes has {1.5: 1} but must be a name"),
        (lambda m: m.sample([1], attributes={1: 1}), "attributes has 1 but must be values by name"),
        (lambda m: m.sample([1], attributes={"a": "x"}), "attributes has a 'x' but must be a num"),
        (lambda m: m.sample([1], attributes=[1]), "attributes has 1 but must be name, -name or"),
        (lambda m: m.sample([1], attributes=1), "attributes has 1 but must be name, -name or"),
        (lambda m: m.sample([1], attributes=np.eye(2)), "attributes has array.* but must be name"),
        (lambda m: m.sample([1], edit="hat:1"), "edit is 'hat:1' but must be strengths by name"),
        (lambda m: m.sample([1], edit={"hat": "1"}), "edit has hat '1' but must be a number"),
        (lambda m: m.sample([1], truncation="1"), "truncation is '1' but must be a number"),
        (lambda m: m.interpolate([1, 2], 2.5), "steps is 2.5 but must be an integer"),
        (lambda m: m.encode([IMAGE], refine=1.5), "refine is 1.5 but must be an integer"),
        (lambda m: m.sample([1], class_="boot"), "unexpected keyword argument 'class_'"),
    ],
)
def test_an_argument_of_another_type_is_named(shoes: app.Model, call: Call, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call(shoes)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.encode([]), "images has none but must have 1 or more"),
        (lambda m: m.encode(IMAGE), r"images has the shape \(9, 9\) but must have \(n, height, wi"),
        (
            lambda m: m.encode([IMAGE, b"text"]),
            r"images\[1\] is 4 bytes of another format but",
        ),
        (
            lambda m: m.encode([b"\x89PNG"]),
            r"images\[0\] is a truncated or damaged PNG file but",
        ),
        (
            lambda m: m.encode([IMAGE / 255]),
            r"images\[0\] is an array of float64 of shape \(9, 9\) but must be uint8 of shape",
        ),
        (
            lambda m: m.encode([np.zeros((3, 9, 9), np.uint8)]),
            r"images\[0\] is an array of uint8 of shape \(3, 9, 9\) but must be uint8 of shape",
        ),
        (lambda m: m.encode([IMAGE], refine=101), "refine is 101 but must be from 0 to 100"),
        (lambda m: m.encode([IMAGE], invert="yes"), "invert is 'yes' but must be True, False or"),
        (lambda m: m.encode([IMAGE], classes="hat"), "classes has 'hat'|classes is 'hat'"),
    ],
)
def test_what_cannot_be_encoded_is_named(shoes: app.Model, call: Call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(shoes)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.encode("a.png"), r"images is 'a.png' but must be several, such as \['photo.j"),
        (lambda m: m.encode(7), "images is 7 but must be several"),
        (
            lambda m: m.encode([7]),
            r"images\[0\] is 7 but must be a path, the content of a file",
        ),
    ],
)
def test_images_of_another_type_are_named(shoes: app.Model, call: Call, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call(shoes)


def test_a_file_that_is_missing_or_damaged_is_named(shoes: app.Model, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.png"):
        shoes.encode([tmp_path / "nothing.png"])
    whole = png.encode(np.zeros((64, 64, 1), np.uint8))
    damaged = whole.replace(b"IDAT", b"IDAT\xff\xff")
    with pytest.raises(ValueError, match=r"images\[0\] is a .*damaged PNG file but must be a comp"):
        shoes.encode([damaged])


def test_images_have_any_size_and_opacity(shoes: app.Model) -> None:
    random = np.random.default_rng(0)
    shapes = ((50, 70), (7, 5, 1), (40, 40, 3), (33, 20, 4))
    found = shoes.encode([random.integers(0, 256, shape, np.uint8) for shape in shapes])
    count, card = len(shapes), shoes.card
    assert found.latents.shape == (count, card.latent.width)
    assert found.pixels.shape == (count, *card.image.shape)
    assert (found.latents.dtype, found.pixels.dtype) == (np.float32, np.uint8)
    assert found.errors.shape == found.inverted.shape == (count,)
    np.testing.assert_array_equal(
        shoes.generate(found.latents, classes=found.conditions), found.pixels
    )


def test_a_model_without_an_encoder_says_how_to_make_one(tmp_path: Path) -> None:
    painting.publish("plain", tmp_path)
    plain = app.load(tmp_path / "plain", provider="cpu", threads=1)
    with pytest.raises(ValueError, match="plain/1 has no encoder; `python -m training encoder mod"):
        plain.encode([IMAGE])
