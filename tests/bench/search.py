"""Which settings make the best images: more and wider ones than a CPU has the time for.

    python -m tests.bench.search --dataset fashion-mnist --out runs/search [-- flags of fit]

Successive halving (Jamieson and Talwalkar 2016, arXiv 1502.07943): every setting is a run of a few
epochs; the best third of them is run anew for four times as many, and so on. Not further: learning
rates fall over the second half of a run, however long it is. What was interrupted goes on with the
same command, and what was done is not done again.
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

# Flags of `fit` on top of the preset, which is the first setting of each.
SETTINGS = {
    "fashion-mnist": (
        "--preset dcgan-28",
        {
            "as it is": "",
            "twice the generator": "--generator-filters 128",
            "both twice as wide": "--generator-filters 128 --discriminator-filters 128",
            "batches of 64": "--batch-size 64",
            "batches of 128, larger steps": "--batch-size 128 --generator-lr 4e-3 "
            "--discriminator-lr 2e-3",
            "half the steps": "--generator-lr 1e-3 --discriminator-lr 5e-4",
            "latents of 128": "--latent-dim 128",
            "slower average": "--average-decay 0.9995",
            "rates fall from the start": "--decay-from 0",
            "translation": "--augment translation",
            "mirrored": "--mirror",
            "hinge, spectral norm": "--loss hinge --spectral-norm",
            "relativistic, penalties": "--loss relativistic --no-batch-norm --r1-gamma 0.1 "
            "--r2-gamma 0.1 --penalty-interval 4",
        },
    ),
    "avatars": (
        "--preset dcgan-64",
        {
            "as it is": "",
            "64 filters": "--generator-filters 64 --discriminator-filters 64",
            "96 filters": "--generator-filters 96 --discriminator-filters 96",
            "128 filters in the generator": "--generator-filters 128",
            "deeper discriminator": "--discriminator deeper",
            "deeper generator": "--generator deeper",
            "batches of 128": "--batch-size 128",
            "half the steps": "--generator-lr 1e-4 --discriminator-lr 2e-4",
            "equal steps": "--discriminator-lr 2e-4",
            "latents of 128": "--latent-dim 128",
            "mirrored": "--mirror",
            "augmented": "--augment color,translation,cutout",
            "translation": "--augment translation",
            "penalty": "--r1-gamma 0.1 --penalty-interval 4",
            "relativistic, penalties": "--loss relativistic --no-spectral-norm --no-batch-norm "
            "--r1-gamma 1 --r2-gamma 1 --penalty-interval 4",
        },
    ),
}


@dataclass(frozen=True)
class Found:
    """What a run came to."""

    setting: str
    flags: str
    epochs: int
    score: float | None
    """Of its best checkpoint; none where it failed, or there was no time."""
    seconds: float
    note: str = ""

    @property
    def rank(self) -> float:
        """Least is best."""
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
    told = [asdict(one) for part in rounds for one in part]
    (options.out / "search.json").write_text(json.dumps(told, indent=2) + "\n")


def arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", choices=sorted(SETTINGS), default="fashion-mnist")
    parser.add_argument("--out", type=Path, required=True, help="the folder of all runs")
    parser.add_argument("--epochs", type=int, default=12, help="of a run of the first round")
    parser.add_argument("--rounds", type=int, default=3, help="each of four times as many epochs")
    parser.add_argument("--minutes", type=float, default=120.0, help="after which no run begins")
    parser.add_argument("--only", action="append", help="a setting; several times for several")
    told = sys.argv[1:]
    end = told.index("--") if "--" in told else len(told)
    options = parser.parse_args(told[:end])
    known = SETTINGS[options.dataset][1]
    if unknown := set(options.only or ()) - known.keys():
        parser.error(f"--only {sorted(unknown)}: the settings are {', '.join(known)}")
    return options, told[end + 1 :]


def trained(
    out: Path, name: str, flags: str, epochs: int, fixed: list[str], deadline: float
) -> Found:
    """A run, begun, gone on with, or done before. A failure of it ends no other."""
    run, note = Run(out / f"{epochs}-epochs" / name.replace(" ", "-").replace(",", "")), ""
    if _done(run) < epochs:
        if time.monotonic() > deadline:
            return Found(name, flags, epochs, None, 0.0, "there was no time")
        scored = [f"--epochs={epochs}", f"--score-every={max(2, epochs // 4)}"]
        begun = [] if not run.options.exists() else ["--resume"]
        command = [sys.executable, "-m", "training", "fit", "--out", str(run.folder)]
        ended = subprocess.run(
            [*command, *begun, *fixed, *flags.split(), *scored],
            check=False,
            capture_output=True,
            text=True,
        )
        told = ended.stderr.strip().splitlines() or [f"ended with status {ended.returncode}"]
        note = told[-1] if ended.returncode else ""
    lines = run.epochs() if run.options.exists() else []
    scores = [line[SCORE] for line in lines if SCORE in line]
    seconds = sum(line["seconds"] for line in lines)
    return Found(name, flags, epochs, min(scores, default=None), seconds, note)


def _done(run: Run) -> int:
    return len(run.epochs()) if run.options.exists() else 0


def table(found: list[Found]) -> Iterator[str]:
    """As in training/RESULTS.md, best first."""
    yield f"| setting, {found[0].epochs} epochs | flags | `{SCORE}` | minutes | |"
    yield "| --- | --- | --- | --- | --- |"
    for one in found:
        score = "" if one.score is None else f"{one.score:.3f}"
        flags = f"`{one.flags}`" if one.flags else ""
        yield f"| {one.setting} | {flags} | {score} | {one.seconds / 60:.1f} | {one.note} |"


if __name__ == "__main__":
    main()
