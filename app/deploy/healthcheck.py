"""Health check of the container image: exit status 0 while the server is ready, else 1.

The Dockerfile's HEALTHCHECK calls ``python -m app.deploy.healthcheck``, since the image has no
curl.
"""

import os
import socket
import sys
from http.client import HTTPConnection, HTTPException


class _UnixConnection(HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def is_ready(port: int, uds: str = "", timeout: float = 2) -> bool:
    """Return whether ``/health/ready`` answers 200 within ``timeout`` seconds.

    The server is at the Unix socket ``uds``, or else at ``port`` of this machine.
    """
    connection = (
        _UnixConnection(uds, timeout) if uds else HTTPConnection("127.0.0.1", port, timeout=timeout)
    )
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    get = os.environ.get
    sys.exit(not is_ready(int(get("DCGAN_PORT", "8000")), get("DCGAN_UDS", "")))
