"""The image of a point or a sum, surrounded by its neighbours, as a response."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import Response

from app.api import generated, responses
from app.api.drawing import Drawing
from app.api.formats import Format
from app.api.generated import Source
from app.api.responses import Shown
from app.api.schemas import NeighbourImage, Neighbours
from app.artifact.card import Card
from app.imaging.sheets import Sheet
from app.latent.arithmetic import Neighbourhood
from app.runtime.arrays import GraphInputs


@dataclass(frozen=True)
class Surrounded:
    """An image with its neighbours."""

    layout: Neighbourhood
    sheet: Sheet
    seed: int | None
    """The first seed of the request, if it has one."""
    centre: int | None
    """The seed of the image in the middle, if it is that of a seed."""

    @property
    def sources(self) -> list[Source]:
        """The seed of each image that has no noise."""
        alike, layout = self.layout.radius == 0, self.layout
        return [self.centre if alike or k == layout.middle else None for k in range(layout.count)]


async def response(
    form: Format, drawing: Drawing, rows: GraphInputs, shown: Surrounded
) -> Response:
    """The images of ``rows``, see ``responses.images``.

    Raises the errors of ``Drawing.draw`` and of ``generated.addresses``.
    """
    version, options_of = drawing.version, drawing.options.of_image
    build = partial(_body, version.card, shown.layout)
    if form == "urls":
        return generated.addresses(drawing, shown.sources, options_of, build)
    drawn = await drawing.draw(rows, on_sheet=form in responses.SHEETS)

    def body(files: Sequence[bytes]) -> Neighbours:
        base = drawing.context.public_url
        found = generated.described(version, options_of, shown.sources, base)
        return build(generated.with_files(found, drawn, files))

    return await responses.images(form, drawn, shown.sheet, Shown(shown.seed), body)


def _body(card: Card, layout: Neighbourhood, images: Sequence[dict[str, Any]]) -> Neighbours:
    return Neighbours(
        model=card.name,
        version=card.version,
        seed=layout.seed,
        radius=layout.radius,
        rows=layout.rows,
        cols=layout.cols,
        middle=layout.middle,
        images=[NeighbourImage(**image) for image in images],
    )
