"""Which addresses are understood, and what is said about others."""

import pytest

from app.exchange.address import BucketFolder, HubFolder, WebFolder, parse, parse_target


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://a.example/models/digits/1", "https://a.example/models/digits/1/"),
        ("https://a.example/models/digits/1/", "https://a.example/models/digits/1/"),
        ("https://a.example:8443/digits/1/card.json", "https://a.example:8443/digits/1/"),
        ("HTTPS://a.example", "https://a.example/"),
        ("http://127.0.0.1:8000/x", "http://127.0.0.1:8000/x/"),
        ("http://[::1]:8000/x", "http://[::1]:8000/x/"),
        ("http://localhost/x", "http://localhost/x/"),
    ],
)
def test_a_url_is_that_of_a_folder_or_its_card(text: str, url: str) -> None:
    found = parse(text)
    assert found == WebFolder(url)
    assert found.file("generator.onnx") == f"{url}generator.onnx"


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("hf://me/digits", HubFolder("me/digits", "", None)),
        ("hf://me/digits@v1.0", HubFolder("me/digits", "", "v1.0")),
        ("hf://me/models/digits/1/", HubFolder("me/models", "digits/1", None)),
        ("hf://me/models/digits/1@refs/pr/2", HubFolder("me/models", "digits/1", "refs/pr/2")),
        ("hf://me/digits/card.json", HubFolder("me/digits", "", None)),
        ("hf://me/models/digits/1/card.json@v1.0", HubFolder("me/models", "digits/1", "v1.0")),
    ],
)
def test_a_repository_has_a_folder_or_its_card_and_a_revision(text: str, folder: HubFolder) -> None:
    assert parse(text) == folder == parse_target(text)


def test_a_file_of_a_repository_is_named_as_its_folder_is() -> None:
    assert parse("hf://me/models/digits/1@main").file("a.onnx") == (
        "hf://me/models/digits/1/a.onnx@main"
    )
    assert parse("hf://me/digits").file("a.onnx") == "hf://me/digits/a.onnx"


@pytest.mark.parametrize("text", ["s3://bucket/digits/1", "s3://bucket/digits/1/card.json"])
def test_a_bucket_has_a_folder(text: str) -> None:
    assert parse(text) == BucketFolder("bucket/digits/1") == parse_target(text)


@pytest.mark.parametrize(
    "text",
    ["", "digits", "ftp://a/b", "https://", "hf://me", "hf://me/a b", "s3://bucket", "s3://b//x"],
)
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=r"but must be https://HOST/FOLDER, hf://ORG/REPO") as one:
        parse(text)
    assert str(one.value).startswith(f"is {text!r} but")
    with pytest.raises(ValueError, match=r"but must be hf://ORG/REPO.* or s3://"):
        parse_target(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://a.example/x", "must begin with https://; http:// is only for this machine"),
        ("http://127.0.0.1.a.example/x", "must begin with https://"),
        ("https://a.example:x/", "which is no URL"),
        ("https://a.example/x#y", "with '\\?' or '#'"),
    ],
)
def test_a_url_that_is_not_allowed_is_named(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as one:
        parse(text)
    assert repr(text) in str(one.value)


@pytest.mark.parametrize(
    "text",
    [
        "https://me:hush@a.example/x",
        "https://hush@a.example/x",
        "https://a.example/x?signature=hush",
        "ftp://me:hush@a.example/x",
        "http://me:hush@a.example:x/",
    ],
)
def test_a_secret_in_an_address_is_refused_and_not_repeated(text: str) -> None:
    for read in (parse, parse_target):
        with pytest.raises(ValueError, match=r"must be|must have none") as one:
            read(text)
        assert "hush" not in str(one.value)


def test_a_web_server_is_no_target() -> None:
    with pytest.raises(ValueError, match=r"web servers are only read, but must be hf://"):
        parse_target("https://a.example/x")
