"""Addresses on the web: how one is written, and which of the network may be visited.

An address of a website is visited by the server, which stands where its readers may not: behind
the firewall, beside a cloud's metadata service. So only public addresses of the network are
visited, and those of hosts that the person who runs the server named.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Collection
from urllib.parse import unquote

import httpx

from storage.errors import ApprenticeError, BadInput

LONGEST = 2000
"""Characters of an address at most: endless ones come from traps."""

Resolve = Callable[[str, int], list[str]]
"""(host, port) -> the network addresses of a host; UnknownHost if there is none."""

_PORTS = {"http": 80, "https": 443}
_TRACKING = re.compile(
    r"(?:utm_\w*|pk_\w*|mc_[ce]id|hsa_\w*|[gyd]clid|fbclid|msclkid|phpsessid|jsessionid)(?:=|$)",
    re.IGNORECASE,
)
_SESSION = re.compile(r";jsessionid=[^/?]*", re.IGNORECASE)
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s/:@?#\[\]]+)(?::(\d{1,5}))?", re.IGNORECASE)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class UnknownHost(ApprenticeError):
    """No such host is known, or none can be asked for it."""


class PrivateAddress(ApprenticeError):
    """A host is not on the public internet."""


def tidy_address(address: str, base: str = "") -> str | None:
    """An http or https address as it is visited; None for what is none.

    Relative ones are taken from `base`. The fragment, default ports, session ids and what says
    where a reader came from are left out, so that one page has one address.
    """
    try:
        url = httpx.URL(address.strip())
        url = httpx.URL(base).join(url) if base else url
        query = "&".join(part for part in _query(url) if part and not _TRACKING.match(part))
        path = _SESSION.sub("", url.raw_path.partition(b"?")[0].decode("ascii"))
        port = None if url.port == _PORTS.get(url.scheme) else url.port
        url = url.copy_with(
            raw_path=(f"{path}?{query}" if query else path).encode(), fragment=None, port=port
        )
    except (httpx.InvalidURL, ValueError):
        return None
    good = url.scheme in _PORTS and url.host and not url.userinfo and len(str(url)) <= LONGEST
    return str(url) if good and (port is None or 0 < port < 65536) else None


def site_address(typed: str) -> str:
    """The address of a website as a person types it; BadInput for what is none."""
    found = tidy_address(typed)
    if found is None:
        raise BadInput(
            f"{typed!r} is no address of a website: write it as https://www.example.com/, "
            "without a name or password."
        )
    return found


def host_of(address: str) -> str:
    """The host, with its port unless that is the scheme's own."""
    url = httpx.URL(address)
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{host}:{url.port}" if url.port else host


def origin_of(address: str) -> str:
    """Scheme and host: what a robots.txt holds for."""
    return f"{httpx.URL(address).scheme}://{host_of(address)}"


def page_name(address: str) -> str:
    """What the document made from a page is called: its address as people read it."""
    url = httpx.URL(address)
    path, _, query = url.raw_path.decode("ascii").partition("?")
    written = host_of(address) + path + (f"?{query}" if query else "")
    readable = unquote(written)
    return readable if readable.isprintable() else written


def parse_hosts(typed: Collection[str]) -> frozenset[str]:
    """Hosts as `host` or `host:port`, in small letters; BadInput names the one that is none."""
    found = set()
    for host in filter(None, (part.strip().lower() for part in typed)):
        if not _HOST.fullmatch(host):
            raise BadInput(f"{host!r} is no host: write it as docs.example.com or intranet:8080.")
        found.add(host)
    return frozenset(found)


def network_addresses(host: str, port: int) -> list[str]:
    """What the system knows for a host, in its order; UnknownHost if nothing."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UnknownHost(
            f"The host {host} is not known: check the address, and this machine's network."
        ) from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def permitted_addresses(
    host: str, port: int, private_hosts: Collection[str], resolve: Resolve = network_addresses
) -> list[str]:
    """The network addresses of a host that may be connected to.

    `private_hosts` (`host` or `host:port`) may have any; others only public ones. Raises
    PrivateAddress when none is left, UnknownHost when there is none.
    """
    known = resolve(host, port)
    shown = f"[{host}]" if ":" in host else host
    if {shown, f"{shown}:{port}"} & set(private_hosts):
        return known
    public = [address for address in known if is_public(address)]
    if not public:
        raise PrivateAddress(
            f"The host {host} has the private address {', '.join(known)}: only websites of the "
            f"internet are visited, and hosts named in APPRENTICE_SITE_PRIVATE_HOSTS."
        )
    return public


def is_public(address: str) -> bool:
    """Whether a network address belongs to the internet; those inside IPv6 ones are looked at."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip.is_site_local or ip.sixtofour or ip.teredo:
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved)


def _query(url: httpx.URL) -> list[str]:
    return url.query.decode("ascii").split("&")
