"""``python -m app.deploy.healthy``: ends well while the server of this container is ready.

For the image's HEALTHCHECK, in place of curl.
"""

import os
import sys
from http.client import HTTPConnection, HTTPException


def healthy(port: int, timeout: float = 2) -> bool:
    """Whether ``/health/ready`` on this machine answers 200 within ``timeout`` seconds."""
    connection = HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not healthy(int(os.environ.get("DCGAN_PORT", "8000"))))
