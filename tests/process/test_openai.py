"""OpenAI's client, used with a real server."""

import base64
import io
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from app.latent import sampling
from tests import conditional
from tests.serving import serving
from tests.waiting import PATIENCE

openai = pytest.importorskip("openai", reason="openai is not installed")

KEY = "somebodys-drawing-key"
MODEL = "fashion-mnist"


@pytest.fixture(scope="module")
def address(root: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    served = folder / "models"
    shutil.copytree(models / MODEL, served / MODEL)
    conditional.publish("shoes", served)
    command = [sys.executable, "-m", "app", "--provider", "cpu", "--models", str(served)]
    with serving([*command, "--api-keys", KEY], root, folder / "log") as url:
        yield url


@pytest.fixture
def client(address: str) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{address}/v1", api_key=KEY) as client:
        yield client


def test_it_lists_models(client: Any) -> None:
    ids = [model.id for model in client.models.list()]
    assert {MODEL, f"{MODEL}/2", "shoes", "shoes/1"} <= {*ids}
    for model in ids:
        assert client.models.retrieve(model).id == model


def test_it_gets_an_image_of_a_class(client: Any, decode: Callable[[bytes], np.ndarray]) -> None:
    found = client.images.generate(
        model="shoes", prompt="a red sneaker", n=2, size="8x6", extra_body={"seed": 42}
    )
    assert [image.revised_prompt for image in found.data] == ["sneaker"] * 2
    pixels = np.stack([decode(base64.b64decode(image.b64_json)) for image in found.data])
    sneaker = np.float32([[0, 1, 0, 0]] * 2)
    small = conditional.expected(sampling.from_seeds([42, 43], conditional.WIDTH), sneaker)
    assert np.array_equal(pixels, small[..., 0].repeat(2, axis=1).repeat(2, axis=2))


def test_it_gets_urls_of_the_same_files(client: Any, address: str) -> None:
    request = {"model": MODEL, "prompt": "", "quality": "high", "extra_body": {"seed": 42}}
    (file,) = client.images.generate(**request, response_format="b64_json").data
    (link,) = client.images.generate(**request, response_format="url").data
    assert link.url == f"{address}/images/{MODEL}/2/42.png"
    headers = {"Authorization": f"Bearer {KEY}"}
    content = httpx.get(link.url, headers=headers, timeout=PATIENCE).content
    assert content == base64.b64decode(file.b64_json)
    with Image.open(io.BytesIO(content)) as image:
        assert image.size == (28, 28)


def test_it_raises_its_own_errors(client: Any, address: str) -> None:
    with pytest.raises(openai.BadRequestError, match="names 1 to 16 classes of shoes/1") as wrong:
        client.images.generate(model="shoes", prompt="a hat")
    assert (wrong.value.param, wrong.value.code) == ("prompt", "invalid_value")
    with pytest.raises(openai.BadRequestError, match="one of auto, 28x28, 56x56, "):
        client.images.generate(model=MODEL, prompt="", size="1024x1024")
    for ask in (client.models.retrieve, lambda name: client.images.generate(model=name, prompt="")):
        with pytest.raises(openai.NotFoundError, match="must be one of fashion-mnist, shoes"):
            ask("dall-e-3")
    with openai.OpenAI(base_url=f"{address}/v1", api_key="another") as stranger:
        assert stranger.models.list().data
        with pytest.raises(openai.AuthenticationError) as refused:
            stranger.images.generate(prompt="")
    assert refused.value.code == "invalid_api_key"


def test_the_example_in_the_readme_works(root: Path, address: str, tmp_path: Path) -> None:
    readme = (root / "app" / "api" / "README.md").read_text()
    (example,) = (
        block.partition("```")[0]
        for block in readme.split("```python\n")[1:]
        if "from openai import OpenAI" in block.partition("```")[0]
    )
    program = example.replace("http://127.0.0.1:8000", address).replace("unused", KEY)
    assert KEY in program
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
    with Image.open(tmp_path / "image.png") as image:
        assert image.size == (112, 112)
