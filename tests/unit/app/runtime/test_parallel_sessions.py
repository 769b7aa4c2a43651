import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

from app.artifact import card
from app.latent import sampling
from app.runtime import cpus
from app.runtime.parallel_sessions import Slices
from app.runtime.providers import GraphError, Placement


@pytest.fixture(scope="module")
def graph(models: Path) -> bytes:
    folder = models / "fashion-mnist/2"
    return card.load_graph(folder, card.read(folder).variant("any"))


@pytest.mark.parametrize("threads", [2, 3, 8])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 16])
def test_every_image_is_drawn_in_its_place(graph: bytes, threads: int, count: int) -> None:
    rows = sampling.from_seeds(range(count), 64)
    whole = Slices(graph, Placement("cpu", 1))
    drawn = Slices(graph, Placement("cpu", threads))(rows)
    np.testing.assert_array_equal(drawn, whole(rows))


def test_a_slice_that_fails_fails_the_batch_and_no_other(graph: bytes) -> None:
    slices = Slices(graph, Placement("cpu", 3))
    with pytest.raises(Exception, match="Got: 63 Expected: 64"):
        slices(np.zeros((6, 63), np.float32))
    assert len(slices(np.zeros((6, 64), np.float32))) == 6


def test_what_is_no_graph_has_no_slices() -> None:
    with pytest.raises(GraphError, match="cannot load the graph"):
        Slices(b"not onnx", Placement("cpu", 2))


def test_what_is_too_little_to_wake_a_thread_for_is_not_cut(graph: bytes) -> None:
    slices, before = Slices(graph, Placement("cpu", 64)), set(threading.enumerate())
    slices.measure(64)
    slices(np.zeros((1, 64), np.float32))
    assert not set(threading.enumerate()) - before
    assert len(slices(np.zeros((64, 64), np.float32))) == 64
    assert 0 < len(set(threading.enumerate()) - before) <= 63


def test_what_nobody_holds_any_more_ends_with_its_threads(graph: bytes) -> None:
    before = set(threading.enumerate())
    slices = Slices(graph, Placement("cpu", 3))
    slices(np.zeros((6, 64), np.float32))
    threads, held = set(threading.enumerate()) - before, weakref.ref(slices)
    assert threads
    del slices
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert held() is None


def test_where_the_system_tells_no_cpu_threads_go_where_they_like(
    graph: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpus, "current", lambda: None)
    assert len(Slices(graph, Placement("cpu", 2))(np.zeros((4, 64), np.float32))) == 4
