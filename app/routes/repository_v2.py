"""``/v2/repository``: what the models folder holds, as the protocol's extension tells it."""

from fastapi import APIRouter

from app import openapi
from app.catalog import Refused
from app.deps import InService
from app.errors import ParameterError, TooLargeError
from app.schemas_v2 import IndexEntry, IndexRequest

router = APIRouter(prefix="/v2/repository", tags=["open inference protocol"])


@router.post("/index", responses=openapi.protocol_errors(TooLargeError, ParameterError))
async def repository_index(
    catalog: InService, body: IndexRequest | None = None
) -> list[IndexEntry]:
    """Every version in the models folder, and why one is out of service."""
    index = [
        IndexEntry(name=served.card.name, version=str(served.card.version), state="READY")
        for served in catalog
    ]
    if body is None or not body.ready:
        index += [_unavailable(refused) for refused in catalog.refused]
    return index


def _unavailable(refused: Refused) -> IndexEntry:
    name, _, version = refused.folder.rpartition("/")
    return IndexEntry(name=name, version=version, state="UNAVAILABLE", reason=refused.reason)
