"""Health check of the container image: exit status 0 while the server is ready, else 1.

The Dockerfile's HEALTHCHECK calls ``python -m app.deploy.healthcheck``, since the image has no
curl.
"""

import os
import sys
from http.client import HTTPConnection, HTTPException


def is_ready(port: int, timeout: float = 2) -> bool:
    """Return whether ``/health/ready`` on this machine answers 200 within ``timeout`` seconds."""
    connection = HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not is_ready(int(os.environ.get("DCGAN_PORT", "8000"))))
