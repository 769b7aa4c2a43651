"""NVIDIA's clients of the Open Inference Protocol, used with a real server."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.artifact import card
from app.latent import sampling
from tests import conditional
from tests.serving import serving
from tests.waiting import PATIENCE

http = pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")
aio = pytest.importorskip("tritonclient.http.aio", reason="tritonclient[http] is not installed")
triton = pytest.importorskip("tritonclient.utils", reason="tritonclient[http] is not installed")

MODEL = "fashion-mnist"
ADMINISTRATOR = {"X-API-Key": "administrators-key"}


@pytest.fixture(scope="module")
def address(root: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    log, served = folder / "log", folder / "models"
    shutil.copytree(models, served)
    conditional.publish("shoes", served)
    command = [sys.executable, "-m", "app", "--provider", "cpu", "--models", str(served)]
    with serving([*command, "--admin-keys", ADMINISTRATOR["X-API-Key"]], root, log) as url:
        yield url.removeprefix("http://")


@pytest.fixture
def client(address: str) -> Iterator[Any]:
    with http.InferenceServerClient(address, concurrency=4) as client:
        yield client


@pytest.fixture(scope="module")
def rows(models: Path) -> np.ndarray:
    described = card.read(models / MODEL / "2")
    return sampling.from_seeds([40, 41, 42], described.latent.width, described.latent.prior)


def sent(rows: np.ndarray, *, binary: bool) -> list[Any]:
    return [tensor("latents", rows, binary=binary)]


def tensor(name: str, rows: np.ndarray, *, binary: bool) -> Any:
    found = http.InferInput(name, list(rows.shape), "FP32")
    return found.set_data_from_numpy(rows, binary_data=binary)


def outputs(*, binary: bool) -> list[Any]:
    return [http.InferRequestedOutput("pixels", binary_data=binary)]


@pytest.fixture(scope="module")
def image(address: str, decode: Callable[[bytes], np.ndarray]) -> np.ndarray:
    """The image of the last of ``rows``, requested by its seed."""
    import httpx  # noqa: PLC0415 # beside a client that brings gevent

    return decode(httpx.get(f"http://{address}/images/{MODEL}/2/42.png", timeout=PATIENCE).content)


def test_it_finds_server_and_models(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert client.is_model_ready(MODEL, "2")
    assert not client.is_model_ready("cats")
    assert client.get_server_metadata()["name"] == "dcgan-server"
    assert client.get_model_metadata(MODEL, "2")["versions"] == ["2"]
    index = client.get_model_repository_index()
    assert {"name": MODEL, "version": "2", "state": "READY", "reason": ""} in index


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_it_gets_the_image_of_a_seed(
    client: Any,
    rows: np.ndarray,
    image: np.ndarray,
    binary_in: bool,
    binary_out: bool,
    compression: str | None,
) -> None:
    result = client.infer(
        MODEL,
        sent(rows, binary=binary_in),
        model_version="2",
        outputs=outputs(binary=binary_out),
        request_id="40-42",
        request_compression_algorithm=compression,
        response_compression_algorithm=compression,
    )
    assert result.get_response()["id"] == "40-42"
    pixels = result.as_numpy("pixels")
    assert (pixels.shape, pixels.dtype) == ((3, 28, 28, 1), np.uint8)
    assert np.array_equal(pixels[2, :, :, 0], image)


def test_without_outputs_it_gets_all_in_binary(
    client: Any, rows: np.ndarray, image: np.ndarray
) -> None:
    result = client.infer(MODEL, sent(rows, binary=True))
    assert "binary_data_size" in result.get_output("pixels")["parameters"]
    assert np.array_equal(result.as_numpy("pixels")[2, :, :, 0], image)


def test_it_sends_concurrent_requests(client: Any, rows: np.ndarray) -> None:
    whole = client.infer(MODEL, sent(rows, binary=True)).as_numpy("pixels")
    pending = [client.async_infer(MODEL, sent(rows[k : k + 1], binary=True)) for k in range(3)]
    each = [one.get_result().as_numpy("pixels") for one in pending]
    assert np.array_equal(np.concatenate(each), whole)


def test_it_reads_statistics(client: Any, rows: np.ndarray) -> None:
    def images() -> int:
        (found,) = client.get_inference_statistics(MODEL, "2")["model_stats"]
        return int(found["inference_count"])

    before = images()
    client.infer(MODEL, sent(rows, binary=True), model_version="2")
    assert images() == before + 3
    assert client.get_inference_statistics()["model_stats"]


def test_it_gets_the_reason_of_an_error(client: Any, rows: np.ndarray) -> None:
    with pytest.raises(triton.InferenceServerException) as wrong:
        client.infer(MODEL, sent(rows[:, :-1].copy(), binary=True))
    assert wrong.value.status() == "422"
    assert "latents has shape" in wrong.value.message()
    with pytest.raises(triton.InferenceServerException, match="model is 'cats' but must be one of"):
        client.get_model_metadata("cats")
    with pytest.raises(triton.InferenceServerException, match="but must be 'pixels' alone"):
        client.infer(MODEL, sent(rows, binary=True), outputs=[http.InferRequestedOutput("images")])


@pytest.mark.parametrize("binary", [True, False])
def test_it_chooses_classes(client: Any, binary: bool) -> None:
    latents = sampling.from_seeds([1, 2, 3], conditional.WIDTH)
    classes = np.float32([[0, 1, 0, 0], [0, 0, 1, 0], [3, 1, 0, 0]])
    chosen = [tensor("classes", classes, binary=binary), *sent(latents, binary=not binary)]
    pixels = client.infer("shoes", chosen).as_numpy("pixels")
    mixed = classes / classes.sum(axis=1, keepdims=True)
    assert np.array_equal(pixels, conditional.expected(latents, mixed))
    with pytest.raises(triton.InferenceServerException, match="classes has only zeros in row 0"):
        client.infer("shoes", [chosen[1], tensor("classes", 0 * classes, binary=binary)])


def test_it_gets_the_configuration(client: Any) -> None:
    found = client.get_model_config("shoes", "1")
    names = {one["name"]: one["optional"] for one in found["input"]}
    assert names == {"latents": False, "classes": True}
    assert client.get_model_config(MODEL)["max_batch_size"] == 256


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (MODEL, None),
        ("shoes", {"latents": [0.5] * 8, "classes": [0.0, 1.0, 0.0, 0.0]}),
        ("shoes", {"latents": [0.5] * 8}),
    ],
)
def test_perf_analyzer_measures_a_model(
    address: str, tmp_path: Path, model: str, data: dict[str, list[float]] | None
) -> None:
    if not shutil.which("perf_analyzer"):
        pytest.skip("perf_analyzer is not installed")
    (tmp_path / "data.json").write_text(json.dumps({"data": [data]}))
    command = ["perf_analyzer", "-m", model, "-u", address, "-i", "http", "-b", "2"]
    command += ["--request-count", "50", *(["--input-data", "data.json"] if data else [])]
    measured = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "Inferences/Second vs. Client" in measured.stdout


def test_it_unloads_and_loads(client: Any, rows: np.ndarray) -> None:
    client.unload_model("faces", headers=ADMINISTRATOR)
    assert not client.is_model_ready("faces")
    client.load_model("faces", headers=ADMINISTRATOR)
    assert client.is_model_ready("faces")
    with pytest.raises(triton.InferenceServerException) as wrong:
        client.load_model("faces")
    assert wrong.value.status() == "401"
    assert client.infer(MODEL, sent(rows, binary=True)).as_numpy("pixels").shape[0] == 3


@pytest.mark.parametrize("binary", [True, False])
def test_the_asynchronous_client_works_too(
    address: str, rows: np.ndarray, image: np.ndarray, binary: bool
) -> None:
    async def scenario() -> list[Any]:
        async with aio.InferenceServerClient(address) as client:
            assert await client.is_server_ready()
            assert await client.is_model_ready(MODEL)
            assert (await client.get_model_metadata(MODEL))["platform"] == "onnxruntime_onnx"
            assert await client.get_model_repository_index()
            await client.load_model("faces", headers=ADMINISTRATOR)
            requests = [
                client.infer(MODEL, sent(rows, binary=binary), outputs=outputs(binary=binary))
                for _ in range(4)
            ]
            return await asyncio.gather(*requests)

    for result in asyncio.run(scenario()):
        assert np.array_equal(result.as_numpy("pixels")[2, :, :, 0], image)


def test_the_example_in_the_readme_works(root: Path, address: str) -> None:
    readme = (root / "app" / "api" / "README.md").read_text()
    (example,) = (
        block.partition("```")[0]
        for block in readme.split("```python\n")[1:]
        if "tritonclient" in block.partition("```")[0]
    )
    assert "127.0.0.1:8000" in example
    program = example.replace("127.0.0.1:8000", address) + "\nprint(pixels.dtype, pixels.shape)"
    ended = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert ended.stdout == "uint8 (16, 28, 28, 1)\n"
