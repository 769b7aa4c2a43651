"""Searches for the options of ``fit`` that give the best images; meant for a GPU.

    python -m tests.bench.search --dataset fashion-mnist --out runs/search [-- flags of fit]

Successive halving (Jamieson and Talwalkar 2016, arXiv 1502.07943): every setting runs for a few
epochs, the best third runs again from the start for four times as many, and so on. A longer run
does not continue a shorter one, because learning rates fall over the second half of each run. The
same command continues an interrupted search, and does not repeat finished runs.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from training.run.journal import SCORE, Run

# Per data set: the preset, and each setting's flags of `fit` in addition to it.
SETTINGS = {
    "fashion-mnist": (
        "--preset dcgan-28",
        {
            "as it is": "",
            "twice the generator": "--generator-filters 64",
            "both twice as wide": "--generator-filters 64 --discriminator-filters 128",
            "batches of 32": "--batch-size 32",
            "batches of 128, larger steps": "--batch-size 128 --generator-lr 4e-3 "
            "--discriminator-lr 2e-3",
            "half the steps": "--generator-lr 1e-3 --discriminator-lr 5e-4",
            "latents of 128": "--latent-dim 128",
            "slower average": "--average-decay 0.9995",
            "rates fall from the start": "--decay-from 0",
            "translation": "--augment translation",
            "mirrored": "--mirror",
            "hinge, spectral norm": "--loss hinge --spectral-norm --r1-gamma 0",
            "batch norm": "--batch-norm --r1-gamma 0",
            "relativistic, two penalties": "--loss relativistic --r2-gamma 1",
        },
    ),
    "avatars": (
        "--preset dcgan-64",
        {
            "as it is": "",
            "twice the generator": "--generator-filters 32",
            "64 filters in the discriminator": "--discriminator-filters 64",
            "96 filters in the discriminator": "--discriminator-filters 96",
            "deeper discriminator": "--discriminator deeper",
            "batches of 128": "--batch-size 128",
            "half the steps": "--generator-lr 2e-4 --discriminator-lr 2e-4",
            "a slower generator": "--generator-lr 2e-4",
            "latents of 128": "--latent-dim 128",
            "mirrored": "--mirror",
            "augmented": "--augment color,translation,cutout",
            "translation": "--augment translation",
            "smaller penalties": "--r1-gamma 0.2 --r2-gamma 0.2",
            "the paper's loss, one penalty": "--loss bce --r2-gamma 0",
            "hinge, spectral norm": "--loss hinge --spectral-norm --r1-gamma 0 --r2-gamma 0",
        },
    ),
}


@dataclass(frozen=True)
class Found:
    """The result of a run."""

    setting: str
    flags: str
    epochs: int
    score: float | None
    """The score of its best checkpoint; None if it failed or did not start in time."""
    seconds: float
    note: str = ""

    @property
    def rank(self) -> float:
        """The lower, the better."""
        return math.inf if self.score is None else self.score


def main() -> None:
    options, more = arguments()
    preset, settings = SETTINGS[options.dataset]
    chosen = {name: settings[name] for name in options.only or settings}
    fixed = [f"--dataset={options.dataset}", *preset.split(), *more]
    deadline = time.monotonic() + 60 * options.minutes
    options.out.mkdir(parents=True, exist_ok=True)
    rounds: list[list[Found]] = []
    for number in range(options.rounds):
        epochs = options.epochs * 4**number
        found = [
            trained(options.out, name, flags, epochs, fixed, deadline)
            for name, flags in chosen.items()
        ]
        rounds.append(sorted(found, key=lambda one: one.rank))
        better = [one for one in rounds[-1] if one.score is not None]
        chosen = {one.setting: one.flags for one in better[: max(1, len(better) // 3)]}
        print(*table(rounds[-1]), sep="\n", flush=True)
        if not chosen:
            break
    results = [asdict(one) for part in rounds for one in part]
    (options.out / "search.json").write_text(json.dumps(results, indent=2) + "\n")


def arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", choices=sorted(SETTINGS), default="fashion-mnist")
    parser.add_argument("--out", type=Path, required=True, help="folder for all runs")
    parser.add_argument("--epochs", type=int, default=12, help="epochs of a run of the first round")
    parser.add_argument("--rounds", type=int, default=3, help="each has four times as many epochs")
    parser.add_argument("--minutes", type=float, default=120.0, help="no run starts after this")
    parser.add_argument("--only", action="append", help="run only this setting; may be repeated")
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:end])
    known = SETTINGS[options.dataset][1]
    if unknown := set(options.only or ()) - known.keys():
        parser.error(f"--only {sorted(unknown)}: the settings are {', '.join(known)}")
    return options, words[end + 1 :]


def trained(
    out: Path, name: str, flags: str, epochs: int, fixed: list[str], deadline: float
) -> Found:
    """The result of one run, which starts, continues or is already finished. It may fail."""
    run, note = Run(out / f"{epochs}-epochs" / name.replace(" ", "-").replace(",", "")), ""
    if _done(run) < epochs:
        if time.monotonic() > deadline:
            return Found(name, flags, epochs, None, 0.0, "no time was left")
        scored = [f"--epochs={epochs}", f"--score-every={max(2, epochs // 4)}"]
        resume = ["--resume"] if run.options.exists() else []
        command = [sys.executable, "-m", "training", "fit", "--out", str(run.folder)]
        ended = subprocess.run(
            [*command, *resume, *fixed, *flags.split(), *scored],
            check=False,
            capture_output=True,
            text=True,
        )
        output = ended.stderr.strip().splitlines() or [f"ended with status {ended.returncode}"]
        note = output[-1] if ended.returncode else ""
    lines = run.epochs() if run.options.exists() else []
    scores = [line[SCORE] for line in lines if SCORE in line]
    seconds = sum(line["seconds"] for line in lines)
    return Found(name, flags, epochs, min(scores, default=None), seconds, note)


def _done(run: Run) -> int:
    return len(run.epochs()) if run.options.exists() else 0


def table(found: list[Found]) -> Iterator[str]:
    """A table as in training/RESULTS.md, best first."""
    yield f"| setting, {found[0].epochs} epochs | flags | `{SCORE}` | minutes | |"
    yield "| --- | --- | --- | --- | --- |"
    for one in found:
        score = "" if one.score is None else f"{one.score:.3f}"
        flags = f"`{one.flags}`" if one.flags else ""
        yield f"| {one.setting} | {flags} | {score} | {one.seconds / 60:.1f} | {one.note} |"


if __name__ == "__main__":
    main()
