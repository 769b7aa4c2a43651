"""Addresses of version folders elsewhere: ``https://…``, ``hf://…`` and ``s3://…``."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import SplitResult, quote, urlsplit

from app.artifact.card import CARD_FILE

PULLED: Final = (
    "https://HOST/FOLDER, hf://ORG/REPO[/FOLDER][@REVISION] or s3://BUCKET/FOLDER, "
    "the folder of one version"
)
"""What a source may be."""
PUSHED: Final = "hf://ORG/REPO[/FOLDER][@REVISION] or s3://BUCKET/FOLDER"
"""What a target may be."""

_HUB = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(?P<folder>(?:/[^/@]+)*)(?:@(?P<revision>.+))?")
_BUCKET = re.compile(r"(?P<bucket>[A-Za-z0-9._-]+)(?P<folder>(?:/[^/]+)+)")


@dataclass(frozen=True)
class WebFolder:
    """A folder that a web server offers."""

    url: str
    """It ends with a slash."""

    def file(self, name: str) -> str:
        """The address of a file in it."""
        return self.url + quote(name)

    @property
    def secure(self) -> bool:
        """Whether it is read over HTTPS."""
        return self.url.startswith("https:")


@dataclass(frozen=True)
class HubFolder:
    """A folder in a model repository of the Hugging Face Hub, or its root."""

    repository: str
    folder: str
    """Without slashes at its ends; empty for the root."""
    revision: str | None
    """A branch, tag or commit; None for the default branch."""

    def path(self, name: str) -> str:
        """The path of a file in the repository."""
        return f"{self.folder}/{name}" if self.folder else name

    def file(self, name: str) -> str:
        """The address of a file in it."""
        revision = f"@{self.revision}" if self.revision else ""
        return f"hf://{self.repository}/{self.path(name)}{revision}"


@dataclass(frozen=True)
class BucketFolder:
    """A folder in an S3 bucket."""

    path: str
    """Bucket and folder, without slashes at the ends."""

    def file(self, name: str) -> str:
        """The address of a file in it."""
        return f"s3://{self.path}/{name}"


Address: TypeAlias = WebFolder | HubFolder | BucketFolder


def parse(text: str) -> Address:
    """The address that ``text`` is: of a version folder, or of the card in it.

    Raises ValueError, whose text never contains a password.
    """
    scheme, separator, rest = text.partition("://")
    path = rest.rstrip("/")
    match scheme.lower() if separator else "":
        case "https" | "http":
            return _web(text)
        case "hf" if found := _HUB.fullmatch(path):
            folder = _without_card(found["folder"]).strip("/")
            return HubFolder(found["repository"], folder, found["revision"])
        case "s3" if found := _BUCKET.fullmatch(_without_card(path)):
            return BucketFolder(found[0])
    raise ValueError(f"is {_shown(text)} but must be {PULLED}")


def parse_target(text: str) -> HubFolder | BucketFolder:
    """The address of a folder to write into. Raises ValueError."""
    try:
        address = parse(text)
    except ValueError as error:
        raise ValueError(f"is {_shown(text)} but must be {PUSHED}") from error
    if not isinstance(address, WebFolder):
        return address
    raise ValueError(f"is {_shown(text)}, and web servers are only read, but must be {PUSHED}")


def _web(text: str) -> WebFolder:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:  # a wrong port or a wrong IPv6 address
        raise ValueError(f"is {_shown(text)}, which is no URL, but must be {PULLED}") from error
    if not host:
        raise ValueError(f"is {_shown(text)} but must be {PULLED}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("has a user name or a password but must have none: ~/.netrc may have them")
    if parts.query or parts.fragment:
        raise ValueError(
            f"is {_shown(text)}, with '?' or '#', but must be the URL of a folder or of its card"
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(
            f"is {_shown(text)} but must begin with https://; http:// is only for this machine"
        )
    return WebFolder(_folder(parts))


def _folder(parts: SplitResult) -> str:
    return parts._replace(path=f"{_without_card(parts.path)}/").geturl()


def _without_card(path: str) -> str:
    """The folder in ``path``, which may be that of the card in it."""
    return path.removesuffix(f"/{CARD_FILE}").rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine, by its name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _shown(text: str) -> str:
    """``text`` in quotes, without user name, password and query, which may be secret."""
    return repr(re.sub(r"//[^/@]*@", "//***@", re.sub(r"\?.*", "?***", text)))
