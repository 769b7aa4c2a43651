"""``pull`` and ``push`` with the client of the Hugging Face Hub, and a stub of the Hub's API."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from app import __main__
from tests import versions
from tests.web_server import Answer, Request, files, web_server

Pull = Callable[..., int]

pytest.importorskip(
    "huggingface_hub", reason="huggingface_hub is not installed: pip install '.[hub]'"
)

COMMIT = "0123456789" * 4
TOKEN = "hf_hush"  # noqa: S105 # no real one


class Hub:
    """The API of a hub with one model repository, ``me/models``, and one commit of it."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.sizes: dict[str, int] = {}
        """Sizes that the API reports in place of the true ones."""
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Answer | None:
        """The response to a request, as the hub's API documents it."""
        self.requests.append(request)
        api, named, rest = request.path.partition("/me/models")
        if not named:
            headers = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
            return Answer(b"{}", 404, headers)
        verb, _, path = rest.strip("/").partition("/")
        if api:
            return self._api(verb, path, request)
        content = self.files.get(path.removeprefix(f"{COMMIT}/"))
        if content is None:
            return None
        headers = {"ETag": f'"{len(content)}"', "X-Repo-Commit": COMMIT}
        return Answer(content, headers=headers)

    def _api(self, verb: str, revision: str, request: Request) -> Answer | None:
        match verb:
            case "" | "revision" if revision in {"", "main", "v1", COMMIT}:
                return _json({"id": "me/models", "sha": COMMIT, "siblings": []})
            case "revision":
                return Answer(b"{}", 404, {"X-Error-Code": "RevisionNotFound"})
            case "paths-info":
                paths = parse_qs(request.body.decode())["paths"]
                return _json([self._described(path) for path in paths if path in self.files])
            case "preupload":
                named = json.loads(request.body)["files"]
                mode = {"uploadMode": "regular", "shouldIgnore": False}
                return _json({"files": [{"path": one["path"], **mode} for one in named]})
            case "commit":
                _, *added = map(json.loads, request.body.splitlines())
                for one in (line["value"] for line in added):
                    self.files[one["path"]] = base64.b64decode(one["content"])
                url = f"http://{request.headers['host']}/me/models/commit/{COMMIT}"
                return _json({"success": True, "commitOid": COMMIT, "commitUrl": url})
        return None

    def _described(self, path: str) -> dict[str, object]:
        size = self.sizes.get(path, len(self.files[path]))
        return {"type": "file", "path": path, "size": size, "oid": "0" * 40}


def _json(content: object) -> Answer:
    return Answer(json.dumps(content).encode(), headers={"Content-Type": "application/json"})


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    """A hub with the version ``grey/3`` in the folder ``grey/3`` of the repository."""
    made = Hub()
    versions.publish(tmp_path / "there", "grey", 3)
    made.files.update(files(tmp_path / "there"))
    return made


@pytest.fixture
def endpoint(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The hub's address, of which the client knows as if HF_ENDPOINT had been set before."""
    with web_server(hub) as address:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield address


@pytest.mark.usefixtures("endpoint")
@pytest.mark.parametrize("revision", ["", "@v1"])
def test_a_version_is_pulled_from_one_commit(
    hub: Hub, pull: Pull, here: Path, capfd: pytest.CaptureFixture[str], revision: str
) -> None:
    assert pull(f"hf://me/models/grey/3{revision}", name="grey") == 0
    assert files(here / "grey/1").keys() == {"card.json", "generator.onnx"}
    read = [one.path for one in hub.requests if "/resolve/" in one.path]
    assert read
    assert all(f"/resolve/{COMMIT}/grey/3/" in path for path in read)
    ours = [one for one in hub.requests if "/me/models" in one.path]
    assert {one.headers.get("authorization") for one in ours} == {f"Bearer {TOKEN}"}
    assert TOKEN not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("hf://me/models/other", "hf://me/models/other/card.json: does not exist"),
        ("hf://me/none", "hf://me/none/card.json: RepositoryNotFoundError: "),
        ("hf://me/models/grey/3@v2", "hf://me/models/grey/3/card.json@v2: RevisionNotFoundError"),
    ],
)
@pytest.mark.usefixtures("endpoint")
def test_what_does_not_exist_is_named(
    pull: Pull, here: Path, capsys: pytest.CaptureFixture[str], source: str, words: str
) -> None:
    assert pull(source) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {words}")
    assert error.count("\n") == 1
    assert not here.exists()


@pytest.mark.usefixtures("endpoint")
def test_a_file_that_is_too_large_is_not_downloaded(
    hub: Hub, pull: Pull, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.sizes["grey/3/generator.onnx"] = 2**29 + 1
    assert pull("hf://me/models/grey/3") == 1
    assert "generator.onnx: is larger than 536870912 bytes" in capsys.readouterr().err
    assert not [one for one in hub.requests if one.path.endswith("generator.onnx")]
    assert not here.exists()


@pytest.mark.usefixtures("endpoint")
def test_a_hub_that_does_not_answer_is_named(
    pull: Pull, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with web_server(lambda _: None) as gone:
        pass
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", gone)
    assert pull("hf://me/models/grey/3") == 1
    assert "hf://me/models/grey/3/card.json: ConnectError" in capsys.readouterr().err


@pytest.mark.usefixtures("endpoint")
def test_a_version_is_pushed_in_one_commit_and_never_replaced(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.files.clear()
    folder = tmp_path / "there/grey/3"
    assert __main__.main(["push", str(folder), "hf://me/models/grey/3"]) == 0
    assert hub.files == files(tmp_path / "there")
    (commit,) = (one for one in hub.requests if "/commit/" in one.path)
    header = json.loads(commit.body.splitlines()[0])["value"]
    assert header["summary"] == "Add grey/3: generator.onnx, card.json"
    size = len(hub.files["grey/3/card.json"])
    assert f"hf://me/models/grey/3/card.json: {size:,} bytes\n" in capsys.readouterr().out
    assert __main__.main(["push", str(folder), "hf://me/models/grey/3"]) == 1
    assert "card.json: exists already; a published version never" in capsys.readouterr().err


def test_the_client_has_the_address_from_the_environment(
    hub: Hub, root: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "app", "pull", "hf://me/models/grey/3", "--name", "grey"]
    with web_server(hub) as address:
        environment = {**os.environ, "HF_ENDPOINT": address, "HF_TOKEN": TOKEN}
        ended = subprocess.run(
            [*command, "--models", str(tmp_path / "here"), "--provider", "cpu"],
            cwd=root,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
        )
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr
    assert (tmp_path / "here/grey/1/card.json").exists()
    assert TOKEN not in ended.stdout + ended.stderr
