"""Reads and writes version folders in model repositories of the Hugging Face Hub.

Address and credentials are those of the library huggingface_hub: ``hf auth login``, ``HF_TOKEN``,
``HF_ENDPOINT``.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from app.exchange.address import HubFolder
from app.exchange.store import ExchangeError, MissingFileError, check_size, reason, require


class HubStore:
    """A folder in a repository. All files are read from one commit."""

    def __init__(self, folder: HubFolder) -> None:
        """Raises ExchangeError if huggingface_hub is not installed."""
        require("huggingface_hub", "hub", "hf")
        from huggingface_hub import HfApi

        self._folder, self._api = folder, HfApi(library_name="dcgan-server")

    def address(self, file: str) -> str:
        """The address of a file."""
        return self._folder.file(file)

    def read(self, file: str, limit: int) -> bytes:
        """The content of a file, as ``Store.read``."""
        repository, path = self._folder.repository, self._folder.path(file)
        with self._errors(file), TemporaryDirectory() as folder:
            size = self._size(file)
            if size is None:
                raise MissingFileError(f"{self.address(file)}: does not exist")
            check_size(size, self.address(file), limit)
            found = self._api.hf_hub_download(
                repository, path, revision=self._commit, local_dir=folder
            )
            check_size(Path(found).stat().st_size, self.address(file), limit)
            return Path(found).read_bytes()

    def exists(self, file: str) -> bool:
        """Whether there is a file of this name."""
        with self._errors(file):
            return self._size(file) is not None

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write ``files`` in one commit."""
        from huggingface_hub import CommitOperationAdd

        names = [*files]
        with self._errors(names[-1]):
            self._api.create_commit(
                self._folder.repository,
                [CommitOperationAdd(self._folder.path(name), files[name]) for name in names],
                commit_message=f"Add {self._folder.folder or 'a version'}: {', '.join(names)}",
                revision=self._folder.revision,
            )

    @cached_property
    def _commit(self) -> str | None:
        """The commit that the revision names now."""
        found = self._api.repo_info(self._folder.repository, revision=self._folder.revision)
        return found.sha

    def _size(self, file: str) -> int | None:
        """The size of a file in bytes; None if there is none."""
        from huggingface_hub.hf_api import RepoFile

        path = self._folder.path(file)
        found = self._api.get_paths_info(self._folder.repository, [path], revision=self._commit)
        return next((one.size for one in found if isinstance(one, RepoFile)), None)

    @contextmanager
    def _errors(self, file: str) -> Iterator[None]:
        """Turn what the library raises into an ExchangeError that names the address of a file."""
        try:
            yield
        except ExchangeError:
            raise
        except Exception as error:  # HTTP errors, invalid names, a missing connection, a full disk
            raise ExchangeError(f"{self.address(file)}: {reason(error)}") from error
