"""From which network a request comes: what limits count where nobody has to log in.

A proxy speaks for many, so it is believed about them only where it is named (`APPRENTICE_PROXIES`),
and a request that comes from a named one without saying for whom is of an unknown address.
"""

import ipaddress
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.types import Scope

from assistant.security import identify
from storage.errors import BadInput

if TYPE_CHECKING:
    from assistant.app import App

IPV6_HOME = 64
"""Bits of an IPv6 address that are one customer's: the rest they choose as they like."""

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxies:
    """The addresses whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."""

    def __init__(self, named: str) -> None:
        """`named`: addresses and networks, apart by commas; `*` is every one. Raises BadInput."""
        self.named = [part.strip() for part in named.split(",") if part.strip()]
        self._every = "*" in self.named
        self._networks = [_network(part) for part in self.named if part != "*"]

    def known(self, host: str) -> bool:
        """Whether this address is one of them."""
        address = _address(host)
        return address is not None and any(address in network for network in self._networks)

    def address_of(self, scope: Scope | Request) -> str:
        """The network a request comes from; "" where it is unknown.

        uvicorn has put there by then for whom a named proxy speaks.
        """
        client = scope.get("client")
        host = str(client[0]) if client else ""
        return "" if self.known(host) else network_of(host)


def caller_of(app: "App", proxies: Proxies, request: Request) -> str:
    """Whose share a request counts to: a user's, or an address's, since cookies cost nothing.

    Where the address is unknown, the visitor's of the cookie.
    """
    person = identify(request, app)
    return person.owner if person.kind == "user" else proxies.address_of(request) or person.owner


def network_of(host: str) -> str:
    """The address, of an IPv6 one its first 64 bits; "" for what is no address."""
    address = _address(host)
    if address is None:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, IPV6_HOME), strict=False))
    return str(address)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    inner: Any = getattr(address, "ipv4_mapped", None)
    return inner or address


def _network(part: str) -> _Network:
    try:
        return ipaddress.ip_network(part, strict=False)
    except ValueError:
        raise BadInput(
            f"APPRENTICE_PROXIES names {part!r}, which is no address: give addresses or networks, "
            "apart by commas, such as 127.0.0.1,10.0.0.0/8."
        ) from None
