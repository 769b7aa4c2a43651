"""Microseconds for one PNG file: our encoder compared with Pillow's, in alternating rounds.

    python -m tests.bench.png [--out result.json]

The images are samples of a shipped model: one, a sheet of 64, and three parts of that sheet as the
red, green and blue of a colour image.
"""

import argparse
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from app.imaging import png
from app.imaging.sheets import Pixels

SAMPLES = Path("models/fashion-mnist/2/samples.png")
Encoder = Callable[[Pixels], bytes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.1, help="seconds of a round")
    parser.add_argument("--out", type=Path, help="a JSON file for the result")
    options = parser.parse_args()
    print(f"{'':16}{'ours':>10}{'Pillow':>10}{'ratio':>8}{'bytes':>10}{'Pillow':>10}")
    results = {
        name: compared(name, image, options.rounds, options.seconds)
        for name, image in pictures().items()
    }
    if options.out:
        options.out.write_text(json.dumps(results, indent=2) + "\n")


def pictures() -> dict[str, Pixels]:
    with Image.open(SAMPLES) as image:
        sheet = np.asarray(image)[:, :, None]
    colour = np.concatenate([sheet[k : k + 64, k : k + 64] for k in (0, 70, 140)], axis=2)
    return {"28×28 grey": sheet[:28, :28], "224×224 grey": sheet, "64×64 RGB": colour}


def compared(name: str, image: Pixels, rounds: int, seconds: float) -> dict[str, float]:
    sides: dict[str, Encoder] = {"ours": png.encode, "pillow": pillow}
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, encode in sides.items():
            times[side].append(timed(encode, image, seconds))
    ours, theirs = (1e6 * median(found) for found in times.values())
    sizes = [len(encode(image)) for encode in sides.values()]
    print(f"{name:16}{ours:10.1f}{theirs:10.1f}{theirs / ours:8.1f}{sizes[0]:10}{sizes[1]:10}")
    return {"ours": ours, "pillow": theirs, "ratio": theirs / ours, "bytes": sizes[0]}


def timed(encode: Encoder, image: Pixels, seconds: float) -> float:
    """Seconds per call of ``encode`` with ``image``."""
    began, count = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < seconds:
        encode(image)
        count += 1
    return passed / count


def pillow(image: Pixels) -> bytes:
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
