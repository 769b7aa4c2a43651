"""What a conditional generator draws, compared with what was requested of it."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from app.artifact import card
from app.artifact.card import Card, DataSet, Image, ImageClass, Latent, Training, Variant
from app.latent.conditions import AttributeSampler, ClassSampler
from training.__main__ import main
from training.data import idx
from training.errors import EvaluationError
from training.evaluation import agreement, distances, features, labelled_data, loaded_model
from training.evaluation.agreement import Labelled
from training.evaluation.features import AVATARS, FASHION_MNIST, Extracted
from training.evaluation.labelled_data import LabelledImages
from training.evaluation.loaded_model import LoadedModel
from training.evaluation.records import EvaluationRecord, Figure
from training.gan.pixels import to_pixels

INSTALLED = idx.FASHION_MNIST.installed
CPU = torch.device("cpu")
TWO = replace(FASHION_MNIST, names=("shirt", "bag"))
THREE = replace(AVATARS, names=("hat", "beard", "glasses"))


def classes(seen: list[int], labels: list[int], offset: float = 0.0) -> Labelled:
    """Images with two random features, around the number of their label."""
    noise = np.random.default_rng(len(seen)).normal(size=(len(seen), 2))
    numbers = np.array(labels)
    around = (noise + 10 * numbers[:, None] + offset).astype(np.float32)
    return Labelled(Extracted(around, np.array(seen)), numbers)


# Figures in closed form.


def test_class_agreement_is_the_share_of_images_seen_as_requested() -> None:
    test = classes([0, 0, 0, 1, 1, 1, 1, 0], [0, 0, 0, 0, 1, 1, 1, 1])
    fake = classes([0, 0, 1, 1, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    found = agreement.measure(test, test, fake, TWO)
    overall = found.metrics["class_agreement"]
    assert (overall.value, overall.floor) == (0.8, 0.75)
    assert overall.protocol.endswith("; worst: shirt, 0.5")
    assert overall.for_card().protocol.endswith(
        "; 0.75 for the test images and their true labels, the accuracy of the classifier"
    )
    assert found.by_name["shirt"]["agreement"] == Figure(value=0.5, floor=0.75)
    assert found.by_name["bag"]["agreement"] == Figure(value=1.0, floor=0.75)


def test_distance_and_recall_are_those_of_the_images_of_each_class() -> None:
    labels = [k % 2 for k in range(60)]
    train, test = classes(labels, labels), classes(labels[:40], labels[:40])
    fake = classes(labels[:20], labels[:20], offset=0.5)
    found = agreement.measure(train, test, fake, TWO)
    for k, name in enumerate(TWO.names):
        real, generated, training = (
            images.extracted.features[images.labels == k] for images in (test, fake, train)
        )
        figures = found.by_name[name]
        assert figures["fd_cnn"].value == distances.frechet(real, generated)
        assert figures["fd_cnn"].floor == distances.frechet(real, training[:10])
        assert figures["recall"].value == distances.precision_recall(real, generated).recall
        assert figures["recall"].floor == distances.precision_recall(real, training[:10]).recall
    for figure, worst in (("fd_cnn", max), ("recall", min)):
        values = [figures[figure].value for figures in found.by_name.values()]
        metric = found.metrics[f"class_{figure}"]
        assert metric.value == pytest.approx(np.mean(values))
        assert metric.protocol.endswith(f", {worst(values):.4g}")


def test_images_of_swapped_classes_are_far_from_their_own_class_only() -> None:
    labels = [k % 2 for k in range(200)]
    test = classes(labels, labels)
    swapped = classes([1 - k for k in labels], [1 - k for k in labels])
    fake = Labelled(swapped.extracted, test.labels)
    found = agreement.measure(test, test, fake, TWO)
    assert found.metrics["class_agreement"].value == 0
    assert found.metrics["class_fd_cnn"].value == pytest.approx(200, rel=0.1)
    assert found.metrics["class_recall"].value == 0


def test_a_class_with_too_few_images_has_fewer_figures() -> None:
    many = [0] * 20
    test = classes([*many, 1, 1, 1], [*many, 1, 1, 1])
    found = agreement.measure(test, test, classes(many, many), TWO)
    assert found.by_name["bag"] == {}
    assert found.metrics["class_fd_cnn"].value == found.by_name["shirt"]["fd_cnn"].value
    two = classes([*many, 1, 1], [*many, 1, 1])
    assert agreement.measure(test, test, two, TWO).by_name["bag"].keys() == {"agreement", "fd_cnn"}
    few = classes([0, 1], [0, 1])
    assert agreement.measure(few, few, few, TWO).metrics.keys() == {"class_agreement"}


def test_attribute_agreement_counts_what_was_requested_and_what_was_not() -> None:
    def faces(seen: list[list[int]], labels: list[list[int]]) -> Labelled:
        table = np.array(seen, dtype=bool)
        return Labelled(
            Extracted(np.zeros((len(seen), 2), np.float32), table), np.array(labels, dtype=bool)
        )

    requested = [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]]
    fake = faces([[1, 0, 1], [0, 0, 0], [0, 1, 0], [0, 0, 0]], requested)
    test = faces(requested, requested)
    found = agreement.measure(test, test, fake, THREE)
    assert found.by_name == {
        "hat": {
            "agreement": Figure(value=0.75, floor=1),
            "requested": Figure(value=0.5, floor=1),
            "excluded": Figure(value=1, floor=1),
        },
        "beard": {
            "agreement": Figure(value=1, floor=1),
            "requested": Figure(value=1, floor=1),
            "excluded": Figure(value=1, floor=1),
        },
        "glasses": {
            "agreement": Figure(value=0.75, floor=1),
            "excluded": Figure(value=0.75, floor=1),
        },
    }
    assert found.metrics.keys() == {"attribute_agreement"}
    overall = found.metrics["attribute_agreement"]
    assert (overall.value, overall.floor) == (pytest.approx(10 / 12), 1)
    assert overall.protocol.endswith("; worst: hat, 0.75")


# Some of the classes.


def test_a_restricted_network_chooses_among_some_classes_by_the_same_features() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 1, 28, 28), dtype=np.uint8)
    network = features.load(FASHION_MNIST)
    whole = features.extract(network, pixels, FASHION_MNIST)
    names = ("bag", "shirt", "coat")
    limited, spec = features.restricted(network, FASHION_MNIST, names)
    found = features.extract(limited, pixels, spec)
    assert spec.names == names
    np.testing.assert_array_equal(found.features, whole.features)
    with torch.no_grad():
        logits = network.get_submodule("head")(torch.from_numpy(whole.features))
    np.testing.assert_array_equal(found.labels, logits[:, [8, 6, 4]].argmax(dim=1).numpy())
    same, spec = features.restricted(network, FASHION_MNIST, FASHION_MNIST.names)
    assert (same, spec) == (network, FASHION_MNIST)


def test_a_class_that_the_network_does_not_know_is_refused() -> None:
    network = features.load(FASHION_MNIST)
    with pytest.raises(EvaluationError, match=r"fashion-mnist.pt does not know sock, only t-shirt"):
        features.restricted(network, FASHION_MNIST, ("sock", "bag"))


def test_the_images_of_some_classes_are_numbered_anew() -> None:
    pixels = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1)
    images = LabelledImages(pixels, np.array([8, 6, 0, 8, 1], np.uint8))
    found = labelled_data.of_names(images, FASHION_MNIST, ("bag", "t-shirt"))
    assert found.pixels.ravel().tolist() == [0, 2, 3]
    assert found.labels.tolist() == [0, 1, 0]


# Drawing with conditions.


def model(sampler: ClassSampler | AttributeSampler | None, **others: object) -> LoadedModel:
    """A generator in PyTorch that shows its first four inputs, the conditions first."""
    width = len(sampler.names) if sampler else 0
    network = torch.nn.Sequential(torch.nn.Linear(3 + width, 4, bias=False), torch.nn.Flatten())
    weights = np.eye(4, 3 + width, dtype=np.float32)[:, ::-1].copy()
    network[0].load_state_dict({"weight": torch.from_numpy(weights)})
    network.append(torch.nn.Unflatten(1, (1, 2, 2)))
    made = LoadedModel(
        title="tiny",
        dataset="fashion-mnist",
        image_shape=(1, 2, 2),
        latent=Latent(width=3, prior="uniform"),
        draw=lambda rows: to_pixels(network, torch.from_numpy(rows)),
        sampler=sampler,
    )
    return replace(made, **others)


def test_every_seed_is_drawn_with_its_own_class() -> None:
    sampler = ClassSampler(("shirt", "bag"), (0.25, 0.75))
    conditional = model(sampler)
    seeds = range(5, 1005)
    rows = conditional.rows(seeds)
    assert (rows.shape, rows.dtype) == ((1000, 5), np.float32)
    np.testing.assert_array_equal(rows[:, :3], conditional.latents(seeds))
    np.testing.assert_array_equal(rows[:, 3:], sampler.from_seeds(seeds))
    assert rows[:, 4].mean() == pytest.approx(0.75, abs=0.05)
    images = conditional.images(1000, seed=5)
    assert ((images[:, 0, 0, 0] == 255) == (rows[:, 4] == 1)).all()  # the last input comes first


def test_without_conditions_the_rows_are_the_latents() -> None:
    plain = model(None)
    np.testing.assert_array_equal(plain.rows(range(3)), plain.latents(range(3)))


# The command, on a version whose images are real ones.

WIDTH, KINDS = 12, 10

needs_clothes = pytest.mark.skipif(
    INSTALLED is None or not INSTALLED.is_dir(),
    reason=f"Fashion-MNIST is not installed in {INSTALLED}",
)


def album(table: NDArray[np.uint8]) -> bytes:
    """A generator of images from ``table`` ``(KINDS, WIDTH, 28, 28, 1)``.

    The class chooses the row, the largest number of the latent the column.
    """
    constants = {"table": table.reshape(-1, 28, 28, 1), "width": np.array(table.shape[1])}
    nodes = [
        helper.make_node("ArgMax", ["classes"], ["row"], axis=1, keepdims=0),
        helper.make_node("ArgMax", ["latents"], ["column"], axis=1, keepdims=0),
        helper.make_node("Mul", ["row", "width"], ["start"]),
        helper.make_node("Add", ["start", "column"], ["place"]),
        helper.make_node("Gather", ["table", "place"], ["pixels"]),
    ]
    graph = helper.make_graph(
        nodes,
        "album",
        [
            helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["n", WIDTH]),
            helper.make_tensor_value_info("classes", TensorProto.FLOAT, ["n", len(table)]),
        ],
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 28, 28, 1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(made, card.metadata("album", 1))
    content: bytes = made.SerializeToString()
    return content


def publish(folder: Path, data: Path, names: tuple[str, ...], rotate: int = 0) -> Path:
    """A version that draws training images of the classes ``names``, or of others by ``rotate``."""
    pixels, labels = idx.labelled(idx.FASHION_MNIST, data)
    numbers = [idx.FASHION_MNIST.classes.index(name) for name in names]
    shown = numbers[rotate:] + numbers[:rotate]
    table = np.stack([pixels[labels == number][:WIDTH, 0, :, :, None] for number in shown])
    content = album(table)
    folder.mkdir(parents=True)
    (folder / "generator.onnx").write_bytes(content)
    made = Card(
        name="album",
        version=1,
        created=datetime.now(UTC),
        latent=Latent(width=WIDTH, prior="normal"),
        image=Image(height=28, width=28, channels=1),
        opset=17,
        variants=[Variant(file="generator.onnx", sha256=card.digest(content))],
        dataset=DataSet(name="fashion-mnist", licence="MIT", images=None),
        training=Training(options={}, epochs=0, steps=0, seconds=0, device="none"),
        metrics={},
        libraries={},
        classes=[ImageClass(name=name, share=1 / len(names)) for name in names],
    )
    card.write(made, folder)
    return folder


@pytest.fixture(scope="module")
def data(
    tmp_path_factory: pytest.TempPathFactory, encode: Callable[[NDArray[np.uint8]], bytes]
) -> Path:
    """The first 600 images of Fashion-MNIST of either split."""
    folder = tmp_path_factory.mktemp("data")
    for split in ("train", "t10k"):
        pixels, labels = idx.labelled(idx.FASHION_MNIST, INSTALLED or Path(), split)
        (folder / f"{split}-images-idx3-ubyte").write_bytes(encode(pixels[:600, 0]))
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(encode(labels[:600]))
    return folder


def evaluated(folder: Path, data: Path, samples: int) -> EvaluationRecord:
    out = folder.parent / "evaluation.json"
    flags = [f"--data-dir={data}", f"--samples={samples}", "--device=cpu", f"--out={out}"]
    assert main(["evaluate", str(folder), *flags]) == 0
    record = EvaluationRecord.read(out)
    assert record is not None
    return record


@needs_clothes
@pytest.mark.parametrize(("rotate", "least", "most"), [(0, 0.85, 1.0), (1, 0.0, 0.1)])
def test_a_version_is_drawn_with_the_classes_of_its_seeds(
    tmp_path: Path,
    data: Path,
    capsys: pytest.CaptureFixture[str],
    rotate: int,
    least: float,
    most: float,
) -> None:
    folder = publish(tmp_path / "album" / "1", data, idx.FASHION_MNIST.classes, rotate)
    found = evaluated(folder, data, 120)
    assert least <= found.metrics["class_agreement"].value <= most
    assert found.metrics["class_agreement"].floor == pytest.approx(0.94, abs=0.02)
    assert found.conditions.keys() == set(idx.FASHION_MNIST.classes)
    output = capsys.readouterr().out
    assert "agreement (real)" in output
    for name, figures in found.conditions.items():
        cells = [f"{figure.value:.4f} ({figure.floor:.4f})" for figure in figures.values()]
        line = f"{name:20}" + "".join(f"{cell:>22}" for cell in cells)
        assert f"\n{line}\n" in output


@needs_clothes
def test_a_generator_of_some_classes_is_compared_with_images_of_these(
    tmp_path: Path, data: Path
) -> None:
    folder = publish(tmp_path / "album" / "1", data, ("bag", "trouser"))
    found = evaluated(folder, data, 100)
    labels = idx.labels(data, "t10k")
    assert found.test_images == np.isin(labels, [8, 1]).sum()
    assert list(found.class_shares) == list(found.conditions) == ["bag", "trouser"]
    assert found.metrics["class_agreement"].value > 0.95
    assert found.metrics["class_kl"].value < 0.05


@needs_clothes
def test_the_card_of_an_unconditional_generator_says_on_which_classes_it_was_trained(
    tmp_path: Path, data: Path
) -> None:
    folder = publish(tmp_path / "album" / "1", data, ("bag", "trouser"))
    described = json.loads((folder / "card.json").read_text())
    described["training"]["options"] = {"classes": "bag,trouser"}
    described["classes"] = None
    (folder / "card.json").write_text(json.dumps(described))
    found = loaded_model.load(folder, CPU)
    assert (found.sampler, found.classes) == (None, ("bag", "trouser"))
