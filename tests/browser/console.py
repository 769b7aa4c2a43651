"""The console of a page."""


def ignore_failed_requests(console_errors: list[str]) -> None:
    """Clear the errors that Chromium logs for failed requests; there must be no others."""
    assert console_errors
    assert [text for text in console_errors if not text.startswith("Failed to load resource")] == []
    console_errors.clear()
