import numpy as np
import pytest
import torch

from training.config import Device
from training.errors import TrainingError
from training.loop.device import describe, place_images, resolve

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("device", "available", "expected"),
    [
        ("auto", True, "cuda"),
        ("auto", False, "cpu"),
        ("cuda", True, "cuda"),
        ("cpu", True, "cpu"),
        ("cpu", False, "cpu"),
    ],
)
def test_auto_means_the_gpu_if_there_is_one(
    monkeypatch: pytest.MonkeyPatch, device: Device, available: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert resolve(device) == torch.device(expected)


def test_a_missing_gpu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="--device cuda"):
        resolve("cuda")


def test_a_device_is_described_by_its_name_and_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Some GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    assert describe(GPU, "auto") == "Some GPU, bf16"
    assert describe(GPU, "fp32") == "Some GPU, fp32"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": "Some CPU"})
    assert describe(CPU, "auto") == "Some CPU, 2 threads, fp32"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert describe(CPU, "bf16") == "CPU, 1 thread, bf16"


@pytest.mark.parametrize("notify", [True, False])
def test_images_stay_in_the_hosts_memory_if_they_do_not_fit_the_gpu(
    monkeypatch: pytest.MonkeyPatch, notify: bool
) -> None:
    messages: list[str] = []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (199, 1000))
    pixels = np.arange(100, dtype=np.uint8).reshape(1, 1, 10, 10)
    images = place_images(pixels, GPU, messages.append if notify else None)
    assert images.device == CPU
    np.testing.assert_array_equal(images.numpy(), pixels)
    text = "the images stay in the host's memory: 100 bytes are more than half of the 199 bytes"
    assert messages == ([f"{text} free on the GPU"] if notify else [])
