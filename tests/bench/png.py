"""Microseconds for one PNG file: ours against Pillow's, in alternating rounds of one run.

    python -m tests.bench.png [--out result.json]

The images are the samples of a shipped model: single ones, a sheet of 64, and for colour three of
its places as red, green and blue.
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
    parser.add_argument("--seconds", type=float, default=0.1, help="of a round")
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
    sides: dict[str, Encoder] = {"ours": png.encode, "pillow": by_pillow}
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, encode in sides.items():
            times[side].append(timed(encode, image, seconds))
    ours, pillow = (1e6 * median(found) for found in times.values())
    sizes = [len(encode(image)) for encode in sides.values()]
    print(f"{name:16}{ours:10.1f}{pillow:10.1f}{pillow / ours:8.1f}{sizes[0]:10}{sizes[1]:10}")
    return {"ours": ours, "pillow": pillow, "ratio": pillow / ours, "bytes": sizes[0]}


def timed(encode: Encoder, image: Pixels, seconds: float) -> float:
    """Seconds that ``encode`` takes for ``image``."""
    began, count = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < seconds:
        encode(image)
        count += 1
    return passed / count


def by_pillow(image: Pixels) -> bytes:
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
