"""Addresses of clients: what counts as one client, and which of them are trusted proxies."""

import ipaddress
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache

from app.errors import StartupError
from app.settings import UNIX_CLIENT

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@lru_cache(1024)
def client_network(host: str) -> str:
    """The address under which ``host`` is counted; text that is no address is returned unchanged.

    A client owns a whole IPv6 network: its first 64 bits count (RFC 4291, section 2.5.1). An IPv4
    address that is mapped into IPv6 (section 2.5.5.2), as on a listener for both, counts as IPv4.
    """
    with suppress(ValueError):
        address = _address(host)
        if address.version == 6:
            return str(ipaddress.IPv6Network((address, 64), strict=False))
        return str(address)
    return host


@lru_cache(1024)
def unmapped(host: str) -> str:
    """``host`` as IPv4 where it is an IPv4 address that is mapped into IPv6; else unchanged."""
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            return str(address.ipv4_mapped)
    return host


class TrustedProxies:
    """The proxies whose headers ``X-Forwarded-…`` are believed."""

    def __init__(self, addresses: str | None = None) -> None:
        """``addresses``: a list, as in FORWARDED_ALLOW_IPS, which is its default; ``*`` for all.

        Raises StartupError if it has anything else, which would never match.
        """
        if addresses is None:
            addresses = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")
        self._all = addresses.strip() == "*"
        listed = [] if self._all else [one.strip() for one in addresses.split(",")]
        self._networks = [_network(one) for one in listed if one]
        self.counted_client = lru_cache(1024)(self._counted_client)
        self.trusts = lru_cache(1024)(self._trusts)

    def _counted_client(self, host: str) -> str | None:
        """The address under which connections from ``host`` are counted; None for a proxy.

        A proxy's connections belong to many clients.
        """
        return None if self.trusts(host) else client_network(host)

    def _trusts(self, host: str) -> bool:
        """Whether ``host`` is the address of a proxy. Clients of a Unix socket count as one."""
        if host == UNIX_CLIENT:
            return True
        with suppress(ValueError):
            address = _address(host)
            return self._all or any(address in network for network in self._networks)
        return False

    def forwarded_client(self, values: Sequence[bytes]) -> tuple[str, int] | None:
        """The address and port (0 if unknown) of the client that trusted proxies report.

        ``values``: those of all headers ``X-Forwarded-For``, in their order. Each proxy appends the
        address from which it received the request, so the last one that is no proxy's counts: what
        precedes it may have been invented by the client. With ``*`` the first one counts. None if
        the proxies report anything but an IP address, such as ``unknown``.
        """
        hops = b",".join(values).decode("latin-1").split(",")
        client = None
        for hop in hops[:1] if self._all else reversed(hops):
            found = _hop(hop.strip())
            if found is None:
                break
            client = found
            if not self.trusts(client[0]):
                break
        return client


_HOP = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?|([0-9.]+)(?::(\d{1,5}))?|([0-9A-Fa-f:.]+)")
"""An IPv6 address in brackets or an IPv4 address, each with or without a port, or a bare IPv6."""


def _network(text: str) -> _Network:
    """The network of a proxy's address or network. Raises StartupError."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        allowed = "must be addresses and networks, such as 127.0.0.1,10.0.0.0/8, or * for all"
        raise StartupError(f"FORWARDED_ALLOW_IPS {allowed}: {text!r} is neither") from error


def _hop(text: str) -> tuple[str, int] | None:
    """The address and port in one member of ``X-Forwarded-For``; None if it is no IP address."""
    if not (found := _HOP.fullmatch(text)):
        return None
    host, port = found[1] or found[3] or found[5], int(found[2] or found[4] or 0)
    with suppress(ValueError):
        return str(_address(host)), port if port < 2**16 else 0
    return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address without its zone, and as IPv4 where it is a mapped one."""
    address = ipaddress.ip_address(host.partition("%")[0])
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address
