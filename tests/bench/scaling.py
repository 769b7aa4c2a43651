"""Images per second for 1 to 256 connections, and where the time of a request goes.

    python -m tests.bench.scaling [--model models/fashion-mnist/2] [--out r.json] [--picture p.png]

The stages are those of the header Server-Timing, averaged over all requests. The rest of the
latency that the client measures is HTTP, FastAPI and waiting for the event loop.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from app.runtime.cpus import available
from tests.bench.http import numbers
from tests.bench.serving import Target, ours, require_wrk, staged

# Distinguishable with any colour vision (Okabe and Ito 2008, "Color Universal Design").
COLOURS = {"queue": "#E69F00", "compute": "#0072B2", "encode": "#009E73", "rest": "#BBBBBB"}


def main() -> None:
    options = arguments()
    require_wrk()
    print(f"{options.model}, {available()} CPUs; milliseconds per request")
    print(f"{'images':>6}{'connections':>12}{'images/s':>10}", end="")
    print("".join(f"{stage:>9}" for stage in COLOURS), f"{'p99':>8}")
    with ours(options.model, *options.flags.split()) as server:
        points = [
            point(server.address, images, connections, options.seconds)
            for images in options.images
            for connections in options.connections
        ]
    if options.out:
        content = {"model": str(options.model), "cpus": available(), "points": points}
        options.out.write_text(json.dumps(content, indent=2) + "\n")
    if options.picture:
        plot(points, options.images).savefig(options.picture, metadata={"Software": None})


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/fashion-mnist/2"))
    parser.add_argument("--images", type=numbers, default=[1, 16], help="images of a request")
    parser.add_argument("--connections", type=numbers, default=[1, 2, 4, 8, 16, 32, 64, 128, 256])
    parser.add_argument("--seconds", type=int, default=2, help="seconds of a point")
    parser.add_argument("--flags", default="", help="flags of the server: --flags='--workers 2'")
    parser.add_argument("--out", type=Path, help="a JSON file for the result")
    parser.add_argument("--picture", type=Path, help="a PNG file for the result")
    return parser.parse_args()


def point(address: str, images: int, connections: int, seconds: int) -> dict[str, Any]:
    """Load and stages for ``connections`` connections with requests for ``images`` images."""
    target = Target(f"{address}/generate?n={images}")
    staged(target, connections, 1)  # warms up
    load, stages = staged(target, connections, seconds)
    stages["rest"] = max(0.0, load.mean - sum(stages.values()))
    rate = images * load.requests_per_second
    cells = "".join(f"{stages[stage]:9.2f}" for stage in COLOURS)
    print(f"{images:6}{connections:12}{rate:10.0f}{cells}{load.p99:9.1f}", flush=True)
    size = {"images": images, "connections": connections, "images_per_second": rate}
    return {**size, **asdict(load), "stages": stages}


def plot(points: Sequence[dict[str, Any]], sizes: Sequence[int]) -> Figure:
    """Throughput on the left, stages on the right; one row for each size of a request."""
    figure = Figure(figsize=(10, 3.6 * len(sizes)), dpi=100, layout="constrained")
    rows = figure.subplots(len(sizes), 2, squeeze=False)
    for (left, right), images in zip(rows, sizes, strict=True):
        found = [one for one in points if one["images"] == images]
        title = f"{images} image{'s' if images > 1 else ''} per request"
        throughput(left, found, title)
        costs(right, found, title)
    figure.legend(*rows[0, 1].get_legend_handles_labels(), loc="outside upper right", ncols=4)
    return figure


def throughput(axes: Axes, found: Sequence[dict[str, Any]], title: str) -> None:
    connections = [one["connections"] for one in found]
    rates = [one["images_per_second"] for one in found]
    axes.plot(connections, rates, marker="o", color=COLOURS["compute"])
    axes.set_ylim(0, 1.1 * max(rates))
    axes.set_ylabel("images per second")
    _finish(axes, connections, title)


def costs(axes: Axes, found: Sequence[dict[str, Any]], title: str) -> None:
    """The share of each stage in the time of a request; the times themselves span decades."""
    connections = [one["connections"] for one in found]
    shares = [
        [100 * one["stages"][stage] / sum(one["stages"].values()) for one in found]
        for stage in COLOURS
    ]
    axes.stackplot(connections, shares, labels=COLOURS, colors=COLOURS.values())
    axes.set_ylim(0, 100)
    axes.set_ylabel("share of the time of a request (%)")
    _finish(axes, connections, title)


def _finish(axes: Axes, connections: Sequence[int], title: str) -> None:
    axes.set_title(title)
    axes.set_xscale("log", base=2)
    axes.set_xticks(connections, map(str, connections))
    axes.set_xlabel("connections")
    axes.grid(color="#E4E4E4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
