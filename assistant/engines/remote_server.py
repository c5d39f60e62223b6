"""HTTP to the remote engine's server: questions, streams of events, and faults as sentences.

The requests live on one event loop in a thread of its own: a blocking read cannot be left while the
server reads a long prompt, a task can, and its connection is closed at once. No connection is kept
for the next request, so none is found dead, and what was left stops on the server.
"""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import httpx

from assistant.engines.protocol import EngineFailed
from assistant.engines.remote_place import RemotePlace, ServerAddress
from storage.errors import BadInput

TICK_S = 0.1
"""How often a silent stream looks whether it should go on."""
BACKOFF_S = (0.5, 1.0, 2.0)
"""Waits before a request is sent again; only while nothing of its answer has come."""
BAD_GATEWAY = 502
"""A balancer's, of a server behind it that is away."""
BUSY = {429, BAD_GATEWAY, 503}
"""Statuses of a server that may answer in a moment."""
LONGEST_WAIT_S = 10.0
"""A server that asks for more is reported instead."""
CONNECT_S = 10.0
LONGEST_LINE = 1 << 20
"""Bytes; an event with eight likelihoods has two thousand."""

T = TypeVar("T")
Event = dict[str, Any]


class AdapterGone(EngineFailed):
    """The server does not know an adapter that it had: it was started again."""


class Away(EngineFailed):
    """The server answers nobody now: it is not there, silent or busy."""


class Unreachable(Away):
    """Nothing listens at the address."""


class BrokeOff(Away):
    """The connection ended before the answer did."""


class RemoteServer:
    """One server. Safe for many threads."""

    def __init__(
        self,
        place: RemotePlace,
        *,
        at: ServerAddress | None = None,
        waits: Sequence[float] = BACKOFF_S,
    ) -> None:
        """Asks nothing yet; `at` is where, instead of the place's address, `waits` in seconds.

        Raises BadInput for an address that is none, or such a key.
        """
        url = _address(at.url if at else place.url)
        if not (place.key.isascii() and place.key.isprintable()):  # the error would show it
            raise BadInput("APPRENTICE_REMOTE_KEY has a sign that no key can have: set it again.")
        self.shown = str(url.copy_with(userinfo=b""))
        """The address without what may be secret in it."""
        self._timeout = place.timeout
        self._waits = waits
        self._more: dict[str, Any] = {}
        headers = {"Authorization": f"Bearer {place.key}"} if place.key else {}
        if at is not None and at.name:  # asked by number, under the name that it has
            headers["Host"] = at.name
            self._more = {"sni_hostname": at.name.rsplit(":", 1)[0]}
        self._closed = False
        self._running: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._client = httpx.AsyncClient(
            base_url=url,
            headers=headers,
            timeout=httpx.Timeout(None, connect=min(CONNECT_S, place.timeout)),
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="remote-engine", daemon=True
        )
        self._thread.start()

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        within: float | None = None,
    ) -> httpx.Response:
        """The whole answer to a short question, also where it is a refusal (404, 400).

        Raises Away when the server is away, silent (for `within` seconds; else as long as the
        place allows) or busy, EngineFailed when it refuses the key or is at fault.
        """
        seconds = self._timeout
        future = self._start(self._whole(method, path, body))
        try:
            response = self._told(lambda: future.result(min(within or seconds, seconds)))
        finally:
            future.cancel()
        status = response.status_code
        if status in (401, 403) or (status >= 500 and status != 501):  # it has no such thing
            raise self._refused(response)
        return response

    def events(
        self, path: str, body: Mapping[str, Any], last: Callable[[Event], bool]
    ) -> Iterator[Event]:
        """The events of a stream, and {} whenever it is silent for a tick.

        Closing the iterator closes the connection. Ends without a last event when the engine is
        closed meanwhile. Raises EngineFailed for an error that the server tells, silence, or an end
        before the `last` event; AdapterGone when the server does not know the model.
        """
        said: SimpleQueue[bytes | None] = SimpleQueue()
        future = self._start(self._read(path, body, said.put))
        future.add_done_callback(lambda _: said.put(None))
        ended = False
        heard = time.monotonic()
        try:
            while True:
                try:
                    line = said.get(timeout=TICK_S)
                except Empty:
                    if time.monotonic() - heard > self._timeout:
                        raise self._silent() from None
                    yield {}
                    continue
                if line is None or line == b"[DONE]":
                    break
                event = self._event(line)
                ended = ended or last(event)
                yield event
                heard = time.monotonic()
            if not ended and not self._closed:
                if future.done():
                    self._told(future.result)
                raise BrokeOff(
                    f"The model server {self.shown} broke off in the middle of the reply; what it "
                    "had said is kept. Ask again."
                )
        finally:
            future.cancel()

    def close(self) -> None:
        """Leave every request; streams end without a last event."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            running = list(self._running)
        for future in running:
            future.cancel()
        asyncio.run_coroutine_threadsafe(self._client.aclose(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def rubbish(self, error: object) -> EngineFailed:
        """The error for an answer that cannot be understood."""
        return EngineFailed(
            f"What answers at {self.shown} says what no OpenAI-compatible server says ({error}): "
            "check APPRENTICE_REMOTE_URL."
        )

    def _start(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        with self._lock:
            if self._closed:
                work.close()
                raise EngineFailed("The engine has been closed: start the server again.")
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
            self._running.add(future)
        future.add_done_callback(self._running.discard)
        return future

    def _told(self, result: Callable[[], T]) -> T:
        try:
            return result()
        except TimeoutError:
            raise self._silent() from None
        except CancelledError:
            raise EngineFailed("The engine has been closed: start the server again.") from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unreachable(
                f"The model server {self.shown} cannot be reached ({error or 'no answer'}): start "
                "it, or correct APPRENTICE_REMOTE_URL."
            ) from None
        except httpx.HTTPError as error:
            raise BrokeOff(
                f"The connection to the model server {self.shown} broke ({error}); what it had "
                "said is kept. Ask again."
            ) from None

    def _silent(self) -> EngineFailed:
        return Away(
            f"The model server {self.shown} has said nothing for {self._timeout:g} seconds: look "
            "what it does, or raise APPRENTICE_REMOTE_TIMEOUT."
        )

    def _refused(self, response: httpx.Response) -> EngineFailed:
        status, words = response.status_code, told_by(response)
        if status in (401, 403):
            return EngineFailed(
                f"The model server {self.shown} refuses the key: set APPRENTICE_REMOTE_KEY."
            )
        if status in BUSY:
            gone = Unreachable if status == BAD_GATEWAY else Away
            return gone(f"The model server {self.shown} is busy ({words}): ask again soon.")
        if status == 404:
            return AdapterGone(f"The model server {self.shown} has no such model: {words}")
        return EngineFailed(f"The model server {self.shown} failed (status {status}): {words}")

    def _event(self, line: bytes) -> Event:
        try:
            event = json.loads(line)
        except ValueError as error:
            raise self.rubbish(error) from None
        if not isinstance(event, dict):
            raise self.rubbish("an event that is no object")
        if event.get("error"):
            raise EngineFailed(f"The model server {self.shown} stopped: {_message(event)}")
        return event

    # From here on everything runs on the loop.

    async def _whole(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> httpx.Response:
        response = await self._opened(self._request(method, path, body))
        try:
            await response.aread()
        finally:
            await response.aclose()
        return response

    async def _read(self, path: str, body: Mapping[str, Any], say: Callable[[bytes], None]) -> None:
        response = await self._opened(self._request("POST", path, body))
        try:
            if response.status_code != 200:
                await response.aread()
                raise self._refused(response)
            if "event-stream" not in response.headers.get("Content-Type", ""):
                raise self.rubbish("no stream of events")
            rest = b""
            # httpx's own lines end at every sign that Unicode calls a line's end.
            async for data in response.aiter_bytes():
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    kind, _, value = line.partition(b":")
                    if kind == b"data":
                        say(value.strip())
                    elif kind == b"error":  # llama.cpp's
                        say(b'{"error": %s}' % value.strip())
                if len(rest) > LONGEST_LINE:
                    raise self.rubbish("a line without an end")
        finally:
            await response.aclose()

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None) -> httpx.Request:
        return self._client.build_request(method, path, json=body, extensions=self._more)

    async def _opened(self, request: httpx.Request) -> httpx.Response:
        """The head of the answer, asked for again while the server is away or busy."""
        for wait in self._waits:
            try:
                response = await self._client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                await asyncio.sleep(wait)
                continue
            wanted = _retry_after(response)
            if response.status_code not in BUSY or wanted > LONGEST_WAIT_S:
                return response
            await response.aclose()
            await asyncio.sleep(max(wait, wanted))
        return await self._client.send(request, stream=True)


def told_by(response: httpx.Response) -> str:
    """The message in a refusal that was read whole."""
    with contextlib.suppress(ValueError, AttributeError):
        return _message(response.json())
    return response.text[:200] or response.reason_phrase


def _message(said: Mapping[str, Any]) -> str:
    error = said.get("error") or said
    message = error.get("message") if isinstance(error, Mapping) else error
    return str(message or said.get("message") or said.get("detail") or said)[:300]


def _address(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url.rstrip("/").removesuffix("/v1"))
    except httpx.InvalidURL:
        address = httpx.URL()
    if address.scheme not in ("http", "https") or not address.host:
        raise BadInput(
            "APPRENTICE_ENGINE=remote needs the address of a server in APPRENTICE_REMOTE_URL, like "
            "http://127.0.0.1:8000."
        )
    return address


def _retry_after(response: httpx.Response) -> float:
    """Seconds that the server asks for; 0 where it says none, or a date."""
    try:
        return max(0.0, float(response.headers.get("Retry-After", 0)))
    except ValueError:
        return 0.0
