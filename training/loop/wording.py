"""Numbers in sentences."""


def counted(number: int, noun: str) -> str:
    """``number`` of what ``noun`` names in the singular: ``1 epoch``, ``2,000 epochs``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
