"""The other images, for OpenVINO, GPUs and training: each is built and used once."""

import os
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.deploy.containers import PYTHON_IMAGE, await_healthy, copy_sources, docker, project

pytestmark = pytest.mark.slow  # they download gigabytes of packages


@pytest.mark.parametrize(
    ("target", "argument", "provider"),
    [
        ("openvino", "OPENVINO=openvino", "auto"),
        ("openvino", "OPENVINO=openvino-build", "openvino"),
        ("gpu", f"CUDA_IMAGE={PYTHON_IMAGE}", "cpu"),  # on a base image without CUDA
    ],
)
def test_every_server_image_generates_images(
    engine: str, root: Path, target: str, argument: str, provider: str
) -> None:
    assert engine
    tag = f"dcgan-test-{target}"
    built = ["--quiet", "--network", "host", "--target", target, "--build-arg", argument]
    built += ["--build-arg", f"PYTHON_IMAGE={PYTHON_IMAGE}"]
    file = str(root / "app" / "deploy" / "Dockerfile")
    docker("build", *built, "--file", file, "--tag", tag, str(root))
    run = ["--detach", "--read-only", "--tmpfs", "/tmp", "--publish", "127.0.0.1::8000"]  # noqa: S108
    container = docker("run", *run, tag, "--provider", provider).strip()
    try:
        await_healthy(container)
        address = docker("port", container, "8000").strip()
        answer = httpx.post(f"http://{address}/generate?n=16", timeout=60).json()
        assert len(answer["images"]) == 16
        program = "import onnxruntime; print(onnxruntime.get_available_providers())"
        assert "CUDA" in docker("exec", container, "python", "-c", program) or target != "gpu"
    finally:
        docker("rm", "--force", container)


def test_the_trainer_trains_on_mounted_images(engine: str, root: Path, tmp_path: Path) -> None:
    assert engine
    copy_sources(root, tmp_path)
    (pictures := tmp_path / "data" / "pictures").mkdir(parents=True)
    (tmp_path / "runs").mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (64, 16, 16, 3))):
        Image.fromarray(pixels.astype(np.uint8)).save(pictures / f"{number}.png")
    small = "--image-size 16 --epochs 1 --generator-filters 8 --discriminator-filters 8"
    with project(tmp_path, tmp_path, profiles=["train"]) as copy:
        copy.call(
            f"docker compose run --rm --user {os.getuid()}:{os.getgid()} train"
            f" fit --dataset folder:data/pictures {small} --out runs/first"
        )
    assert (tmp_path / "runs" / "first" / "metrics.jsonl").read_text().count("\n") == 1
