"""Additional checks for Schemathesis, for rules that OpenAPI cannot express."""

import re

import schemathesis
from schemathesis import Case, CheckContext
from schemathesis.core.transport import Response

RELATIONS = re.compile(
    r"left out where [\w=]+ is given"
    r"|given instead of"
    r"|where corners is given"
    r"|of the \d+ images are not those of a seed alone"
    r"|no side of a WebP file has more than"
    r"|at most \d+ (images in all|pixels)"
    r"|left out: \S+ has no attributes to edit"
    r"|left out: \S+ has no (classes|attributes to choose)"
    r"|left out where rows=\w+ and \w+ are given"
    r"|as \S+ has no (classes|attributes) to choose"
    r"|or an index from 0 to \d+|class(es)?, as there is one for each"
    r"|left out where the body has it: in the query or in the body"
    r"|an edit names every attribute once|a mixture names every class once"
    r"|every attribute is named once|at least one weight of a mixture is above 0"
    r"|the weight of .* is .*, not 0 to 1000"
    r"|a list of \d+ numbers for"
    r"|one of (beard, closed_eyes|sefa_1), "
    r"|(latents|classes) has (shape|rows of different|neither data|both data|binary_data_size)"
    r"|the inputs are .* but must be 'latents'"
    r"|classes has (the value|only zeros|\d+ rows?)"
    r"|prompt is .* but must be empty|size is .* but must be one of auto, "
    r"|Inference-Header-Content-Length is \d+, but the body has"
    r"|the body: Invalid JSON: "  # truncated at that length
    r"|numbers that are not finite as 32-bit floats"
)
"""Reasons to refuse a value that is valid alone, but not together with the others."""
IMAGES = {f"image/{name}" for name in ("png", "jpeg", "webp", "gif")}
ANY_BYTES = {"application/octet-stream", "multipart/form-data", *IMAGES}
"""Media types whose bytes OpenAPI does not describe."""


@schemathesis.check
def only_relations_are_refused(_: CheckContext, response: Response, case: Case) -> None:
    """A request that its schema allows is refused only if its parameters contradict each other."""
    status = 400 if case.path.startswith("/v1/") else 422
    if response.status_code != status or not case.meta.generation.mode.is_positive:
        return
    if case.media_type in ANY_BYTES:
        return  # OpenAPI allows any bytes
    if case.method == "HEAD":
        return  # the response has no body with a reason; GET has the same errors
    if case.path_parameters.get("form", "png") not in {"png", "webp"}:
        return  # parsed from a link whose query has a dot
    refused = response.json()
    reasons = [one["allowed"] for one in refused.get("errors", [])] or [str(refused.get("error"))]
    others = [reason for reason in reasons if not RELATIONS.search(reason)]
    if others:
        raise AssertionError(f"the schema allows this request, but it is refused: {others}")


@schemathesis.check
def timeouts_only_on_request(_: CheckContext, response: Response, case: Case) -> None:
    """504 only for requests with their own deadline: none takes as long as the server allows."""
    assert response.status_code != 504 or "X-Request-Timeout" in case.headers
