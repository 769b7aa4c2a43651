"""Base classes of response bodies: their schemas say which fields a response always has.

A default is a fact for a response, not an offer: pydantic's schemas would call every field that has
one optional.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict


class WholeBody(BaseModel):
    """A body that has all of its fields; None is null."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


def _describe_absence(schema: dict[str, Any]) -> None:
    required = schema.setdefault("required", [])
    for name, field in schema.get("properties", {}).items():
        if name in required:
            continue
        if field.pop("default", None) is not None:
            required.append(name)
            continue
        kinds = [one for one in field.pop("anyOf", []) if one.get("type") != "null"]
        field.update(kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {})


class SparseBody(BaseModel):
    """A body without those of its fields that are None: it is written with ``exclude_none``."""

    model_config = ConfigDict(json_schema_extra=_describe_absence)
