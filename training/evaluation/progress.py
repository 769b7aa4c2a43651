"""Progress of the commands that take a while; on stderr, so that stdout has only the results."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

from training.gan.pixels import Track

T = TypeVar("T")


def print_progress(message: str) -> None:
    """Print ``message`` on stderr."""
    print(f"{message} …", file=sys.stderr)


def bar(text: str) -> Track:
    """Shows a bar with ``text`` while batches are iterated over."""
    return lambda batches: tqdm(batches, desc=text, unit="batch", file=sys.stderr)


def each(items: Sequence[T], name: Callable[[T], str]) -> Iterator[T]:
    """``items``, with a bar that shows the ``name`` of the current one."""
    with tqdm(total=len(items), unit="part", file=sys.stderr) as shown:
        for item in items:
            shown.set_description(name(item))
            yield item
            shown.update()


@contextmanager
def stages(texts: Iterable[str]) -> Iterator[Callable[[], None]]:
    """A function that begins the next of the stages ``texts``, which a bar shows."""
    waiting = list(texts)
    with tqdm(total=len(waiting), unit="stage", file=sys.stderr) as shown:
        begun = False

        def begin() -> None:
            nonlocal begun
            shown.update(begun)
            shown.set_description(waiting.pop(0))
            begun = True

        yield begin
        shown.update(begun)
