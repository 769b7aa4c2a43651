"""``python -m app``: a real process, real sockets, real signals."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from app import __main__, __version__
from tests.serving import ended
from tests.waiting import PATIENCE, eventually

Serve = Callable[..., AbstractContextManager[tuple["subprocess.Popen[str]", str]]]


def test_a_server_runs_until_a_signal_stops_it(serve: Serve) -> None:
    with serve() as (process, address):
        assert (
            httpx.get(f"{address}/health/ready", timeout=PATIENCE).json()["model"]
            == "fashion-mnist"
        )
        answer = httpx.post(f"{address}/generate?n=16&seed=42", timeout=PATIENCE)
        assert [image["seed"] for image in answer.json()["images"]] == list(range(42, 58))
        assert "server" not in answer.headers
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["--version"]) == 0
    assert capsys.readouterr().out == f"python -m app {__version__}\n"


def failed_start(root: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Start a server that must exit with an error message and no stack trace."""
    command = [sys.executable, "-m", "app", *flags]
    ended = subprocess.run(
        command, cwd=root, check=False, capture_output=True, text=True, timeout=PATIENCE
    )
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    return ended


def test_an_invalid_value_is_printed_unless_it_is_a_key(root: Path) -> None:
    ended = failed_start(root, "--port", "99999", "--api-keys", "hush")
    assert "error: port: Input should be less than or equal to 65535, not '99999'" in ended.stderr
    assert "error: api_keys.0: must be 16 ASCII characters" in ended.stderr
    assert "hush" not in ended.stderr


def test_a_port_in_use_is_an_error(root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = failed_start(root, "--port", str(taken.getsockname()[1]))
    assert "but another process listens there, at 127.0.0.1" in ended.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_unknown_host_is_named_before_anything_is_loaded(root: Path, workers: str) -> None:
    flags = ["--host", "no-such-name.invalid", "--port", "0", "--workers", workers]
    ended = failed_start(root, *flags)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.startswith("error: host is 'no-such-name.invalid' but must be an address")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_at_a_unix_socket_believes_its_proxy(
    root: Path, tmp_path: Path, workers: str
) -> None:
    path = tmp_path / "s"
    command = [sys.executable, "-m", "app", "--uds", str(path), "--workers", workers]
    transport = httpx.HTTPTransport(uds=str(path))
    with (
        subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True) as process,
        ended(process),
        httpx.Client(transport=transport, base_url="http://x", timeout=PATIENCE) as client,
    ):
        assert process.stderr
        assert any(f"running on unix socket {path}" in line for line in process.stderr)
        eventually(lambda: listens(path) and client.get("/health/ready").is_success)
        headers = {"X-Forwarded-Prefix": "/art", "X-Forwarded-For": "192.0.2.7"}
        (image,) = client.post("/generate?n=1&seed=3", headers=headers).json()["images"]
        assert image["url"].startswith("http://x/art/images/")
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert not path.exists()


def listens(path: Path) -> bool:
    """Whether a server accepts connections at a Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


@pytest.mark.parametrize(("provider", "workers"), [("cuda", "1"), ("tensorrt", "2")])
def test_a_missing_gpu_is_an_error_at_start(root: Path, workers: str, provider: str) -> None:
    if Path("/dev/nvidia0").exists():
        pytest.skip("there is an NVIDIA GPU")
    ended = failed_start(root, "--provider", provider, "--port", "0", "--workers", workers)
    assert ended.returncode == 1
    assert ended.stderr.count(f"error: provider={provider}: ") == 1


def test_without_onnxruntime_the_error_lists_the_extras(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(__main__, "find_spec", lambda _: None)
    assert __main__.main([]) == 1
    words = capsys.readouterr().err
    assert "pip install '.[cpu]'" in words
    assert "pip install '.[gpu]'" in words


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--port", "eighty"], "port: Input should be a valid integer"),
        (["--provider", "tpu"], "provider: Input should be 'auto', 'cpu', 'cuda', 'openvino' or"),
        (["--max-queue", "5"], "max_queue 5 is less than max_images 256"),
    ],
)
def test_an_invalid_flag_is_named(
    flags: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main(flags) == 2
    assert words in capsys.readouterr().err


def test_a_misspelt_variable_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DCGAN_PROT", "80")
    assert __main__.main([]) == 2
    words = capsys.readouterr().err
    assert "DCGAN_PROT: no such setting" in words
    assert "DCGAN_PORT" in words


@pytest.mark.parametrize("command", [[], ["render"], ["pull"], ["push"]])
def test_help_has_no_types_and_values_of_python(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit):
        __main__.main([*command, "--help"])
    words = capsys.readouterr().out
    flags = re.findall(r"^  --([a-z-]+) ([^\s,]+)", words, re.MULTILINE)
    named = {flag: value for flag, value in flags if not value.startswith(("{", "--"))}
    assert named == {flag: flag.upper().replace("-", "_") for flag in named}
    assert not re.search(r"\b(True|False|None|str|int|float|bool|tuple|list)\b|\(\)", words)
    assert not re.search(r"default: [^(\n]*\(default: ", words)


def test_help_lists_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        __main__.main(["--help"])
    assert end.value.code == 0
    words = capsys.readouterr().out
    for name in ("host", "port", "models", "default-model", "provider", "threads", "max-queue"):
        assert f"--{name}" in words
