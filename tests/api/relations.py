"""What Schemathesis loads: a check of its own, for what OpenAPI cannot say."""

import re

import schemathesis
from schemathesis import Case, CheckContext
from schemathesis.core.transport import Response

RELATIONS = re.compile(
    r"left out where \w+ is given"
    r"|given in place of"
    r"|where corners is given"
    r"|at most \d+ (images in all|pixels)"
    r"|left out: \S+ has no attributes to edit"
    r"|an edit names every attribute once"
    r"|a list of \d+ numbers, where"
    r"|one of beard, closed_eyes, "
    r"|latents has (shape|rows of different lengths|neither data|both data|binary_data_size)"
    r"|Inference-Header-Content-Length is \d+, but the body has"
    r"|Invalid JSON: EOF while parsing"  # at that length
    r"|numbers that are not finite as 32-bit floats"
)
"""What is said of a value that is allowed by itself, but not beside the others."""


@schemathesis.check
def only_relations_are_refused(_: CheckContext, response: Response, case: Case) -> None:
    """A request that its schema allows is 422 only where its parameters do not go together."""
    if response.status_code != 422 or not case.meta.generation.mode.is_positive:
        return
    if case.media_type == "application/octet-stream":
        return  # to OpenAPI any bytes are as good as others
    if case.method == "HEAD":
        return  # which says nothing of its reasons; GET has the same
    if case.path_parameters.get("form", "png") not in {"png", "webp"}:
        return  # followed from a URL whose query has a dot
    refused = response.json()
    said = [one["allowed"] for one in refused.get("errors", [])] or [refused.get("error", "")]
    alien = [words for words in said if not RELATIONS.search(words)]
    if alien:
        raise AssertionError(f"the schema allows this request, and it is refused for {alien}")


@schemathesis.check
def late_only_where_asked(_: CheckContext, response: Response, case: Case) -> None:
    """No request takes as long as the server allows: only shorter deadlines pass."""
    assert response.status_code != 504 or "X-Request-Timeout" in case.headers
