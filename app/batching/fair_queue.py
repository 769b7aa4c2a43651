"""The queue of a batcher: deficit round robin by client, and short batches for light clients."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from app.batching.jobs import Job

# A batch serves this many quanta. More would make more, smaller parts of requests; with fewer,
# another light client would lengthen a batch for light clients more.
_QUANTA = 4


@dataclass(eq=False, slots=True)
class _ClientQueue:
    """The jobs of one client, first in, first out."""

    client: Hashable
    jobs: OrderedDict[Job, None] = field(default_factory=OrderedDict)
    rows: int = 0
    """Number of queued rows of all its jobs."""
    deficit: int = 0
    """Rows that it may still take in its present turn."""


class FairQueue:
    """One queue per client with queued rows; batches take rows from them in turn.

    Clients take turns of at most a quantum of rows, a quarter of a batch (deficit round robin:
    Shreedhar and Varghese, "Efficient Fair Queuing using Deficit Round Robin", SIGCOMM 1995). A
    turn that the end of a batch interrupts continues in the next batch. A client that is alone
    fills whole batches.

    A turn alone would not bound the delay of a client with few rows: it would wait for the end of
    the running batch, and then for its own, which others fill. Therefore, a client is light while
    all its rows fit into one quantum, and while others are not, every second batch contains light
    clients only and is not filled up. It takes at most half of a batch, and the batch after it
    takes correspondingly less, so that both together take no more rows than one full batch. The
    rows of a light client are then delayed by at most one full batch and the other light clients.

    Every operation takes constant time per job and per row taken, and an empty queue is removed.
    """

    def __init__(self, max_batch: int) -> None:
        """``max_batch`` counts rows."""
        self._max_batch = max_batch
        self._quantum = max(1, max_batch // _QUANTA)
        self._turns: OrderedDict[Hashable, _ClientQueue] = OrderedDict()
        """All clients with queued rows; the first one has the next turn."""
        self._light: OrderedDict[Hashable, _ClientQueue] = OrderedDict()
        """Those that are light, in order of arrival."""
        self._advance = 0
        """Number of rows in the previous batch, if it was one for light clients only."""

    def __bool__(self) -> bool:
        """Whether any rows are queued."""
        return bool(self._turns)

    def __len__(self) -> int:
        """Return the number of clients with queued rows."""
        return len(self._turns)

    def add(self, job: Job) -> None:
        """Append ``job`` to the queue of its client."""
        client = job.claim.client
        queue = self._turns.get(client)
        if queue is None:
            queue = self._turns[client] = self._light[client] = _ClientQueue(client)
        queue.jobs[job] = None
        queue.rows += job.count
        if queue.rows > self._quantum:
            self._light.pop(client, None)

    def remove(self, job: Job) -> None:
        """Remove the queued rows of ``job``, which must have some."""
        queue = self._turns[job.claim.client]
        self._reduce(queue, job, job.queued)

    def take(self, is_wanted: Callable[[Job], bool]) -> dict[Job, int]:
        """Take the rows of the next batch out of the queue.

        Returns the index of the first row by job; the rows from there to ``job.taken`` are in the
        batch. Before rows of a job are taken, ``is_wanted(job)`` returns whether it still wants
        them, and removes it if not.
        """
        batch: dict[Job, int] = {}
        if len(self._turns) > len(self._light) > 0 == self._advance:
            room = most = max(1, self._max_batch // 2)
            while room and self._light:
                room -= self._serve(next(iter(self._light.values())), room, batch, is_wanted)
            self._advance = most - room
        if batch:
            return batch
        room, self._advance = max(1, self._max_batch - self._advance), 0
        while room and self._turns:
            room -= self._turn(next(iter(self._turns.values())), room, batch, is_wanted)
        return batch

    def _turn(
        self,
        queue: _ClientQueue,
        room: int,
        batch: dict[Job, int],
        is_wanted: Callable[[Job], bool],
    ) -> int:
        """Serve the client whose turn it is; returns the number of rows taken."""
        if len(self._turns) == 1:
            return self._serve(queue, room, batch, is_wanted)
        queue.deficit = queue.deficit or self._quantum
        taken = self._serve(queue, min(room, queue.deficit), batch, is_wanted)
        queue.deficit -= taken
        if queue.jobs and not queue.deficit:
            self._turns.move_to_end(queue.client)
        return taken

    def _serve(
        self,
        queue: _ClientQueue,
        limit: int,
        batch: dict[Job, int],
        is_wanted: Callable[[Job], bool],
    ) -> int:
        """Take up to ``limit`` rows of one client; returns their number."""
        room, jobs = limit, queue.jobs
        while room and jobs:
            job = next(iter(jobs))
            if job not in batch:
                if not is_wanted(job):
                    continue
                batch[job] = job.taken
            taken = min(room, job.queued)
            self._reduce(queue, job, taken)
            room -= taken
        return limit - room

    def _reduce(self, queue: _ClientQueue, job: Job, rows: int) -> None:
        """Take ``rows`` of ``job`` out of ``queue``; what becomes empty is removed."""
        job.taken += rows
        queue.rows -= rows
        if job.taken == job.count:
            del queue.jobs[job]
        if not queue.rows:
            del self._turns[queue.client]
            self._light.pop(queue.client, None)
            if not self._turns:
                self._advance = 0
