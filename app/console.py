"""The console command ``dcgan``: the commands of the server and the trainer under one name.

It is ``python -m app`` and ``python -m training`` without Python's search of the working directory,
where modules of the same names may lie.
"""

import sys
from importlib import import_module

from app import __version__

_USAGE = "usage: dcgan [--help] [--version] {serve,render,pull,push,train} ..."
_HELP = f"""\
{_USAGE}

Serve generated images over HTTP, write them into files, and train and exchange generators.

commands:
  serve       serve the generators in a models folder over HTTP, as `python -m app`
  render      write generated images into files, as `python -m app render`
  pull        copy a model version from elsewhere, as `python -m app pull`
  push        copy a model version to elsewhere, as `python -m app push`
  train       train generators, measure and publish them, as `python -m training`:
              `dcgan train fit`, `dcgan train evaluate`, `dcgan train export` and more

`dcgan COMMAND --help` lists the options of a command."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0 on success, 2 for an unknown command."""
    command, *rest = (sys.argv[1:] if arguments is None else arguments) or [""]
    if command in {"--help", "-h"}:
        print(_HELP)
        return 0
    if command == "--version":
        print(f"dcgan {__version__}")
        return 0
    if command == "train":
        # By its name, because the server's image has no trainer and the server never imports it.
        trainer = import_module("training.__main__")
        status: int = trainer.main(rest, "dcgan train")
        return status
    if command in {"serve", "render", "pull", "push"}:
        from app import __main__

        run = {"serve": __main__.serve, "render": __main__.render}
        run |= {"pull": __main__.pull, "push": __main__.push}
        return run[command](rest, f"dcgan {command}")
    problem = f"no such command: {command!r}" if command else "a command is missing"
    print(f"{_USAGE}\ndcgan: error: {problem}", file=sys.stderr)
    return 2
