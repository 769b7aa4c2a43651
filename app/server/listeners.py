"""The sockets on which the server listens.

They are bound before anything else starts, so that an address that cannot be used is reported at
once, not after all models have been loaded.
"""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from app.errors import StartupError
from app.settings import Settings

_LONGEST_PATH = 107
"""Bytes of the path of a Unix socket (``sockaddr_un`` of Linux)."""
_EVERYBODY = 0o666
"""Permissions of a Unix socket: all users may connect, as to a port, if its folder allows it."""
_IN_USE = "but another process listens there"


@contextmanager
def bound(settings: Settings) -> Iterator[list[socket.socket]]:
    """Sockets at the address of ``settings``, which do not listen yet; closed in the end.

    Raises StartupError, which names the setting, if the address cannot be used.
    """
    if settings.uds:
        with _unix_socket(settings.uds) as listener:
            yield [listener]
        return
    sockets = _tcp_sockets(settings.host, settings.port)
    try:
        yield sockets
    finally:
        for one in sockets:
            one.close()


def address(settings: Settings, sockets: list[socket.socket]) -> str:
    """Where the server is reached, as text."""
    if settings.uds:
        return f"unix socket {settings.uds}"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{sockets[0].getsockname()[1]}"


def in_use(settings: Settings) -> StartupError:
    """The error if another process began to listen after the sockets had been bound."""
    if settings.uds:
        return StartupError(f"uds is {str(settings.uds)!r} {_IN_USE}")
    return _port_in_use(settings.host, settings.port)


def _port_in_use(host: str, port: int) -> StartupError:
    remedy = "choose another port, or 0 for any free one"
    return StartupError(f"port is {port} {_IN_USE}, at {host}; {remedy}")


def _tcp_sockets(host: str, port: int) -> list[socket.socket]:
    """A socket for every address of ``host`` that this machine has, all with the same port."""
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, place in _addresses(host):
            if sockets:
                port = sockets[0].getsockname()[1]
            try:
                sockets.append(_tcp_socket(family, (place[0], port, *place[2:])))
            except OSError as error:
                if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                    raise
                missing = error
        if not sockets and missing:
            raise missing
    except OSError as error:
        for one in sockets:
            one.close()
        raise _refused(error, host, port) from error
    return sockets


def _addresses(host: str) -> list[tuple[int, Any]]:
    """The family and the address of everything that ``host`` stands for."""
    found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, place) for family, _, _, _, place in found))


def _tcp_socket(family: int, place: tuple[Any, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # IPv4 addresses have sockets of their own
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(place)
    except BaseException:
        listener.close()
        raise
    return listener


def _refused(error: OSError, host: str, port: int) -> StartupError:
    """What is wrong with the address, in words."""
    if isinstance(error, socket.gaierror):
        allowed = "but must be an address of this machine, or a name for one"
        return StartupError(f"host is {host!r} {allowed}: {error.strerror}")
    if error.errno == errno.EADDRINUSE:
        return _port_in_use(host, port)
    if error.errno == errno.EACCES:
        allowed = "but this user may not use it; all users may use ports from 1024 on"
        return StartupError(f"port is {port} {allowed}")
    if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
        allowed = "but this machine has no such address; 0.0.0.0 stands for all that it has"
        return StartupError(f"host is {host!r} {allowed}")
    if error.errno == errno.EINVAL and ":" in host:
        allowed = "but must name the interface, too, as in fe80::1%eth0"
        return StartupError(f"host is {host!r} {allowed}")
    return StartupError(f"host is {host!r} and port {port}, which cannot be used: {error.strerror}")


@contextmanager
def _unix_socket(path: Path) -> Iterator[socket.socket]:
    """A bound Unix socket; its file is removed in the end. Raises StartupError."""
    name = f"uds is {str(path)!r} but"
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise StartupError(f"{name} must have at most {_LONGEST_PATH} bytes")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            _remove_unused(path, name)
            listener.bind(str(path))
            path.chmod(_EVERYBODY)
        except OSError as error:
            reason = f"no socket can be made there: {error.strerror}"
            raise StartupError(f"{name} {reason}") from error
        file = _identity(path)
        try:
            yield listener
        finally:
            with suppress(OSError):
                if _identity(path) == file:  # and not that of a server started since
                    path.unlink()


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino


def _remove_unused(path: Path, name: str) -> None:
    """Remove the file of a socket on which nobody listens. Raises StartupError for any other."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise StartupError(f"{name} there is another file; choose a path that does not exist yet")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise StartupError(f"{name} another process listens there")
