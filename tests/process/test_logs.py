"""The log of real servers, as text and as JSON."""

import json
import re
import sys
from pathlib import Path

import httpx

from tests.serving import serving


def logged(root: Path, folder: Path, *flags: str) -> tuple[list[str], list[str]]:
    """Send a server two requests; return the lines of its standard output and standard error."""
    out, log = folder / "out", folder / "log"
    command = ["sh", "-c", f'exec "$@" > {out}', "sh", sys.executable, "-m", "app", *flags]
    with serving(command, root, log) as address:
        for path in ("/generate?n=2", "/nowhere"):
            httpx.post(address + path, headers={"X-Request-ID": "mine"})
    return out.read_text().splitlines(), log.read_text().splitlines()


def test_json_writes_one_object_per_line(root: Path, tmp_path: Path) -> None:
    requests, others = logged(root, tmp_path, "--log-format", "json")
    generated, unknown = map(json.loads, requests)
    assert generated.keys() - unknown.keys() == {"images", "model", "queue", "compute", "encode"}
    assert (generated["method"], generated["path"], generated["route"], generated["status"]) == (
        "POST",
        "/generate?n=2",
        "/generate",
        200,
    )
    assert (generated["images"], generated["model"], generated["request_id"]) == (
        2,
        "fashion-mnist/2",
        "mine",
    )
    assert (
        0 < generated["queue"] + generated["compute"] + generated["encode"] < generated["seconds"]
    )
    assert (unknown["route"], unknown["status"]) == ("other", 404)
    for line in map(json.loads, others):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert line["level"] == "INFO"
        assert line["message"]


def test_text_writes_one_line_per_request(root: Path, tmp_path: Path) -> None:
    requests, others = logged(root, tmp_path)
    generated, unknown = (re.sub(r"\d+\.\d+\S*", "_", line) for line in requests)
    assert generated.startswith('INFO:     _ "POST /generate?n=2" 200 route=/generate seconds=_ ')
    assert generated.endswith(" images=2 model=fashion-mnist/2 queue=_ compute=_ encode=_ id=mine")
    assert unknown == 'INFO:     _ "POST /nowhere" 404 route=other seconds=_ id=mine'
    assert all(line.startswith("INFO: ") for line in others)


def test_without_the_access_log_no_line_is_written(root: Path, tmp_path: Path) -> None:
    assert logged(root, tmp_path, "--access-log", "false")[0] == []
