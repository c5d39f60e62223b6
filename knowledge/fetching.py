"""One page from the web, within limits: whom it connects to is looked up and checked each time."""

import time
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import TracebackType

import httpx

from knowledge.web_address import Resolve, network_addresses, permitted_addresses
from storage.errors import ApprenticeError

AGENT = "Apprentice"
"""What robots.txt may call us."""
MOST_BYTES = 10_000_000
"""Of one page, once it is unpacked."""
MOST_S = 60.0
"""Seconds of one page."""
REDIRECTS = (301, 302, 303, 307, 308)
TIMEOUT_S = 15.0
"""Seconds without an answer, or between two pieces of one."""


class NotFetched(ApprenticeError):
    """A page could not be had: the server is away, slow, or sends too much."""


@dataclass(frozen=True)
class Answer:
    """What a server said. `data` is unpacked; empty where its type was not wanted."""

    address: str
    status: int
    headers: Mapping[str, str]
    data: bytes = b""

    @property
    def leads_to(self) -> str | None:
        """Where a redirect leads, as it was written; None where it is none."""
        return self.headers.get("location", "") if self.status in REDIRECTS else None

    @property
    def media_type(self) -> str:
        """In small letters, without parameters; "" when none was named."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class CheckedTransport(httpx.BaseTransport):
    """Connects to the very address that was looked up and permitted, for each request anew.

    A name that is looked up again by whoever connects may have another answer by then (DNS
    rebinding), so the request carries the number, and the name in `Host` and for TLS.
    """

    def __init__(self, private_hosts: Collection[str], resolve: Resolve) -> None:
        self._private_hosts = private_hosts
        self._resolve = resolve
        # one per host, as a TLS connection is proved for one name
        self._pools: dict[str, httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Ask the first permitted address that answers. Raises as `permitted_addresses` does."""
        host = request.url.raw_host.decode("ascii")
        if host not in self._pools:
            self._pools[host] = httpx.HTTPTransport()
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        unreached: httpx.TransportError = httpx.ConnectError("no address")
        for number in permitted_addresses(host, port, self._private_hosts, self._resolve):
            there = httpx.Request(
                request.method,
                request.url.copy_with(host=number),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return self._pools[host].handle_request(there)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                unreached = error
        raise unreached

    def close(self) -> None:
        """End all connections."""
        for pool in self._pools.values():
            pool.close()


class Fetcher:
    """Asks for pages; follows no redirect, so that whoever asks can check where it leads."""

    def __init__(
        self, private_hosts: Collection[str] = (), resolve: Resolve = network_addresses
    ) -> None:
        self._http = httpx.Client(
            transport=CheckedTransport(private_hosts, resolve),
            timeout=TIMEOUT_S,
            trust_env=False,
            headers={
                "User-Agent": f"{AGENT}/1.0",
                "Accept": "text/html,application/xhtml+xml,application/pdf,text/*;q=0.8",
                "Accept-Encoding": "gzip",
            },
        )

    def __enter__(self) -> "Fetcher":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def get(
        self,
        address: str,
        headers: Mapping[str, str] | None = None,
        *,
        wanted: Callable[[Answer], bool] = lambda answer: True,
    ) -> Answer:
        """The answer to one GET; its body is read where the status is 200 and it is `wanted`.

        Raises NotFetched, UnknownHost or PrivateAddress, a sentence each.
        """
        try:
            with self._http.stream("GET", address, headers=headers) as response:
                answer = Answer(address, response.status_code, response.headers)
                if answer.status != 200 or not wanted(answer):
                    return answer
                return Answer(address, 200, response.headers, _body(address, response))
        except httpx.TimeoutException:
            raise NotFetched(f"{address} took too long to answer: try again later.") from None
        except httpx.ConnectError as error:
            raise NotFetched(f"{address} does not answer ({error}): try again later.") from None
        except (httpx.HTTPError, httpx.InvalidURL, zlib.error) as error:
            raise NotFetched(f"{address} gave no proper answer ({error}).") from None


def _body(address: str, response: httpx.Response) -> bytes:
    """As many bytes as are allowed, unpacked by hand: a small packed body may be a huge one."""
    too_large = NotFetched(f"{address} has more than {MOST_BYTES / 1e6:.0f} MB.")
    end, data = time.monotonic() + MOST_S, bytearray()
    for piece in response.iter_raw():
        data += piece
        if len(data) > MOST_BYTES:
            raise too_large
        if time.monotonic() > end:
            raise NotFetched(f"{address} took more than {MOST_S:.0f} seconds.")
    packing = response.headers.get("content-encoding", "identity").lower()
    if packing not in ("identity", "gzip", "deflate"):
        raise NotFetched(f"{address} comes packed by {packing!r}, which was not asked for.")
    if packing == "identity":
        return bytes(data)
    # 47: gzip or zlib, whichever it is
    unpacked = zlib.decompressobj(47).decompress(data, MOST_BYTES + 1)
    if len(unpacked) > MOST_BYTES:
        raise too_large
    return unpacked
