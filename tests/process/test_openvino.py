"""The provider OpenVINO: the server on a build of onnxruntime that has it."""

import subprocess
import sys
import venv
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from app.runtime.cpus import has_bfloat16
from tests.serving import serving
from tests.waiting import PATIENCE

pytestmark = pytest.mark.network
BUILD = "onnxruntime-openvino>=1.24,<2"
SHEETS = ("fashion-mnist", "faces")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with that build of onnxruntime, and otherwise our packages."""
    folder = tmp_path_factory.mktemp("openvino")
    venv.create(folder)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python]
    subprocess.run([*pip, "install", "--quiet", BUILD], check=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    # The new environment's own packages take precedence.
    ours = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "ours.pth").write_text("\n".join(ours))
    return python


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_its_images_equal_those_of_the_cpu_provider(
    root: Path, python: Path, plain_address: str, precision: str, tmp_path: Path
) -> None:
    if precision == "bf16" and not has_bfloat16():
        pytest.skip("this CPU has no bfloat16 units")
    options = ["--provider", "openvino", "--precision", precision]
    with serving([str(python), "-m", "app", *options], root, tmp_path / "log") as address:
        ready = httpx.get(f"{address}/health/ready", timeout=PATIENCE).json()
        differences = [sheet(address, model) - sheet(plain_address, model) for model in SHEETS]
    assert (ready["provider"], ready["precision"]) == ("openvino", precision)
    for difference in differences:
        if precision == "fp32":
            assert (difference == 0).mean() >= 0.999
            assert np.abs(difference).max() <= 1
        else:
            assert 0 < np.abs(difference).mean() < 1  # grey levels of 255


def test_another_kind_of_cpu_draws_the_same_within_one_grey_level(
    root: Path, python: Path, plain_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """oneDNN, which OpenVINO uses, can be limited to the instruction sets of older CPUs."""
    command = [str(python), "-m", "app", "--provider", "openvino", "--precision", "fp32"]
    found: set[bytes] = set()
    for limit in ("SSE41", "AVX2"):
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
        with serving(command, root, tmp_path / f"{limit}.log") as address:
            sheets = {model: sheet(address, model) for model in SHEETS}
        for model in SHEETS:
            assert np.abs(sheets[model] - sheet(plain_address, model)).max() <= 1
        found.add(sheets["faces"].tobytes())
    assert len(found) > 1


def sheet(address: str, model: str) -> np.ndarray:
    """64 images from a server, in one sheet."""
    url, png = f"{address}/generate?n=64&seed=0&model={model}", {"Accept": "image/png"}
    return np.asarray(
        Image.open(BytesIO(httpx.post(url, headers=png, timeout=PATIENCE).content))
    ).astype(int)


def test_auto_selects_it_where_the_cpu_has_bfloat16_units(
    root: Path, python: Path, tmp_path: Path
) -> None:
    with serving([str(python), "-m", "app"], root, tmp_path / "log") as address:
        ready = httpx.get(f"{address}/health/ready", timeout=PATIENCE).json()
    expected = ("openvino", "bf16") if has_bfloat16() else ("cpu", "fp32")
    assert (ready["provider"], ready["precision"]) == expected


def test_it_is_an_error_where_it_is_not_installed(root: Path) -> None:
    command = [sys.executable, "-m", "app", "--provider", "openvino", "--port", "0"]
    refused = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "install the extra openvino" in refused.stderr
