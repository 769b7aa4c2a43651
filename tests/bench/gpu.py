"""Measures training and serving on a GPU, in one run of less than eight minutes.

    python -m tests.bench.gpu --out gpu.json [--data-dir folder of Fashion-MNIST] [--device cpu]

It prints one table, with a reason for each part that could not run. ``--quick`` does just enough
of each part to show that it runs; that works on a CPU, too.
"""

import argparse
import os
import platform
import time
from functools import partial
from pathlib import Path

import onnxruntime
import torch

from app.runtime.cpus import available
from tests.bench import gpu_http, gpu_losses, gpu_serving, gpu_training
from tests.bench.gpu_training import Bench
from tests.bench.graphics import arithmetic_rate
from tests.bench.rows import Row, Table
from training.loop import device

PRESETS = ("keras-28", "paper-64", "dcgan-28", "dcgan-64")


def main() -> None:
    options = arguments()
    torch.set_num_threads(1 if options.quick else available())
    where = device.resolve(options.device)
    environment = facts(where)
    for name, fact in environment.items():
        print(f"{name:24}{fact}")
    table = Table(time.monotonic() + 60 * options.minutes)
    quick = options.quick
    rates: list[float] = []
    table.part("card", 2, lambda: card(where, rates, quick=quick))
    bench = Bench(where, 0.1 if quick else 2.5, quick, rates)
    for preset in PRESETS:
        table.part(preset, 1 if quick else 20, partial(gpu_training.sides, bench, preset))
    for preset in ("keras-28", "dcgan-28"):
        losses = partial(gpu_losses.curves, bench, preset)
        table.part(f"{preset}, losses", 1 if quick else 15, losses)
    whole = partial(gpu_training.whole_run, bench, epochs=options.epochs, data_dir=options.data_dir)
    name = "dcgan-28, whole run"
    table.part(name, 1 if quick else 100, partial(whole, name))
    provider = "cuda" if where.type == "cuda" else "cpu"
    serving = gpu_serving.Serving(provider, 0.05 if quick else 1.5, quick)
    table.part("serving", 1 if quick else 30, lambda: gpu_serving.engines(serving))
    table.part("serving, memory", 1 if quick else 60, lambda: gpu_serving.memory(serving))
    table.part("serving, copies", 1 if quick else 6, lambda: gpu_serving.copies(serving))
    table.part("serving, HTTP", 1 if quick else 45, lambda: gpu_http.requests(serving))
    for model in serving.models:
        build = partial(gpu_serving.tensorrt, serving, model)
        table.part(f"TensorRT {model.name}", 1 if quick else 45, build)
    table.part("PNG", 1 if quick else 25, lambda: gpu_serving.png_stage(serving))
    for preset in () if quick else PRESETS:  # last, because it takes minutes
        table.part(f"{preset}, compiled", 60, partial(gpu_training.compiled, bench, preset))
    plainly = "dcgan-28, eager float32"
    if options.scores:
        table.part(plainly, 70, partial(whole, plainly, execution="eager", precision="fp32"))
    table.part("score", 0, lambda: gpu_training.scores(table.rows, name, plainly))
    if options.out:
        table.write(options.out, environment)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--quick", action="store_true", help="just enough to show that it runs")
    parser.add_argument("--minutes", type=float, default=8.0, help="no part starts after this")
    parser.add_argument("--epochs", type=int, default=50, help="epochs of the whole run")
    parser.add_argument("--data-dir", type=Path, help="the files of Fashion-MNIST")
    parser.add_argument(
        "--scores", action="store_true", help="also do a whole run in float32, if --minutes allow"
    )
    parser.add_argument("--out", type=Path, help="a JSON file for the result")
    return parser.parse_args()


def facts(where: torch.device) -> dict[str, str]:
    """The device, and the versions of the libraries."""
    return {
        "device": device.describe(where, "auto"),
        "CPUs": f"{available()} of {os.cpu_count()}",
        "Python": platform.python_version(),
        "PyTorch": f"{torch.__version__}, CUDA {torch.version.cuda}",
        "onnxruntime": f"{onnxruntime.__version__}, {onnxruntime.get_available_providers()}",
        "date": time.strftime("%Y-%m-%d"),
    }


def card(where: torch.device, rates: list[float], *, quick: bool) -> list[Row]:
    """The arithmetic rate that training is compared with."""
    size = 256 if quick else 8192
    rates.append(arithmetic_rate(where, size, 0.1 if quick else 1.0))
    return [Row("card", f"bf16 product of {size}²", rates[0] / 1e12, "TFLOP/s")]


if __name__ == "__main__":
    main()
