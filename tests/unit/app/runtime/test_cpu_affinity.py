import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from app.artifact import card
from app.runtime import cpus, providers
from app.runtime.cpu_affinity import Crew
from app.runtime.providers import Placement

pytestmark = pytest.mark.skipif(
    cpus.current() is None, reason="this system does not tell a thread's CPU"
)


@contextmanager
def idle(crew: Crew | None = None) -> Iterator[int]:
    """The native id of a thread that does nothing, except that it joins ``crew``."""
    done, began = threading.Event(), threading.Event()

    def run() -> None:
        if crew:
            crew.join()
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
    """All but one of the CPUs, whichever; all of them where there is no other."""
    return [allowed - {cpu} or allowed for cpu in allowed]


def test_a_cpu_is_left_where_there_is_another() -> None:
    allowed = os.sched_getaffinity(0)
    assert cpus.current() in allowed
    with idle() as thread:
        for cpu in allowed:
            cpus.leave([thread], cpu)
            assert os.sched_getaffinity(thread) == (allowed - {cpu} or allowed)


def test_who_joined_makes_way_and_nobody_else() -> None:
    allowed, crew = os.sched_getaffinity(0), Crew()
    with idle(crew) as member, idle() as stranger:
        crew.make_way()
        assert os.sched_getaffinity(member) in others(allowed)
        assert os.sched_getaffinity(stranger) == allowed
    assert os.sched_getaffinity(0) == allowed


def test_the_threads_of_a_session_join_and_none_of_pythons(models: Path) -> None:
    folder = models / "fashion-mnist/2"
    graph = card.load_graph(folder, card.read(folder).variant("any"))
    allowed, before, crew = os.sched_getaffinity(0), listed(), Crew()
    with ExitStack() as stack:
        with crew.joined_by_others():
            session = providers.session(graph, Placement("cpu", 3))
            begun = listed() - before
            stranger = stack.enter_context(idle())
        crew.make_way()
        assert len(begun) == 2
        assert all(os.sched_getaffinity(thread) in others(allowed) for thread in begun)
        assert os.sched_getaffinity(stranger) == allowed
    del session


def test_members_that_have_ended_are_no_trouble() -> None:
    allowed, crew = os.sched_getaffinity(0), Crew()
    with idle(crew):
        pass
    with idle(crew) as member:
        crew.make_way()
        assert os.sched_getaffinity(member) in others(allowed)
