"""Lists in a query."""


def split(texts: str | list[str]) -> list[str]:
    """The values of a list: the parameter may be repeated, and each may have several by commas."""
    listed = [texts] if isinstance(texts, str) else texts
    return [value for text in listed for value in text.split(",")]
