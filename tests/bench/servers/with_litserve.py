"""LitServe, https://lightning.ai/docs/litserve: batches in a separate process."""

import sys

import litserve as ls
import numpy as np
from fastapi import Response
from generator import Generator, Latents, Pixels, png


class Sheets(ls.LitAPI):
    def setup(self, _: str) -> None:
        self.generator = Generator()

    def decode_request(self, request: dict[str, int]) -> Latents:
        return self.generator.latents(request["n"])

    def batch(self, inputs: list[Latents]) -> list[Latents]:
        return inputs

    def predict(self, batch: list[Latents]) -> list[Pixels]:
        ends = np.cumsum([len(latents) for latents in batch])[:-1]
        return np.split(self.generator.draw(np.concatenate(batch)), ends)

    def unbatch(self, output: list[Pixels]) -> list[Pixels]:
        return output

    def encode_response(self, output: Pixels) -> Response:
        return Response(png(output), media_type="image/png")


if __name__ == "__main__":
    sheets = Sheets(max_batch_size=64, batch_timeout=0.001, api_path="/generate")
    server = ls.LitServer(sheets, accelerator="cpu", fast_queue=True)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
