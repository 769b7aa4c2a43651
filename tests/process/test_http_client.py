import httpx

from tests.waiting import PATIENCE


def test_httpx_decompresses_texts_and_sends_head(plain_address: str) -> None:
    with httpx.Client(base_url=plain_address, timeout=PATIENCE) as client:
        response = client.get("/models")
        assert response.headers["Content-Encoding"] == "gzip"
        assert {model["name"] for model in response.json()["models"]} >= {"faces"}
        assert client.head("/images/faces/1/5.png").status_code == 200
        for path in ("/health/live", "/health/ready", "/models", "/docs", "/"):
            assert (head := client.head(path)).status_code == 200
            assert head.content == b""
        assert client.get("/images/faces/1/5.png").content.startswith(b"\x89PNG")
        assert "Content-Length" in client.head("/images/faces/1/5.png").headers
