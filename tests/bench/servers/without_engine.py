"""Our server with an engine that copies one image: what a request costs besides its work."""

import sys

from app.__main__ import main
from app.imaging.sheets import Pixels
from app.runtime import arrays
from app.runtime.arrays import GraphInputs
from app.runtime.engine import Engine

compute = Engine.__call__


images: dict[Engine, Pixels] = {}


def copied(engine: Engine, inputs: GraphInputs) -> Pixels:
    if engine not in images:
        images[engine] = compute(engine, arrays.part(inputs, slice(1)))
    return images[engine].repeat(arrays.count(inputs), axis=0)


Engine.__call__ = copied  # type: ignore[method-assign]
sys.exit(main(sys.argv[1:]))
