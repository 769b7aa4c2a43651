"""Pin the published images that are used here by digest: ``python3 -m app.deploy.pin``.

A tag can be moved to another image, a digest cannot. The digests that the registry has now are
written into both Dockerfiles and docker-compose.yml, beside the tags; the next call replaces them.
This needs Docker with buildx, and a registry that can be reached.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

FILES = ("Dockerfile", "app/deploy/Dockerfile", "docker-compose.yml")

_IMAGE = re.compile(
    r"(?P<place>^ARG \w+_IMAGE=|\$\{\w+_IMAGE:-)"  # the default of an argument or a variable
    r"(?P<name>[^\s@}]+)(?:@sha256:[0-9a-f]{64})?",
    re.MULTILINE,
)


def pin(text: str, digest_of: Callable[[str], str]) -> str:
    """Return ``text`` with ``digest_of(name)`` after the name of every image."""
    return _IMAGE.sub(
        lambda found: f"{found[0].partition('@')[0]}@{digest_of(found['name'])}", text
    )


def published_digest(name: str) -> str:
    """Return the digest of an image in its registry, of all platforms together.

    Raises CalledProcessError if it cannot be looked up.
    """
    inspect = ["docker", "buildx", "imagetools", "inspect", name, "--format", "{{json .Manifest}}"]
    ended = subprocess.run(inspect, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    digest: str = json.loads(ended.stdout)["digest"]
    return digest


def main() -> int:
    """Pin all images, or change nothing; return the exit status."""
    texts = {Path(name): Path(name).read_text() for name in FILES}
    try:
        pinned = {path: pin(text, published_digest) for path, text in texts.items()}
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no image was pinned: {error}", file=sys.stderr)
        return 1
    for path, text in pinned.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
