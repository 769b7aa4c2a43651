"""uvicorn's server in this process, on sockets that are already bound."""

import errno
import logging
import socket

import uvicorn

from app.server import listeners
from app.settings import Settings

logger = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """uvicorn's server, which logs its address once it listens."""

    def __init__(self, config: uvicorn.Config, settings: Settings) -> None:
        super().__init__(config)
        self._settings = settings

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then listen.

        Raises StartupError if another process has begun to listen there meanwhile.
        """
        try:
            await super().startup(sockets)
        except OSError as error:
            await self.lifespan.shutdown()
            if error.errno == errno.EADDRINUSE:
                raise listeners.in_use(self._settings) from error
            raise
        address = listeners.address(self._settings, sockets or [])
        logger.info("Uvicorn running on %s (Press CTRL+C to quit)", address)
