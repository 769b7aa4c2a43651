"""What ``avatars`` is told: a model whose fields are its flags. Needs none of what draws."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from training.data.avatars.dataset import PLACE


class Album(BaseModel):
    """The options of ``avatars``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(50_000, ge=1, le=10**6, description="faces to draw")
    out: Path = Field(PLACE, description="the folder to draw them into, which must not be there")
    seed: int = Field(0, ge=0, lt=2**32, description="decides who is drawn")
    processes: int = Field(
        0, ge=0, le=1024, description="processes that draw; 0 for one a CPU that may be used"
    )
