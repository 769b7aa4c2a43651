"""Limits on what clients send and how slowly: a real server and raw sockets."""

import json
import re
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import pytest

from app.api.v2.schemas import ProtocolError
from app.errors import MEDIA_TYPE, Problem
from tests.process.faults.server import Server, started
from tests.waiting import PATIENCE, eventually, slowness

HOST = b"Host: x\r\n"
JSON = HOST + b"Content-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with started("--patience", "0.4") as server:
        yield server


@pytest.fixture(scope="module")
def patient() -> Iterator[Server]:
    with started("--max-connections", "8", "--patience", "240", "--keep-alive", "240") as server:
        yield server


def connected(server: Server, source: str = "127.0.0.1") -> socket.socket:
    address = ("127.0.0.1", server.port)
    return socket.create_connection(address, timeout=PATIENCE, source_address=(source, 0))


@contextmanager
def held(server: Server) -> Iterator[None]:
    """Stops the server: what clients do meanwhile, however slowly, it finds at once afterwards."""
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


@contextmanager
def sending(server: Server, content: bytes) -> Iterator[socket.socket]:
    """A connection whose first bytes arrive in time, however short the patience is."""
    with held(server):
        connection = connected(server)
        connection.sendall(content)
    with connection:
        yield connection


def read_to_end(connection: socket.socket) -> bytes:
    """All bytes until the server closes the connection."""
    pieces = []
    try:
        while piece := connection.recv(2**16):
            pieces.append(piece)
    except ConnectionResetError:  # the server closed before it had read everything
        pass
    return b"".join(pieces)


def problem_in(content: bytes) -> tuple[int, str]:
    """The status and the detail of the only response in ``content``."""
    head, _, body = content.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert b"connection: close" in head.lower()
    problem = json.loads(body)
    assert problem["status"] == int(head.split()[1])
    return problem["status"], problem["detail"]


@pytest.mark.parametrize(
    ("sent", "status", "message"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "8192 bytes"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"a: b\r\n" * 120 + b"\r\n", 431, "100 headers"),
        (b"GET / HTTP/1.1\r\n" + b"a: " + b"x" * 40_000 + b"\r\n\r\n", 431, "32768 bytes"),
        (b"GET / HTTP/1.1\r\n" + b"a: " + b"x" * 4_000_000, 431, "32768 bytes"),
        (b"NONSENSE\r\n\r\n", 400, "Invalid HTTP"),
    ],
)
def test_a_request_head_that_is_too_large_is_refused(
    patient: Server, sent: bytes, status: int, message: str
) -> None:
    with connected(patient) as connection:
        try:
            connection.sendall(sent)
        except ConnectionError:  # refused before all of it was sent
            return
        if content := read_to_end(connection):
            found, detail = problem_in(content)
            assert found == status
            assert message in detail


UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
SUM = b'{"plus": [[3, 4, 5]], "neighbours": 1}'


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: %d\r\n\r\n%b" % (len(SUM), SUM),
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(SUM), SUM),
    ],
)
@pytest.mark.parametrize("size", [1, 200, 10_000])
def test_an_offer_to_upgrade_to_http2_is_ignored(patient: Server, body: bytes, size: int) -> None:
    """Java's client sends this offer with every request, on a persistent connection."""
    post = b"POST /arithmetic HTTP/1.1\r\n" + JSON + UPGRADE + body
    get = b"GET /v2 HTTP/1.1\r\n" + HOST + UPGRADE + b"\r\n"
    last = b"GET /models/cats HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    sent = post + get + post + last
    with connected(patient) as connection:
        for start in range(0, len(sent), size):
            connection.sendall(sent[start : start + size])
        content = read_to_end(connection)
    assert re.findall(rb"HTTP/1\.1 (\d+)", content) == [b"200", b"200", b"200", b"404"]
    assert content.count(b"content-type: image/png") == 2


@pytest.mark.parametrize("headers", [HOST, HOST + UPGRADE])
@pytest.mark.parametrize("cut", [1, 10, 20])
def test_a_request_may_arrive_partly_with_the_one_before(
    patient: Server, headers: bytes, cut: int
) -> None:
    post = b"POST /arithmetic HTTP/1.1\r\n" + JSON + b"Content-Length: %d\r\n\r\n" % len(SUM) + SUM
    get = b"GET /models/cats HTTP/1.1\r\n" + headers + b"Connection: close\r\n\r\n"
    with connected(patient) as connection:
        connection.sendall(post + get[:cut])
        assert connection.recv(2**16).startswith(b"HTTP/1.1 200 ")
        connection.sendall(get[cut:])
        assert b"HTTP/1.1 404 " in read_to_end(connection)


@pytest.mark.parametrize(
    "first", [b"CONNECT x:80", b"CONNECT /models", b"GET /models/cats HTTP/1.1\r\nUpgrade: h2c"]
)
def test_an_upgrade_that_is_not_possible_gets_a_response(patient: Server, first: bytes) -> None:
    version = b"" if b"HTTP" in first else b" HTTP/1.1"
    with connected(patient) as connection:
        connection.sendall(first + version + b"\r\n" + HOST + b"Connection: close\r\n\r\n")
        assert read_to_end(connection)[:12] in {b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.1 405"}


def test_trailers_after_a_chunked_body_are_limited_too(patient: Server) -> None:
    head = b"POST /generate?n=1 HTTP/1.1\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\n"
    with connected(patient) as connection:
        connection.sendall(head + b"2\r\n{}\r\n0\r\n")
        with pytest.raises(ConnectionError):  # noqa: PT012
            for _ in range(100_000):
                connection.sendall(b"a: " + b"b" * 1000 + b"\r\n")
            raise AssertionError


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTT",
        b"POST /generate?n=1 HTTP/1.1\r\n" + JSON + b"Content-Length: 9\r\n\r\n{",
    ],
)
def test_a_request_that_does_not_arrive_is_408(server: Server, sent: bytes) -> None:
    with sending(server, sent) as connection:
        assert problem_in(read_to_end(connection)) == (
            408,
            "the request did not arrive within 0.4 s",
        )


def test_a_connection_that_is_never_used_is_closed_sooner(server: Server) -> None:
    with connected(server) as connection:
        assert read_to_end(connection) == b""  # before the time of a request, which ends with 408


def test_time_in_which_the_server_is_stopped_does_not_count() -> None:
    head = b"POST /generate?n=1 HTTP/1.1\r\n" + JSON
    with started("--patience", "3") as server, connected(server) as connection:
        connection.sendall(head + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert b" 100 " in connection.recv(1000)
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(3.2)
        server.process.send_signal(signal.SIGCONT)
        time.sleep(0.1)  # enough for its timer to run
        connection.sendall(b"{}")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


BEGUN = b" HTTP/1.1\r\nHost: x\r\n"
LONG = b"a" * 9000


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (BEGUN + b"Content-Length: none\r\n\r\n", 400),
        (BEGUN, 408),
        (b"?" + LONG + BEGUN + b"\r\n", 414),
        (BEGUN + b"a: b\r\n" * 120 + b"\r\n", 431),
        (BEGUN + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    ],
)
@pytest.mark.parametrize(
    ("path", "media_type", "model"),
    [("/models", MEDIA_TYPE, Problem), ("/v2/models/stats", "application/json", ProtocolError)],
)
def test_errors_of_the_protocol_have_the_documented_format(
    server: Server,
    patient: Server,
    sent: bytes,
    status: int,
    path: str,
    media_type: str,
    model: type[Problem | ProtocolError],
) -> None:
    server = server if status == 408 else patient
    document = httpx.get(f"http://127.0.0.1:{server.port}/openapi.json", timeout=PATIENCE).json()
    reference = document["paths"][path]["get"]["responses"][str(status)]["$ref"]
    content = document["components"]["responses"][reference.rpartition("/")[2]]["content"]
    assert content[media_type]["schema"]["$ref"].endswith(f"/{model.__name__}")
    with sending(server, b"GET " + path.encode() + sent) as connection:
        head, _, body = read_to_end(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert f"content-type: {media_type}\r\n".encode() in head + b"\r\n"
    problem = model.model_validate_json(body)
    assert not isinstance(problem, Problem) or problem.instance == path


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(
    "invalid",
    [
        b"NONSENSE\r\n\r\n",
        b"GET /?" + LONG + BEGUN + b"\r\n",
        b"GET /v2" + BEGUN + b"a: b\r\n" * 120 + b"\r\n",
    ],
)
def test_an_error_does_not_replace_the_responses_to_earlier_requests(
    patient: Server, invalid: bytes, times: int
) -> None:
    request = b"POST /generate?n=64&seed=1" + BEGUN + b"Content-Length: 0\r\n\r\n"
    with connected(patient) as connection:
        connection.sendall(request * times + invalid)
        content = read_to_end(connection)
    assert re.findall(rb"HTTP/1\.1 (\d+)", content) == [b"200"] * times
    assert content.endswith(b"}]}")


def test_an_error_for_a_head_request_has_no_body(patient: Server) -> None:
    with connected(patient) as connection:
        connection.sendall(b"HEAD /images/faces/1/3.png?" + LONG + BEGUN + b"\r\n")
        head, _, body = read_to_end(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 414 ")
    assert b"content-type: application/problem+json" in head
    assert body == b""


@pytest.mark.parametrize(("first", "piece"), [(b"", b"\r\n"), (b"GET /", b"a")])
def test_a_byte_now_and_then_does_not_keep_a_connection_open(
    server: Server, first: bytes, piece: bytes
) -> None:
    with connected(server) as connection:
        connection.sendall(first)
        connection.settimeout(0.05)
        content = b""
        for _ in range(400):
            try:
                connection.sendall(piece)
                content += connection.recv(2**16)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if content:
                break
        assert content == b"" or problem_in(content)[0] == 408
        connection.settimeout(PATIENCE)
        assert read_to_end(connection) == b""


def is_established(server: Server, connection: socket.socket) -> bool:
    """Whether the server's end of a connection is open, by Linux's table of connections."""
    ends = f"0100007F:{server.port:04X} 0100007F:{connection.getsockname()[1]:04X}"
    established = 1
    return f"{ends} {established:02X} " in Path("/proc/net/tcp").read_text()


def test_a_response_that_is_not_read_is_aborted(server: Server) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(PATIENCE)
        requests = b"POST /generate?n=256 HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n"
        with held(server):
            connection.connect(("127.0.0.1", server.port))
            connection.sendall(requests * 30)
            assert is_established(server, connection)
        eventually(lambda: not is_established(server, connection))
        content = read_to_end(connection)  # already in transit
    assert 1 <= content.count(b"HTTP/1.1 200 ") < 30


def is_live(server: Server) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{server.port}/health/live", timeout=PATIENCE).is_success
    return False


REQUEST = b"GET /models HTTP/1.1\r\n" + HOST + b"\r\n"


def test_connections_over_the_limit_get_503_with_retry_after(patient: Server) -> None:
    others = [connected(patient) for _ in range(8)]
    try:
        with connected(patient) as connection:
            connection.sendall(REQUEST)
            content = read_to_end(connection)
            assert problem_in(content) == (503, "the server has too many connections")
            assert b"retry-after: 1\r\n" in content
        others.pop().close()
        eventually(lambda: is_served(patient))  # once it has noticed that
    finally:
        for other in others:
            other.close()


def is_served(server: Server) -> bool:
    with connected(server) as connection:
        return answer_to(connection, REQUEST) == b"200"


def answer_to(connection: socket.socket, request: bytes) -> bytes:
    """The status of the response."""
    connection.sendall(request)
    return connection.recv(2**16)[9:12]


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("path", [b"/health/live", b"/health/ready", b"/v2/health/live"])
def test_health_checks_are_answered_beside_idle_connections(
    patient: Server, method: bytes, path: bytes
) -> None:
    """More of them than the reserve holds."""
    others = [connected(patient) for _ in range(40)]
    try:
        with connected(patient) as connection:
            connection.sendall(method + b" " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n")
            content = read_to_end(connection)
        assert content.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 405 "))
        assert b"connection: close\r\n" in content
        with connected(patient) as connection:  # the reserve is for health checks only
            assert answer_to(connection, b"POST" + REQUEST[3:]) == b"503"
        assert read_to_end(others[8]) == b""  # the oldest one of the reserve
        assert answer_to(others[0], REQUEST) == b"200"
    finally:
        for other in others:
            other.close()


def test_connections_of_one_address_are_limited_but_not_those_of_a_proxy() -> None:
    with started("--client-connections", "4", "--patience", "240") as server:
        greedy = [connected(server, "127.0.0.2") for _ in range(4)]
        proxy = [connected(server, "127.0.0.1") for _ in range(8)]
        try:
            with connected(server, "127.0.0.2") as fifth:
                fifth.sendall(REQUEST)
                content = read_to_end(fifth)
                assert problem_in(content) == (429, "the client has too many connections")
                assert b"retry-after: 1\r\n" in content
            with connected(server, "127.0.0.2") as fifth:
                assert answer_to(fifth, b"GET /health/live" + REQUEST[11:]) == b"200"
            with connected(server, "127.0.0.3") as other:
                assert answer_to(other, REQUEST) == b"200"
            assert answer_to(proxy[-1], REQUEST) == b"200"
        finally:
            for one in greedy + proxy:
                one.close()


def test_too_few_file_descriptors_are_reported_and_leave_room_for_health_checks() -> None:
    with (
        started(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))) as server,
        ExitStack() as others,
    ):
        warning = "too few file descriptors for max_connections 1000: at most"
        eventually(lambda: warning in server.output)
        for _ in range(100):
            others.enter_context(connected(server))
        assert is_live(server)


def test_the_limit_on_file_descriptors_is_raised() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2300:
        pytest.skip(f"the hard limit is {hard}")
    limit = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (256, hard))
    with started(preexec_fn=limit) as server:
        assert "file descriptors" not in server.output
        soft, _ = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        assert soft >= 2000


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"HTTP/1.1\r\n", 400),
        (b"HTTP/1.0\r\n", 200),
        (b"HTTP/1.1\r\nHost:\r\n", 200),
        (b"HTTP/1.1\r\nHost: [::1]:80\r\n", 200),
        (b"HTTP/1.1\r\nHost: a\r\nhost: a\r\n", 400),
        (b"HTTP/1.0\r\nHost: a\r\nHost: a\r\n", 400),
        (b"HTTP/1.1\r\nHost: a b\r\n", 400),
        (b"HTTP/1.1\r\nHost: a/b\r\n", 400),
        (b"HTTP/2.0\r\nHost: a\r\n", 400),
    ],
)
def test_a_request_names_one_host(patient: Server, head: bytes, status: int) -> None:
    """RFC 9112, section 3.2."""
    with connected(patient) as connection:
        connection.sendall(b"GET /health/live " + head + b"Connection: close\r\n\r\n")
        assert read_to_end(connection).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    ("version", "headers", "status"),
    [
        (b"1.1", [b"chunked"], 200),
        (b"1.1", [b" , Chunked "], 200),
        (b"1.1", [b"gzip, chunked"], 501),
        (b"1.1", [b"identity,chunked"], 501),
        (b"1.1", [b"gzip", b"chunked"], 501),
        (b"1.1", [b"gzip"], 400),
        (b"1.1", [b"chunked, chunked"], 400),
        (b"1.1", [b"chunked", b"gzip"], 400),
        (b"1.1", [b"chunked;q=1"], 400),
        (b"1.1", [b""], 400),
        (b"1.1", [b"chunked\r\nContent-Length: 2"], 400),
        (b"1.0", [b"chunked"], 400),
    ],
)
def test_chunked_is_the_only_transfer_coding(
    patient: Server, version: bytes, headers: list[bytes], status: int
) -> None:
    """RFC 9112, sections 6.1 and 6.3. Others are refused before the body arrives."""
    fields = b"".join(b"Transfer-Encoding: " + value + b"\r\n" for value in headers)
    head = b"POST /generate?n=1 HTTP/" + version + b"\r\n" + JSON + fields
    with connected(patient) as connection:
        connection.sendall(head + b"Connection: close\r\n\r\n")
        if status == 200:
            connection.sendall(b"2\r\n{}\r\n0\r\n\r\n")
        assert read_to_end(connection).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("upgrade", [b"", UPGRADE])
def test_trailer_fields_do_not_become_headers(patient: Server, upgrade: bytes) -> None:
    """RFC 9110, section 6.5.1."""
    head = b"POST /generate?n=1 HTTP/1.1\r\n" + JSON + upgrade
    head += b"Accept: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
    trailer = b"Accept: application/zip\r\nX-Request-ID: trailer\r\nX-Forwarded-For: 1.2.3.4\r\n"
    last = b"GET /models/cats HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    with connected(patient) as connection:
        connection.sendall(head + b"2\r\n{}\r\n0\r\n" + trailer + b"\r\n" + last)
        content = read_to_end(connection)
    assert re.findall(rb"HTTP/1\.1 (\d+)", content) == [b"200", b"404"]
    assert b"content-type: image/png" in content
    assert b"trailer" not in content


GENERATE = b"POST /generate?n=64&seed=1 HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (GENERATE % 0, [b"200"]),
        (GENERATE.replace(b"1.1", b"1.0") % 0, [b"200"]),
        (GENERATE % 0 * 3, [b"200"] * 3),
        (GENERATE % 0 + REQUEST[:20], [b"200"]),
        (GENERATE % 0 * 2 + GENERATE % 9, [b"200"] * 2),
        (GENERATE % 9, []),
        (GENERATE[:30], []),
        (b"", []),
    ],
)
def test_a_client_that_sends_no_more_gets_all_responses(
    patient: Server, sent: bytes, statuses: list[bytes]
) -> None:
    with connected(patient) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        content = read_to_end(connection)  # does not wait for another request: see --keep-alive
    assert re.findall(rb"HTTP/1\.1 (\d+)", content) == statuses


@pytest.mark.parametrize(
    ("patience", "piece"), [(0.8, 2**17), pytest.param(20, 5000, marks=pytest.mark.slow)]
)
def test_a_slow_but_steady_client_gets_a_whole_response(patience: float, piece: int) -> None:
    """12 MB at 2.6 MB/s or 100 KB/s on a quiet machine, and both times longer on a slow one.

    Our buffer stands still for longer than the patience while the kernel empties its own.
    """
    factor, path = slowness(), "/static-offline-docs/swagger-ui-bundle.js"
    with started("--patience", f"{factor * patience:.1f}") as server:
        url = f"http://127.0.0.1:{server.port}{path}"
        expected = httpx.get(url, timeout=PATIENCE).content
        request = b"GET %b HTTP/1.1\r\n" % path.encode() + HOST + b"\r\n"
        with sending(server, request * 8) as connection:
            read_slowly(connection, 8 * len(expected), piece, 0.05 * factor)


def read_slowly(connection: socket.socket, size: int, piece: int, pause: float) -> None:
    """Read ``size`` bytes in pieces."""
    received = 0
    while received < size:
        data = connection.recv(piece)
        assert data, f"closed after {received} bytes"
        received += len(data)
        time.sleep(pause)


def test_a_request_of_ordinary_size_succeeds(patient: Server) -> None:
    headers = {f"X-{k}": "x" * 300 for k in range(80)}
    url = f"http://127.0.0.1:{patient.port}/health/live?" + "x" * 8000
    assert httpx.get(url, headers=headers, timeout=PATIENCE).is_success
