"""Images per second of a loaded model: our engine, compared with plain onnxruntime on the CPU.

    python -m tests.bench.engine [--models models/fashion-mnist/2,models/faces/1] [--images 1,16,64]
        [--provider auto] [--precision auto] [--threads 0] [--out result.json]

Our side is what a server runs here: the card's model file for the best provider. The other side is
onnxruntime as one would first write it: the CPU provider with default options and the same number
of threads. Rounds alternate, and the medians are compared.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import onnxruntime as ort

from app.artifact import card
from app.artifact.card import INPUT
from app.latent import sampling
from app.registry.loader import load
from app.runtime.cpus import available
from app.settings import Settings

MODELS = (Path("models/fashion-mnist/2"), Path("models/faces/1"))
Draw = Callable[[sampling.Latents], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=listed(Path), default=MODELS)
    parser.add_argument("--provider", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=0, help="0 for all CPUs")
    parser.add_argument("--images", type=listed(int), default=[1, 16, 64])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.1, help="seconds of a round")
    parser.add_argument("--out", type=Path, help="a JSON file for the result")
    options = parser.parse_args()
    results = [row for folder in options.models for row in compared(folder.resolve(), options)]
    if options.out:
        options.out.write_text(json.dumps(results, indent=2) + "\n")


def listed(kind: Callable[[str], object]) -> Callable[[str], list[object]]:
    return lambda text: [kind(part) for part in text.split(",")]


def compared(folder: Path, options: argparse.Namespace) -> list[dict[str, object]]:
    """One row for each number of images."""
    chosen = {name: getattr(options, name) for name in ("provider", "precision", "threads")}
    served = load(folder, Settings(models=folder.parents[1], **chosen))
    engine, described = served.engine, served.card
    plain = plain_onnxruntime(card.load_graph(folder, described.variant("any")), options.threads)
    print(f"\n{served.key}: {served.variant.file} on {engine.provider} in {engine.precision}")
    print(f"{'images':>6}{'ours/s':>10}{'plain/s':>10}{'ratio':>8}")
    rows = []
    for count in options.images:
        z = sampling.from_seeds(range(count), described.latent.width, described.latent.prior)
        sides: dict[str, Draw] = {"ours": lambda z: engine({INPUT: z}), "plain": plain}
        ours, other = rates(sides, z, options.rounds, options.seconds)
        print(f"{count:6}{ours:10.0f}{other:10.0f}{ours / other:8.2f}")
        rows.append(
            {
                "model": str(served.key),
                "provider": engine.provider,
                "precision": engine.precision,
                "images": count,
                "ours": ours,
                "plain": other,
                "ratio": ours / other,
            }
        )
    return rows


def plain_onnxruntime(graph: bytes, threads: int) -> Draw:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or available()
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return lambda z: session.run(None, {INPUT: z})


def rates(
    sides: dict[str, Draw], z: sampling.Latents, rounds: int, seconds: float
) -> tuple[float, float]:
    """Images per second of both sides."""
    found: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, draw in sides.items():
            time.sleep(0.1)  # onnxruntime's threads spin for 40 ms after the other side's last run
            draw(z)
            began, count, passed = time.perf_counter(), 0, 0.0
            while passed < seconds:
                draw(z)
                count, passed = count + 1, time.perf_counter() - began
            found[side].append(len(z) * count / passed)
    ours, other = (median(speeds) for speeds in found.values())
    return ours, other


if __name__ == "__main__":
    main()
