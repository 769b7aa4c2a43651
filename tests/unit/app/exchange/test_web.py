"""``python -m app pull`` from a web server on this machine."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import app
from app import __main__
from app.artifact import card
from app.artifact.card import SAMPLES_FILE
from app.exchange import web
from app.exchange.store import ExchangeError
from tests import hostile, versions
from tests.process.faults.server import family
from tests.waiting import PATIENCE, eventually
from tests.web_server import Answer, Request, files, offering, web_server

Pull = Callable[..., int]


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """A models folder elsewhere with one small version, ``grey/3``."""
    folder = versions.publish(tmp_path / "there", "grey", 3)
    (folder / SAMPLES_FILE).write_bytes(b"\x89PNG\r\n\x1a\n and pixels")
    return folder.parents[1]


@pytest.fixture
def answers() -> dict[str, Answer]:
    """Responses in place of those with the files of ``there``, by path."""
    return {}


@pytest.fixture
def address(there: Path, answers: dict[str, Answer]) -> Iterator[str]:
    """The address of the web server that offers ``there``."""

    file = offering(there)
    with web_server(lambda request: answers.get(request.path) or file(request)) as found:
        yield found


def refused(pull: Pull, here: Path, source: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The error of a pull that fails and leaves nothing behind."""
    before = files(here.parent)
    assert pull(source) == 1
    assert files(here.parent) == before
    assert list(here.parent.rglob("*")) == ([here] if here.exists() else [])
    words = capsys.readouterr()
    assert words.out == ""
    assert words.err.startswith("error: ")
    assert words.err.count("\n") == 1
    return words.err


def test_a_version_that_keeps_its_name_and_number_keeps_every_byte(
    root: Path, pull: Pull, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = root / "models"
    with web_server(offering(models)) as address:
        source = f"{address}/digits/1"
        assert pull(source, name="digits") == 0
    assert files(here) == {f"digits/1/{k}": v for k, v in files(models / "digits" / "1").items()}
    assert capsys.readouterr().out.startswith(f"{here}/digits/1: pulled from {source}: card.json ")


def test_a_version_with_another_name_is_the_next_free_one_and_draws_the_same(
    address: str,
    there: Path,
    pull: Pull,
    here: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    versions.publish(here, "mine", 4)
    assert pull(f"{address}/grey/3/card.json") == 0
    printed = capsys.readouterr().out
    assert (
        "it was grey/3 there; graphs name their version, so the hashes of its graphs changed"
        in printed
    )
    assert "version 4 stays the default of mine; to change that, write 5 into" in printed
    assert (here / "mine" / "default").read_text() == "4\n"
    np.testing.assert_array_equal(
        app.load(here / "mine/5").sample(range(3)), app.load(there / "grey/3").sample(range(3))
    )
    assert (here / "mine/5/samples.png").read_bytes().startswith(b"\x89PNG")
    before, after = card.read(there / "grey/3"), card.read(here / "mine/5")
    same = {"name": "grey", "version": 3, "variants": before.variants}
    assert after.model_copy(update=same) == before
    assert [path.name for path in here.iterdir()] == ["mine"]


def test_it_becomes_the_default_on_request_and_needs_no_samples(
    address: str, there: Path, pull: Pull, here: Path
) -> None:
    (there / "grey/3" / SAMPLES_FILE).unlink()
    versions.publish(here, "mine", 1)
    assert pull(f"{address}/grey/3", "--default") == 0
    assert (here / "mine" / "default").read_text() == "2\n"
    assert files(here / "mine/2").keys() == {"card.json", "generator.onnx"}


def test_samples_that_may_not_be_read_are_left_out(
    address: str, answers: dict[str, Answer], pull: Pull, here: Path
) -> None:
    """Object storage answers 403 for a file that does not exist."""
    answers["/grey/3/samples.png"] = Answer(status=403)
    assert pull(f"{address}/grey/3", name="grey") == 0
    assert files(here / "grey/1").keys() == {"card.json", "generator.onnx"}


def test_a_redirect_is_followed(
    address: str, answers: dict[str, Answer], pull: Pull, here: Path
) -> None:
    for name in ("card.json", "generator.onnx", SAMPLES_FILE):
        target = f"{address}/grey/3/{name}"
        answers[f"/latest/{name}"] = Answer(status=302, headers={"Location": target})
    assert pull(f"{address}/latest", name="grey") == 0
    assert (here / "grey/1/card.json").exists()


@pytest.mark.parametrize(
    ("path", "answer", "words"),
    [
        ("card.json", Answer(status=404), "/card.json: the server answered 404 Not Found"),
        ("generator.onnx", Answer(status=403), "/generator.onnx: the server answered 403 Forb"),
        ("card.json", Answer(b"<html>"), "/card.json: Invalid JSON"),
        ("card.json", Answer(b"{}"), "/card.json: name: Field required"),
        ("card.json", Answer(b" " * (2**22 + 1)), "is larger than 4194304 bytes, which are"),
        (
            "generator.onnx",
            Answer(headers={"Content-Length": str(2**29 + 1)}),
            "/generator.onnx: is larger than 536870912 bytes",
        ),
        ("generator.onnx", Answer(b"other"), "/generator.onnx: has SHA-256 d9298a10d1b0735837dc"),
        ("samples.png", Answer(b"GIF89a"), "/samples.png: is not a PNG file"),
        ("samples.png", Answer(status=500), "/samples.png: the server answered 500 Internal"),
        ("card.json", Answer(status=302, headers={"Location": "card.json"}), "TooManyRedirects"),
        (
            "card.json",
            Answer(status=302, headers={"Location": "http://a.example/card.json?k=hush"}),
            "redirects to http://a.example/card.json, but must stay with https://",
        ),
    ],
)
def test_what_cannot_be_read_is_named_and_nothing_is_left(
    address: str,
    answers: dict[str, Answer],
    pull: Pull,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    path: str,
    answer: Answer,
    words: str,
) -> None:
    answers[f"/grey/3/{path}"] = answer
    error = refused(pull, here, f"{address}/grey/3", capsys)
    assert words in error
    assert f"{address}/grey/3/" in error


def test_both_hashes_are_named(
    address: str, there: Path, pull: Pull, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (variant,) = card.read(there / "grey/3").variants
    (there / "grey/3/generator.onnx").write_bytes(b"other")
    error = refused(pull, here, f"{address}/grey/3", capsys)
    assert f"has SHA-256 {card.digest(b'other')}, but the card says {variant.sha256}" in error


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x72", "/generator.onnx: not an ONNX file: it is truncated"),
        (versions.graph("other", 3).SerializeToString(), "cannot be served: generator.onnx: the"),
        (b"", "cannot be served: generator.onnx: the graph's metadata is {}"),
    ],
    ids=["damaged", "of another version", "empty"],
)
def test_a_graph_that_contradicts_its_card_is_refused(
    address: str,
    there: Path,
    pull: Pull,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    words: str,
) -> None:
    versions.publish(there, "grey", 4, content)
    assert words in refused(pull, here, f"{address}/grey/4", capsys)


def test_a_graph_that_does_not_run_is_refused_after_its_trial(
    address: str, there: Path, pull: Pull, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = versions.graph("grey", 4)
    model.graph.node[0].op_type = "NoSuchOperator"
    versions.publish(there, "grey", 4, model.SerializeToString())
    error = refused(pull, here, f"{address}/grey/4", capsys)
    assert f"{address}/grey/4: cannot be served: generator.onnx: the model does not run" in error
    assert "NoSuchOperator" in error


def test_a_server_that_does_not_answer_is_named(
    pull: Pull, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with web_server(lambda _: None) as gone:
        pass
    error = refused(pull, here, f"{gone}/grey/3", capsys)
    assert f"{gone}/grey/3/card.json: cannot be read: ConnectError" in error


@pytest.mark.parametrize("host", ["a..example", "ä..example", "a" * 64, "xn--"])
def test_a_host_that_is_no_name_is_named(
    pull: Pull, here: Path, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    error = refused(pull, here, f"https://{host}/grey/3", capsys)
    assert error.startswith(f"error: https://{host}/grey/3/card.json: cannot be read: ")


def test_a_damaged_record_of_the_default_is_named(
    address: str, pull: Pull, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    versions.publish(here, "mine", 1)
    (here / "mine/default").write_text("latest")
    assert pull(f"{address}/grey/3") == 1
    assert "mine/default: must be a file that contains the number" in capsys.readouterr().err


def test_the_password_is_that_of_netrc(tmp_path: Path) -> None:
    seen, home = [], tmp_path / "home"
    home.mkdir()

    def respond(request: Request) -> Answer:
        seen.append(request.headers.get("authorization"))
        return Answer(b"{}")

    with web_server(respond) as address:
        store = web.WebStore(web.WebFolder(f"{address}/"))
        store.read("card.json", 9)
        (home / ".netrc").write_text("machine 127.0.0.1 login me password hush\n")
        (home / ".netrc").chmod(0o600)
        store.read("card.json", 9)
        (home / ".netrc").write_text("machine\n")
        with pytest.raises(ExchangeError, match=r"\.netrc: cannot be used: "):
            store.read("card.json", 9)
    assert seen == [None, "Basic bWU6aHVzaA=="]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ftp://a/b", "--name", "x"], "error: source: is 'ftp://a/b' but must be https://HOST"),
        (["https://a:hush@b/c", "--name", "x"], "error: source: has a user name or a password"),
        (["https://a/b", "--name", "X"], "error: name: String should match pattern"),
        (["https://a/b"], "error: --name is required"),
    ],
)
def test_an_argument_that_is_not_allowed_is_named(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert __main__.main(["pull", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "hush" not in error


def test_without_a_source_the_usage_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        __main__.main(["pull", "--name", "x"])
    assert ended.value.code == 2
    assert "the following arguments are required: SOURCE" in capsys.readouterr().err


def test_the_models_folder_must_be_one(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--name", "x", "--models", str(root / "models/digits")]
    assert __main__.main(["pull", "https://a.example/x", *flags]) == 1
    assert "which is the folder of one model" in capsys.readouterr().err


def test_a_missing_library_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, pull: Pull, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("app.exchange.store.find_spec", lambda _: None)
    for source, extra in (("https://a/b", "https"), ("hf://a/b", "hub"), ("s3://a1b/c", "s3")):
        error = refused(pull, here, source, capsys)
        assert error.endswith(f"which is not installed: pip install '.[{extra}]'\n")


def test_a_version_that_appears_meanwhile_is_kept(
    address: str,
    pull: Pull,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    read = web.WebStore.read

    def read_slowly(store: web.WebStore, file: str, limit: int) -> bytes:
        if file == SAMPLES_FILE:
            versions.publish(here, "mine", 1)
        return read(store, file, limit)

    monkeypatch.setattr(web.WebStore, "read", read_slowly)
    assert pull(f"{address}/grey/3") == 0
    assert {path.name for path in (here / "mine").iterdir()} == {"1", "2", "default"}
    versions.publish(here, "mine", 3)
    kept = files(here)
    monkeypatch.setattr(web.WebStore, "read", read)
    monkeypatch.setattr("app.artifact.card.version_numbers", lambda _: [1, 2])
    assert pull(f"{address}/grey/3") == 1
    assert "mine/3: has been published meanwhile; run the command" in capsys.readouterr().err
    assert files(here) == kept


def test_an_interruption_leaves_nothing(
    pull: Pull, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(web.WebStore, "read", interrupt)
    assert pull("https://a.example/x") == 130
    assert capsys.readouterr().err == "\ninterrupted\n"
    assert not here.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_trial_leaves_nothing(
    address: str, there: Path, root: Path, tmp_path: Path, number: signal.Signals
) -> None:
    versions.publish(there, "grey", 4, hostile.endless("grey", 4))
    command = [sys.executable, "-m", "app", "pull", f"{address}/grey/4", "--name", "grey"]
    here = tmp_path / "here"
    here.mkdir()
    with subprocess.Popen(
        [*command, "--models", str(here), "--provider", "cpu"],
        cwd=root,
        env={**os.environ, "DCGAN_LOAD_TIMEOUT": "600"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            eventually(lambda: [*here.iterdir()] and len(family(process.pid)) > 1)
            process.send_signal(number)
            _, error = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert (process.returncode, error) == (128 + number, "\ninterrupted\n")
    assert not [*here.iterdir()]


def test_an_environment_that_is_invalid_for_the_server_is_named(
    address: str, pull: Pull, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DCGAN_PORT", "eighty")
    assert pull(f"{address}/grey/3") == 2
    assert "error: port: Input should be a valid integer" in capsys.readouterr().err
