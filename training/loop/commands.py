"""The commands that a run names, complete for the shell in which it was started."""

import os
import re
import shlex
import sys
from pathlib import Path

from app.artifact.card import version_numbers

_MODELS = Path("models")
"""Where ``export`` publishes without ``--models``."""


def shell_command(*words: str) -> str:
    """The command with ``words`` of this program, for the shell in which it was started."""
    started = sys.orig_argv
    launched = "fit" not in started or "WORLD_SIZE" in os.environ  # torchrun's is not the user's
    program = ["python", "-m", "training"] if launched else started[: started.index("fit")]
    return shlex.join([*program, *words])


def resume_command(run: Path, processes: int) -> str:
    """The command that continues ``run`` in as many ``processes``."""
    rest = ["fit", "--resume", "--out", str(run)]
    if processes > 1:
        return shlex.join(["torchrun", "--nproc-per-node", str(processes), "-m", "training", *rest])
    return shell_command(*rest)


def export_command(run: Path) -> str:
    """The command that publishes ``run`` as the next version of a model with its name."""
    name = _model_name(run)
    version = 1 + max(version_numbers(_MODELS / name), default=0)
    return shell_command("export", str(run), "--name", name, "--version", str(version))


def _model_name(folder: Path) -> str:
    """The name of the folder as that of a model: a to z, digits and hyphens, at most 64."""
    words = re.findall(r"[a-z0-9]+", folder.resolve().name.lower())
    return "-".join(words)[:64] or "model"
