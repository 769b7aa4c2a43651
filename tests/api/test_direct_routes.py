"""Direct routes are answered ahead of FastAPI's routing, in the same way as through it."""

import pytest
from fastapi.testclient import TestClient

from app.api.direct_route import DirectRoutes

REQUESTS = [
    ("GET", "/health/live"),
    ("POST", "/health/live"),
    ("GET", "/images/fashion-mnist/2/7.png"),
    ("PUT", "/images/fashion-mnist/2/7.png"),
    ("GET", "/images/fashion-mnist/2/-1.gif?scale=9&edit=x&unknown=1"),
    ("GET", "/images/fashion-mnist/2/7.png?edit=smile:1&edit=hat:2"),
    ("GET", "/images/cats/1/7.png"),
    ("GET", "/images/fashion-mnist/2/7"),
    ("POST", "/generate?n=1&seed=3"),
    ("POST", "/generate?n=0&seed=x&seed=y"),
    ("GET", "/generate"),
]
VARYING = {"x-request-id", "server-timing"}


@pytest.mark.parametrize(("method", "url"), REQUESTS)
def test_a_direct_route_answers_as_it_does_through_fastapi(
    client: TestClient, method: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = {"Accept": "image/*, application/json;q=0.5"}
    first = client.request(method, url, headers=accept)
    monkeypatch.setattr(DirectRoutes, "_route", lambda *_: None)
    second = client.request(method, url, headers=accept)
    assert first.status_code == second.status_code
    assert first.text == second.text
    headers = [
        {name: value for name, value in response.headers.items() if name not in VARYING}
        for response in (first, second)
    ]
    assert headers[0] == headers[1]


def test_metrics_know_the_route_of_a_direct_route(client: TestClient) -> None:
    route = "/images/{model}/{version}/{seed}.{form}"
    counted = f'dcgan_requests_total{{method="GET",route="{route}",status="200"}}'

    def count() -> float:
        lines = client.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(counted))

    before = count()
    assert client.get("/images/fashion-mnist/2/1.png").is_success
    assert count() == before + 1
