"""The log of real servers, as text and as JSON."""

import fcntl
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.serving import ended, serving
from tests.waiting import PATIENCE, eventually


def logged(root: Path, folder: Path, *flags: str) -> tuple[list[str], list[str]]:
    """Send a server two requests; return the lines of its standard output and standard error."""
    out, log = folder / "out", folder / "log"
    command = ["sh", "-c", f'exec "$@" > {out}', "sh", sys.executable, "-m", "app", *flags]
    with serving(command, root, log) as address:
        for path in ("/generate?n=2", "/nowhere"):
            httpx.post(address + path, headers={"X-Request-ID": "mine"}, timeout=PATIENCE)
    # The helper waits for /health/ready, which is logged as well.
    lines = [line for line in out.read_text().splitlines() if "/health/ready" not in line]
    return lines, log.read_text().splitlines()


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
        "fashion-mnist/3",
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
    assert generated.endswith(" images=2 model=fashion-mnist/3 queue=_ compute=_ encode=_ id=mine")
    assert unknown == 'INFO:     _ "POST /nowhere" 404 route=other seconds=_ id=mine'
    assert all(line.startswith("INFO: ") for line in others)


def test_without_the_access_log_no_line_is_written(root: Path, tmp_path: Path) -> None:
    assert logged(root, tmp_path, "--access-log", "false")[0] == []


@pytest.mark.skipif(sys.platform != "linux", reason="the size of a pipe is Linux's")
def test_a_log_that_nobody_reads_stops_no_request_and_no_shutdown(root: Path) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    command = [sys.executable, "-m", "app", "--port", "0"]
    process = subprocess.Popen(command, cwd=root, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert process.stderr
    with process, ended(process):
        lines = iter(process.stderr.readline, "")
        address = next(m[0] for line in lines if (m := re.search(r"http://\S+", line)))
        with httpx.Client(timeout=PATIENCE) as client:
            for _ in range(150):  # 4 KiB are 40 lines
                client.get(f"{address}/health/live").raise_for_status()
        process.terminate()
        assert process.wait(PATIENCE) == 0
    os.close(reader)


@pytest.mark.parametrize(("redirection", "reports"), [(">&-", 0), ("> /dev/full", 1)])
def test_an_output_that_cannot_be_written_is_reported_once(
    root: Path, tmp_path: Path, redirection: str, reports: int
) -> None:
    log = tmp_path / "log"
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", "app"]
    with serving(command, root, log) as address, httpx.Client(timeout=PATIENCE) as client:
        for _ in range(20):
            client.get(f"{address}/health/live").raise_for_status()
            time.sleep(0.02)  # so that a thread writes several times
        kept = "dcgan_log_records_dropped_total 0.0"
        eventually(lambda: (kept in client.get(f"{address}/metrics").text) == (not reports))
    assert log.read_text().count("the log cannot be written") == reports
    assert "Traceback" not in log.read_text()
