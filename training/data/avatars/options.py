"""The options of ``avatars``, whose fields are its flags. Imports none of the drawing libraries."""

from pydantic import BaseModel, ConfigDict, Field

from training.config import GivenPath
from training.data.avatars.dataset import DEFAULT_FOLDER


class AvatarsOptions(BaseModel):
    """The options of ``avatars``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(50_000, ge=1, le=10**6, description="number of faces")
    out: GivenPath = Field(DEFAULT_FOLDER, description="output folder, which must not exist yet")
    seed: int = Field(0, ge=0, lt=2**32, description="seed that determines the faces")
    processes: int = Field(
        0, ge=0, le=1024, description="number of worker processes; 0 for one per available CPU"
    )
