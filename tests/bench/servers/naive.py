"""The simplest server: a FastAPI route around onnxruntime and Pillow."""

import sys

import uvicorn
from fastapi import FastAPI, Response
from generator import Generator, png

app, generator = FastAPI(), Generator()


@app.post("/generate")
def generate(n: int = 16) -> Response:
    return Response(png(generator.draw(generator.latents(n))), media_type="image/png")


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]))
