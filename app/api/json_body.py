"""JSON bodies: an absent field has its default, and null is refused, as it could mean anything."""

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema


class NotNull:
    """Annotation of an optional type ``X | None``: None is its default, and no value of a request.

    JSON Schema then describes ``X`` alone.
    """

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """The schema of ``X``."""
        schema = handler(source)
        return schema["schema"] if schema["type"] == "nullable" else schema


class JsonBody(BaseModel):
    """A body, or an object in one, in which no field may be null."""

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """The schema of the model, with NotNull for all fields, also those that it inherits."""
        for field in cls.__pydantic_fields__.values():
            field.metadata = [*field.metadata, NotNull()]
        return handler(source)
