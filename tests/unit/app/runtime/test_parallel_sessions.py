import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

from app.artifact import card
from app.latent import sampling
from app.runtime import cpu_affinity
from app.runtime.arrays import zeros
from app.runtime.parallel_sessions import ParallelSessions
from app.runtime.providers import GraphError, Placement
from tests import conditional


@pytest.fixture(scope="module")
def graph(models: Path) -> bytes:
    folder = models / "fashion-mnist/2"
    return card.load_graph(folder, card.read(folder).variant("any"))


@pytest.mark.parametrize("threads", [2, 3, 8])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 16])
def test_images_come_in_the_order_of_their_latents(graph: bytes, threads: int, count: int) -> None:
    rows = {"latents": sampling.from_seeds(range(count), 64)}
    whole = ParallelSessions(graph, Placement("cpu", 1))
    drawn = ParallelSessions(graph, Placement("cpu", threads))(rows)
    np.testing.assert_array_equal(drawn, whole(rows))


def test_every_part_has_the_conditions_of_its_latents() -> None:
    latents, classes = sampling.from_seeds(range(7), 8), np.eye(7, 4, dtype=np.float32)
    sessions = ParallelSessions(conditional.graph("shoes"), Placement("cpu", 3))
    drawn = sessions({"latents": latents, "classes": classes})
    assert sessions.parts(7) == 3
    np.testing.assert_array_equal(drawn, conditional.expected(latents, classes))


def test_a_part_that_fails_makes_its_batch_fail_and_no_other(graph: bytes) -> None:
    sessions = ParallelSessions(graph, Placement("cpu", 3))
    with pytest.raises(Exception, match="Got: 63 Expected: 64"):
        sessions(zeros({"latents": 63}, 6))
    assert len(sessions(zeros({"latents": 64}, 6))) == 6


def test_an_invalid_graph_is_refused() -> None:
    with pytest.raises(GraphError, match="cannot load the graph"):
        ParallelSessions(b"not onnx", Placement("cpu", 2))


def test_a_batch_too_small_to_wake_a_thread_for_is_not_split(graph: bytes) -> None:
    sessions, before = ParallelSessions(graph, Placement("cpu", 64)), set(threading.enumerate())
    sessions.calibrate({"latents": 64})
    sessions(zeros({"latents": 64}, 1))
    assert not set(threading.enumerate()) - before
    assert len(sessions(zeros({"latents": 64}, 64))) == 64
    assert 0 < len(set(threading.enumerate()) - before) <= 63


def test_threads_end_with_the_last_reference_to_their_sessions(graph: bytes) -> None:
    before = set(threading.enumerate())
    sessions = ParallelSessions(graph, Placement("cpu", 3))
    sessions(zeros({"latents": 64}, 6))
    threads, held = set(threading.enumerate()) - before, weakref.ref(sessions)
    assert threads
    del sessions
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert held() is None


def test_threads_are_not_pinned_where_the_system_reports_no_cpu(
    graph: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_affinity, "current_cpu", lambda: None)
    assert len(ParallelSessions(graph, Placement("cpu", 2))(zeros({"latents": 64}, 4))) == 4
