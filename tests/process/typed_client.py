"""A program that uses the client generated from the OpenAPI document."""

import base64
import sys
from http import HTTPStatus

from dcgan_client import Client
from dcgan_client.api.health import ready
from dcgan_client.api.images import arithmetic, generate, grid, image, variations_of_point
from dcgan_client.models import (
    ArithmeticBody,
    GenerateBody,
    Generated,
    GenerateFormat,
    ImageForm,
    Neighbours,
    Problem,
    Ready,
    VariationsBody,
)
from dcgan_client.types import File, Response

PNG = b"\x89PNG"


def main(address: str) -> None:
    client = Client(address, headers={"Accept": "application/json, image/png;q=0.9"})
    health = ready.sync(client=client)
    assert isinstance(health, Ready)

    made = generate.sync(client=client, n=4, seed=42, body=GenerateBody())
    assert isinstance(made, Generated)
    assert [one.seed for one in made.images] == [42, 43, 44, 45]
    assert isinstance(made.images[0].png, str)
    content = base64.b64decode(made.images[0].png)
    assert content.startswith(PNG)

    linked = generate.sync(client=client, n=4, seed=42, format_=GenerateFormat.URLS)
    assert isinstance(linked, Generated)
    assert [one.url for one in linked.images] == [one.url for one in made.images]
    assert all(one.width == one.height == 28 and not one.png for one in linked.images)

    same = generate.sync(client=client, body=GenerateBody(n=4, seed=42))
    assert isinstance(same, Generated)
    assert same.images == made.images

    sent = generate.sync(client=client, body=GenerateBody(latents=[[0.5] * 64]))
    assert isinstance(sent, Generated)
    assert sent.images[0].latent == [0.5] * 64

    picture = image.sync(made.model, made.version, 42, ImageForm.PNG, client=client)
    assert isinstance(picture, File)
    assert picture.payload.read() == content
    plane = grid.sync(client=client, corners=[1, 2, 3, 4], rows=3, cols=3)
    assert isinstance(plane, Generated)
    assert len(plane.images) == 9

    summed = arithmetic.sync(client=client, body=ArithmeticBody(plus=[[1, 2], [3]], minus=[[4]]))
    assert isinstance(summed, Neighbours)
    assert len(summed.images) == summed.rows * summed.cols

    around = variations_of_point.sync(client=client, body=VariationsBody(point=[0.5] * 64))
    assert isinstance(around, Neighbours)
    assert around.images[around.middle].png == sent.images[0].png

    refused: Response[Generated | Problem] = generate.sync_detailed(
        client=client, n=257, body=GenerateBody()
    )
    assert refused.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert isinstance(refused.parsed, Problem)
    assert refused.parsed.errors
    assert refused.parsed.errors[0].parameter == "n"
    sys.stdout.write("all responses are as expected\n")


if __name__ == "__main__":
    main(sys.argv[1])
