"""The store for an address, by its scheme."""

from app.exchange import address
from app.exchange.address import BucketFolder, HubFolder, WebFolder
from app.exchange.bucket import BucketStore
from app.exchange.hub import HubStore
from app.exchange.store import Store, Target
from app.exchange.web import WebStore


def open_source(text: str) -> Store:
    """The version folder at ``text``. Raises ExchangeError if its library is not installed."""
    match address.parse(text):
        case WebFolder() as folder:
            return WebStore(folder)
        case HubFolder() as folder:
            return HubStore(folder)
        case BucketFolder() as folder:
            return BucketStore(folder)


def open_target(text: str) -> Target:
    """The folder to write at ``text``. Raises ExchangeError if its library is not installed."""
    match address.parse_target(text):
        case HubFolder() as folder:
            return HubStore(folder)
        case BucketFolder() as folder:
            return BucketStore(folder)
