"""Reads ``/metrics`` with the parser of prometheus_client."""

from prometheus_client.parser import text_string_to_metric_families


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by its name and labels; a duplicate fails the test."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, key
            found[key] = sample.value
    return found


def value(text: str, name: str, **labels: str) -> float:
    """The sum of all samples of ``name`` that have these labels, with or without others."""
    required = set(labels.items())
    return sum(v for (n, own), v in samples(text).items() if n == name and own >= required)
