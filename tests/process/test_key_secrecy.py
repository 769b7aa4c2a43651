import sys
from pathlib import Path

import httpx
import pytest

from tests.serving import serving
from tests.waiting import PATIENCE

KEYS = ("first-of-two-keys", "second-of-two-keys")
ADMIN = "administrators-key"


@pytest.mark.parametrize(("log_format", "workers"), [("text", "2"), ("json", "1")])
def test_no_key_is_ever_disclosed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_format: str, workers: str
) -> None:
    """Neither the log, the metrics nor the responses of a server contain a key."""
    monkeypatch.setenv("DCGAN_API_KEYS", ",".join(KEYS))
    monkeypatch.setenv("DCGAN_ADMIN_KEYS", ADMIN)
    out, log = tmp_path / "out", tmp_path / "log"
    server = [sys.executable, "-m", "app", "--log-format", log_format, "--workers", workers]
    command = ["sh", "-c", f'exec "$@" > {out}', "sh", *server]
    texts = []
    transport = httpx.HTTPTransport(retries=3)
    with (
        serving(command, root, log) as address,
        httpx.Client(transport=transport, timeout=PATIENCE) as client,
    ):
        for key in (*KEYS, ADMIN, "wrong-" + KEYS[0]):
            for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
                paths = ("/generate?n=1", "/generate?n=0", "/access", "/v2/repository/index")
                for path in (*paths, f"/generate?n=1&api_key={key}"):
                    response = client.post(address + path, headers=headers)
                    texts += [response.text, str(response.headers)]
        texts.append(client.get(f"{address}/metrics").text)
        texts.append(client.get(f"{address}/openapi.json").text)
    access_log = out.read_text()
    assert access_log.count("/generate") >= 16
    for secret in (*KEYS, ADMIN):
        assert not [text for text in (*texts, access_log, log.read_text()) if secret in text]
