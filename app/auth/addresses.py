"""Addresses of clients: what counts as one client, and which of them are trusted proxies."""

import ipaddress
import os
from contextlib import suppress
from functools import lru_cache

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


class TrustedProxies:
    """The proxies whose ``X-Forwarded-For`` uvicorn believes."""

    def __init__(self, addresses: str | None = None) -> None:
        """``addresses``: a list, as in FORWARDED_ALLOW_IPS, which is its default."""
        if addresses is None:
            addresses = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")  # uvicorn's default
        self._all = addresses.strip() == "*"
        self._networks: list[_Network] = []
        for one in addresses.split(","):
            with suppress(ValueError):
                self._networks.append(ipaddress.ip_network(one.strip()))
        self.counted_client = lru_cache(1024)(self._counted_client)

    def _counted_client(self, host: str) -> str | None:
        """The address under which connections from ``host`` are counted; None for a proxy.

        A proxy's connections belong to many clients.
        """
        with suppress(ValueError):
            address = _address(host)
            if self._all or any(address in network for network in self._networks):
                return None
        return client_network(host)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address without its zone, and as IPv4 where it is a mapped one."""
    address = ipaddress.ip_address(host.partition("%")[0])
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address
