"""A connection has so long to say what it wants, and to take what it gets.

uvicorn waits for ever for the end of a header, of a body, and for a reader that does not read; some
hundred such sockets hold threads, places for answers and file handles. The method for bodies is
that of Apache's mod_reqtimeout: time goes on as long as bytes come.
"""

import asyncio
import resource
from collections import Counter
from typing import Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from assistant.callers import Proxies, network_of

DEADLINE_S = 15.0
"""Seconds for the whole header; between two looks at a body or at a slow reader."""
LEAST_RATE = 500
"""Bytes a second below which a body or a reader is too slow."""
SHARE = 4
"""One address has at most this part of the connections that there may be."""

_Protocol: Any = AutoHTTPProtocol


def server_config(
    server: Any, proxies: Proxies, *, deadline_s: float = DEADLINE_S, **more: Any
) -> uvicorn.Config:
    """How the pages are served: no web sockets, named proxies believed, slow ones cut off."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // SHARE
    limits = {"proxies": proxies, "deadline_s": deadline_s, "most": most, "open": Counter()}
    return uvicorn.Config(
        server,
        http=type("Deadlined", (_Deadlined,), limits),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=proxies.named,
        **more,
    )


class _Deadlined(_Protocol):
    """uvicorn's protocol, whichever is installed, with an eye on the clock."""

    proxies: Proxies
    deadline_s: float
    most: int
    open: Counter[str]
    """Connections by address, those of named proxies left out."""

    _watch: asyncio.TimerHandle | None = None
    _drain: asyncio.TimerHandle | None = None
    _came = 0
    """Bytes since the last look."""
    _counted = ""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        host = self.client[0] if self.client else ""
        if host and not self.proxies.known(host):
            self._counted = network_of(host)
            self.open[self._counted] += 1
            if self.open[self._counted] > self.most:
                transport.abort()
                return
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._watch, self._drain):
            if timer is not None:
                timer.cancel()
        if self._counted:
            self.open[self._counted] -= 1
            if not self.open[self._counted]:
                del self.open[self._counted]
        super().connection_lost(exc)

    # ---- what comes

    def data_received(self, data: bytes) -> None:
        had_header = self._in_body()
        super().data_received(data)
        self._came += len(data)
        if not self._wanting():
            self._look_no_more()
        elif self._watch is None or (self._in_body() and not had_header):
            self._look_no_more()
            self._look_later()

    def _in_body(self) -> bool:
        """Whether a header is there and its body is not, or not all of it."""
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete and cycle.more_body

    def _wanting(self) -> bool:
        """Whether something is to come before we can go on."""
        return self.cycle is None or self.cycle.response_complete or self._in_body()

    def _look_later(self) -> None:
        self._came = 0
        self._watch = self.loop.call_later(self.deadline_s, self._look)

    def _look_no_more(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _look(self) -> None:
        self._watch = None
        if self.transport.is_closing() or not self._wanting():
            return
        enough = self._came >= LEAST_RATE * self.deadline_s
        if self._in_body() and (enough or self.flow.read_paused):
            self._look_later()
        else:
            self.transport.abort()

    # ---- what goes

    def pause_writing(self) -> None:
        super().pause_writing()
        self._look_at_reader_later()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._drain is not None:
            self._drain.cancel()
            self._drain = None

    def _look_at_reader_later(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._drain = self.loop.call_later(self.deadline_s, self._look_at_reader, left)

    def _look_at_reader(self, left: int) -> None:
        self._drain = None
        if left - self.transport.get_write_buffer_size() < LEAST_RATE * self.deadline_s:
            self.transport.abort()
        else:
            self._look_at_reader_later()
