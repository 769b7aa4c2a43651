import asyncio
import json
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from app.api import responses, streaming
from app.api.drawing import Drawing
from app.batching.jobs import DisconnectedError
from app.runtime import arrays
from app.runtime.arrays import GraphInputs


def test_pieces_grow_up_to_16_rows_and_have_all_rows() -> None:
    rows = np.arange(60, dtype=np.float32).reshape(30, 2)
    pieces = list(streaming.pieces({"latents": rows, "classes": -rows}))
    assert [len(piece["latents"]) for piece in pieces] == [1, 2, 4, 8, 15]
    np.testing.assert_array_equal(np.concatenate([piece["latents"] for piece in pieces]), rows)
    np.testing.assert_array_equal(np.concatenate([piece["classes"] for piece in pieces]), -rows)
    many = {"latents": np.zeros((256, 2), np.float32)}
    lengths = [len(piece["latents"]) for piece in streaming.pieces(many)]
    assert lengths == [1, 2, 4, 8] + [16] * 15 + [1]


def test_a_stream_ends_without_a_problem_if_its_client_disconnects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Disconnecting:
        """Draws one image, then notices that the client has disconnected."""

        drawn = 0

        async def draw(self, rows: GraphInputs, *, on_sheet: bool) -> SimpleNamespace:
            assert not on_sheet
            if self.drawn:
                raise DisconnectedError
            self.drawn = arrays.count(rows)
            return SimpleNamespace(count=self.drawn, condition=lambda _: {})

    async def pngs(drawn: SimpleNamespace) -> list[bytes]:
        return [b"png"] * drawn.count

    async def lines() -> list[object]:
        drawing = cast("Drawing", Disconnecting())
        rows = {"latents": np.zeros((4, 2), np.float32)}
        images = [{"position": k, "width": 1, "height": 1} for k in range(4)]
        stream = await streaming.frames(drawing, rows, images, 7, "/interpolate")
        return [line async for line in stream.body_iterator]

    simulated = SimpleNamespace(
        pngs=pngs, image_headers=lambda *_: (), base64_text=responses.base64_text
    )
    monkeypatch.setattr(streaming, "responses", simulated)
    found = asyncio.run(lines())
    assert [json.loads(str(line))["position"] for line in found] == [0]
