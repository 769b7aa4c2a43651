"""``pull`` and ``push`` with a local S3."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app import __main__
from tests import versions
from tests.web_server import Answer, Request, files, offering, web_server

Pull = Callable[..., int]

boto3 = pytest.importorskip("boto3", reason="boto3 is not installed: pip install '.[dev]'")
s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed: pip install '.[s3]'")
moto = pytest.importorskip("moto.server", reason="moto is not installed: pip install '.[dev]'")

SECRET = "hush"  # noqa: S105 # no real one


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    """The address of a local S3."""
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(storage: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket, which botocore finds by the environment."""
    for name, value in (
        ("AWS_ENDPOINT_URL", storage),
        ("AWS_ACCESS_KEY_ID", "me"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    boto3.client("s3").create_bucket(Bucket="models")
    for found in boto3.client("s3").list_objects_v2(Bucket="models").get("Contents", []):
        boto3.client("s3").delete_object(Bucket="models", Key=found["Key"])
    return "models"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The version ``grey/3``."""
    return versions.publish(tmp_path / "there", "grey", 3)


def test_what_was_pushed_is_pulled(
    bucket: str, folder: Path, pull: Pull, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    target = f"s3://{bucket}/ours/grey/3"
    assert __main__.main(["push", str(folder), target]) == 0
    lines = [f"{target}/{name}: {len(content):,} bytes" for name, content in files(folder).items()]
    printed = capfd.readouterr()
    assert sorted(printed.out.splitlines()) == sorted(lines)
    versions.publish(here, "grey", 2)
    assert pull(target, name="grey") == 0
    assert files(here / "grey/3") == files(folder)
    assert SECRET not in "".join([*printed, *capfd.readouterr()])


def test_a_published_version_is_never_replaced(
    bucket: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    push = ["push", str(folder), f"s3://{bucket}/grey/3"]
    assert [__main__.main(push), __main__.main(push)] == [0, 1]
    assert "grey/3/card.json: exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("s3://models/none", "s3://models/none/card.json: does not exist"),
        ("s3://nobucket/grey", "s3://nobucket/grey/card.json: does not exist"),
    ],
)
@pytest.mark.usefixtures("bucket")
def test_what_does_not_exist_is_named(
    pull: Pull, here: Path, capsys: pytest.CaptureFixture[str], address: str, words: str
) -> None:
    assert pull(address) == 1
    assert capsys.readouterr().err == f"error: {words}\n"
    assert not here.exists()


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_does_not_exist_is_not_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main(["push", str(folder), "s3://nobucket/grey/3"]) == 1
    assert capsys.readouterr().err.startswith("error: s3://nobucket/grey/3/")


def test_a_file_that_is_too_large_is_not_pulled(
    bucket: str, pull: Pull, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = b" " * (2**22 + 1)
    boto3.client("s3").put_object(Bucket=bucket, Key="grey/3/card.json", Body=content)
    assert pull(f"s3://{bucket}/grey/3") == 1
    assert "card.json: is larger than 4194304 bytes" in capsys.readouterr().err
    assert not here.exists()


def test_without_credentials_the_reason_is_the_librarys(
    bucket: str,
    pull: Pull,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert pull(f"s3://{bucket}/grey/3") == 1
    assert "NoCredentialsError: Unable to locate credentials" in capsys.readouterr().err


@pytest.mark.usefixtures("bucket")
def test_samples_that_do_not_exist_are_left_out_without_the_permission_to_list(
    folder: Path, pull: Pull, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def respond(request: Request) -> Answer:
        found = offering(folder)(request._replace(path=request.path.removeprefix("/models/grey")))
        return found or Answer(status=403)

    with web_server(respond) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        s3fs.S3FileSystem.clear_instance_cache()
        assert pull("s3://models/grey", name="grey") == 0
    assert files(here / "grey/1").keys() == {"card.json", "generator.onnx"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "generator.onnx").write_bytes(b""), "has SHA-256 "),
        (lambda folder: (folder / "card.json").unlink(), "/3: has no card.json but must be the"),
    ],
    ids=["another graph", "no card"],
)
def test_a_damaged_version_is_not_pushed(
    folder: Path, capsys: pytest.CaptureFixture[str], change: object, words: str
) -> None:
    change(folder)  # type: ignore[operator]
    assert __main__.main(["push", str(folder), "s3://models/grey/3"]) == 1
    assert words in capsys.readouterr().err


def test_a_web_server_is_no_target(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["push", str(folder), "https://a.example/x"]) == 2
    error = capsys.readouterr().err
    assert "error: target: is 'https://a.example/x', and web servers are only read" in error
    assert "hf://ORG/REPO[/FOLDER][@REVISION] or s3://BUCKET/FOLDER" in error
