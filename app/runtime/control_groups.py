"""The control groups of this process, versions 1 and 2 (cgroups(7)), which limit its resources."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

GROUPS, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def folders(controller: str, cgroups: Path = GROUPS, own: Path = OWN) -> Iterator[Path]:
    """Folders of the groups with this ``controller``, such as ``cpu``, and of their parents.

    Inside a container its own group is the root, although the path may be the host's.
    """
    for line in words(own) or ["0::/", f"0:{controller}:/"]:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers or controller in controllers.split(","):
            root = cgroups / controller if controllers else cgroups
            inner = PurePosixPath(path.strip("/"))
            yield from (root / folder for folder in (inner, *inner.parents))


def words(path: Path) -> list[str]:
    """The words in a file; none if it does not exist."""
    try:
        return path.read_text().split()
    except OSError:
        return []
