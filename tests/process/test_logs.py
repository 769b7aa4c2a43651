"""How the log is written, by real servers."""

import json
import re
import sys
from pathlib import Path

import httpx

from tests.serving import serving


def logged(root: Path, folder: Path, *flags: str) -> tuple[list[str], list[str]]:
    """What a server that is asked twice writes to standard output, and to standard error."""
    out, log = folder / "out", folder / "log"
    command = ["sh", "-c", f'exec "$@" > {out}', "sh", sys.executable, "-m", "app", *flags]
    with serving(command, root, log) as address:
        for path in ("/generate?n=2", "/nowhere"):
            httpx.post(address + path, headers={"X-Request-ID": "mine"})
    return out.read_text().splitlines(), log.read_text().splitlines()


def test_json_is_an_object_a_line(root: Path, tmp_path: Path) -> None:
    requests, others = logged(root, tmp_path, "--log-format", "json")
    drawn, lost = map(json.loads, requests)
    assert drawn.keys() - lost.keys() == {"images", "model", "queue", "compute", "encode"}
    assert (drawn["method"], drawn["path"], drawn["route"], drawn["status"]) == (
        "POST",
        "/generate?n=2",
        "/generate",
        200,
    )
    assert (drawn["images"], drawn["model"], drawn["request_id"]) == (2, "fashion-mnist/2", "mine")
    assert 0 < drawn["queue"] + drawn["compute"] + drawn["encode"] < drawn["seconds"]
    assert (lost["route"], lost["status"]) == ("other", 404)
    for line in map(json.loads, others):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert line["level"] == "INFO"
        assert line["message"]


def test_text_is_a_line_a_request(root: Path, tmp_path: Path) -> None:
    requests, others = logged(root, tmp_path)
    drawn, lost = (re.sub(r"\d+\.\d+\S*", "_", line) for line in requests)
    assert drawn.startswith('INFO:     _ "POST /generate?n=2" 200 route=/generate seconds=_ ')
    assert drawn.endswith(" images=2 model=fashion-mnist/2 queue=_ compute=_ encode=_ id=mine")
    assert lost == 'INFO:     _ "POST /nowhere" 404 route=other seconds=_ id=mine'
    assert all(line.startswith("INFO: ") for line in others)


def test_no_log_is_no_line(root: Path, tmp_path: Path) -> None:
    assert logged(root, tmp_path, "--access-log", "false")[0] == []
