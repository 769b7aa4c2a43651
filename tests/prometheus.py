"""What a server's ``/metrics`` say, as Prometheus would read them."""

from prometheus_client.parser import text_string_to_metric_families


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by name and labels; one that is told twice is an error."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, key
            found[key] = sample.value
    return found


def value(text: str, name: str, **labels: str) -> float:
    """The sum of all samples of ``name`` that have these labels, whatever others they have."""
    wanted = labels.items()
    return sum(v for (n, own), v in samples(text).items() if n == name and own >= set(wanted))
