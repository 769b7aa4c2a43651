"""Reads and writes version folders in S3 buckets, by s3fs.

Address and credentials are those of botocore, such as ``AWS_PROFILE``, ``AWS_ENDPOINT_URL`` and
~/.aws, and of fsspec, such as ``FSSPEC_S3_ANON=true`` for public buckets.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from app.exchange.address import BucketFolder
from app.exchange.store import ExchangeError, MissingFileError, check_size, reason, require


class BucketStore:
    """A folder in a bucket."""

    def __init__(self, folder: BucketFolder) -> None:
        """Raises ExchangeError if s3fs is not installed."""
        require("s3fs", "s3", "s3")
        import fsspec

        self._folder = folder
        # Without a memory of listings, which would hide what others write meanwhile.
        self._files: Any = fsspec.filesystem("s3", use_listings_cache=False)

    def address(self, file: str) -> str:
        """The address of a file."""
        return self._folder.file(file)

    def read(self, file: str, limit: int) -> bytes:
        """The content of a file, as ``Store.read``."""
        path = self.address(file)
        with self._errors(file):
            check_size(self._files.info(path)["size"], path, limit)
            content: bytes = self._files.cat_file(path, start=0, end=limit + 1)
            check_size(len(content), path, limit)
            return content

    def exists(self, file: str) -> bool:
        """Whether there is a file of this name."""
        with self._errors(file):
            return bool(self._files.exists(self.address(file)))

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write ``files`` one after the other."""
        for name, content in files.items():
            with self._errors(name):
                self._files.pipe_file(self.address(name), content)

    @contextmanager
    def _errors(self, file: str) -> Iterator[None]:
        """Turn what the library raises into an ExchangeError that names the address of a file."""
        address = self.address(file)
        try:
            yield
        except ExchangeError:
            raise
        except FileNotFoundError as error:  # also of a bucket
            raise MissingFileError(f"{address}: does not exist") from error
        except PermissionError as error:
            raise MissingFileError(f"{address}: {reason(error)}") from error
        except Exception as error:  # botocore's, aiohttp's and fsspec's have no common class
            raise ExchangeError(f"{address}: {reason(error)}") from error
