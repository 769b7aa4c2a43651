import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from app.artifact import card
from app.runtime import cpu_affinity, providers
from app.runtime.cpu_affinity import ThreadAffinity
from app.runtime.providers import Placement

pytestmark = pytest.mark.skipif(
    cpu_affinity.current_cpu() is None, reason="this system does not report a thread's CPU"
)


@contextmanager
def idle(affinity: ThreadAffinity | None = None) -> Iterator[int]:
    """The native id of an idle thread, which adds itself to ``affinity``."""
    done, began = threading.Event(), threading.Event()

    def run() -> None:
        if affinity:
            affinity.add_current_thread()
        began.set()
        done.wait()

    thread = threading.Thread(target=run)
    thread.start()
    began.wait()
    yield thread.native_id or 0
    done.set()
    thread.join()


def listed() -> set[int]:
    return {int(path.name) for path in Path("/proc/self/task").iterdir()}


def others(allowed: set[int]) -> list[set[int]]:
    """The CPUs without each one in turn; all of them where there is only one."""
    return [allowed - {cpu} or allowed for cpu in allowed]


def test_a_thread_moves_away_where_there_is_another_cpu() -> None:
    allowed = os.sched_getaffinity(0)
    assert cpu_affinity.current_cpu() in allowed
    with idle() as thread:
        for cpu in allowed:
            cpu_affinity.move_away([thread], cpu)
            assert os.sched_getaffinity(thread) == (allowed - {cpu} or allowed)


def test_only_added_threads_avoid_the_current_cpu() -> None:
    allowed, affinity = os.sched_getaffinity(0), ThreadAffinity()
    with idle(affinity) as helper, idle() as other:
        affinity.avoid_current_cpu()
        assert os.sched_getaffinity(helper) in others(allowed)
        assert os.sched_getaffinity(other) == allowed
    assert os.sched_getaffinity(0) == allowed


def test_the_threads_of_a_session_are_added_but_not_those_of_python(models: Path) -> None:
    folder = models / "fashion-mnist/2"
    graph = card.load_graph(folder, card.read(folder).variant("any"))
    allowed, before, affinity = os.sched_getaffinity(0), listed(), ThreadAffinity()
    with ExitStack() as stack:
        with affinity.adding_native_threads():
            session = providers.session(graph, Placement("cpu", 3))
            started = listed() - before
            other = stack.enter_context(idle())
        affinity.avoid_current_cpu()
        assert len(started) == 2
        assert all(os.sched_getaffinity(thread) in others(allowed) for thread in started)
        assert os.sched_getaffinity(other) == allowed
    del session


def test_threads_that_have_ended_are_ignored() -> None:
    allowed, affinity = os.sched_getaffinity(0), ThreadAffinity()
    with idle(affinity):
        pass
    with idle(affinity) as helper:
        affinity.avoid_current_cpu()
        assert os.sched_getaffinity(helper) in others(allowed)


def test_without_a_list_of_threads_none_is_moved(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_affinity, "_TASKS", tmp_path / "missing")
    folder = models / "fashion-mnist/2"
    graph = card.load_graph(folder, card.read(folder).variant("any"))
    allowed, before, affinity = os.sched_getaffinity(0), listed(), ThreadAffinity()
    with affinity.adding_native_threads():
        session = providers.session(graph, Placement("cpu", 3))
    started = listed() - before
    affinity.avoid_current_cpu()
    assert len(started) == 2
    assert all(os.sched_getaffinity(thread) == allowed for thread in started)
    del session


def test_a_system_that_cannot_move_threads_reports_no_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    uncached = cpu_affinity._sched_getcpu.__wrapped__  # noqa: SLF001 its cache outlives a test
    monkeypatch.setattr(cpu_affinity, "_sched_getcpu", uncached)
    assert cpu_affinity.current_cpu() in os.sched_getaffinity(0)
    monkeypatch.delattr(os, "sched_setaffinity")
    assert cpu_affinity.current_cpu() is None
    ThreadAffinity().avoid_current_cpu()
