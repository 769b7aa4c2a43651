"""Describes parameters that a request may have in its query or its body, or leave out, in OpenAPI.

Their defaults are described in words: clients that are generated from the document would send a
default as a value, and ``null`` is no value of theirs.
"""

from typing import Any

Schema = dict[str, Any]


def without_defaults(schema: Schema) -> None:
    """Move the defaults in ``schema``, which is that of an object, into its descriptions."""
    for described in schema.get("properties", {}).values():
        without_null(described)
        _in_words(described, described)


def query_without_defaults(parameters: list[Schema]) -> None:
    """``without_defaults`` of the parameters of an operation in OpenAPI."""
    for parameter in parameters:
        _in_words(parameter["schema"], parameter)


def without_null(schema: Schema) -> None:
    """Remove the type null from the alternatives in ``schema``."""
    sent = [one for one in schema.pop("anyOf", []) if one.get("type") != "null"]
    schema.update(*sent if len(sent) == 1 else [{"anyOf": sent}] if sent else [])


def _in_words(schema: Schema, described: Schema) -> None:
    default = schema.pop("default", None)
    if default not in (None, {}, []):
        shown = f"{default:g}" if isinstance(default, int | float) else f"`{default}`"
        if isinstance(default, bool):
            shown = f"`{str(default).lower()}`"
        described["description"] += f"; default: {shown}"
