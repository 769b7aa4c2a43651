"""Fixtures for tests that need a GPU. Without one they are skipped, and say what is missing."""

from collections.abc import Callable, Iterator
from ctypes.util import find_library
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from app.artifact import card
from app.artifact.card import Card
from app.runtime.providers import ProviderName
from training.config import from_flags
from training.gan.gan import Gan

MakeGan = Callable[..., Gan]


@pytest.fixture(scope="session")
def gpu() -> torch.device:
    """The GPU for PyTorch."""
    if not torch.cuda.is_available():
        pytest.skip("there is no NVIDIA GPU, or this PyTorch is built without CUDA")
    return torch.device("cuda")


@pytest.fixture(scope="session")
def cuda_provider() -> str:
    """The CUDA provider of onnxruntime."""
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has no CUDA provider; install the extra gpu")
    if not torch.cuda.is_available() and not Path("/dev/nvidia0").exists():
        pytest.skip("there is no NVIDIA GPU")
    return "cuda"


@pytest.fixture(scope="session")
def tensorrt_provider(cuda_provider: str) -> str:
    """The TensorRT provider of onnxruntime."""
    assert cuda_provider
    if "TensorrtExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has no TensorRT provider")
    if not find_library("nvinfer") and not find_spec("tensorrt_libs"):
        pytest.skip("TensorRT is not installed: pip install 'tensorrt-cu13-libs<11'")
    return "tensorrt"


@pytest.fixture(scope="session", params=["cuda", "tensorrt"])
def provider(request: pytest.FixtureRequest) -> ProviderName:
    """Each available provider of a GPU, in turn."""
    found: ProviderName = request.getfixturevalue(f"{request.param}_provider")
    return found


@pytest.fixture
def make_gan(gpu: torch.device) -> MakeGan:
    """A trainer on the GPU for grey images of 28×28 in fp32: small networks of the real shapes."""

    def made(**options: object) -> Gan:
        small = {
            "generator_filters": 16,
            "discriminator_filters": 16,
            "batch_size": 32,
            "batch_norm": True,
            "r1_gamma": 0.0,
            "precision": "fp32",
            "decay_from": 1.0,
        }
        return Gan(from_flags({**small, **options}), (1, 28, 28), gpu)

    return made


@pytest.fixture
def images(gpu: torch.device) -> Tensor:
    """32 batches of 32 images on the GPU that get brighter to the right."""
    pixels = np.random.default_rng(0).integers(0, 128, (1024, 1, 28, 28))
    ramp = np.linspace(0, 127, 28).astype(int)
    return torch.from_numpy((pixels + ramp).astype(np.uint8)).to(gpu)


@pytest.fixture
def _exact() -> Iterator[None]:
    """Deterministic float32 arithmetic, so that equal steps have equal results."""
    tf32 = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = False, True
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = tf32, False


@pytest.fixture(scope="session", params=["fashion-mnist/2", "faces/1"])
def shipped(request: pytest.FixtureRequest, models: Path) -> tuple[Card, bytes]:
    """The model card and the model file of a shipped version."""
    folder = models / request.param
    described = card.read(folder)
    return described, card.load_graph(folder, described.variants[0])
