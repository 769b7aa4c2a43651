"""Progress messages of the commands that take minutes on a CPU."""

import sys


def print_progress(message: str) -> None:
    """Print ``message`` on stderr, so that stdout has only the results."""
    print(f"{message} …", file=sys.stderr)
