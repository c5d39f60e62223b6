"""Many readers at once at one of three places, for `bench_load`: what each was told, and when.

The widget and the chat page speak as their own scripts do; the opponent, a bare
`gr.ChatInterface`, is spoken to as Gradio's browser code does.
"""

import asyncio
import json
import re
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from statistics import quantiles
from typing import Any, Protocol
from uuid import uuid4

import httpx

from tests.benchmarks.stand_in import LITTLE

SOON_S = 2.0
BEFORE = "X-Apprentice-Before"
GIVE_UP_S = 600.0
SIGN = re.compile(r'role=\\"status\\"|"assistant"')
"""In what the chat page is sent: the line that names the place, or the beginning of an answer."""
_TALK = re.compile(r"open-conversation[^>]*>([0-9a-f]{32})<")


@dataclass(frozen=True)
class Told:
    """One question: `kind` is answered, busy or lost; seconds until the first sign and the end."""

    kind: str
    first_s: float
    all_s: float = 0.0
    id: str = ""
    """Of the reply or of its conversation, where the server names one."""
    why: str = ""


@dataclass
class Heard:
    """All that a crowd was told in `seconds`."""

    seconds: float = 0.0
    told: list[Told] = field(default_factory=list)

    def of(self, kind: str) -> list[Told]:
        """Those of one kind."""
        return [one for one in self.told if one.kind == kind]

    def soon(self) -> float:
        """The share that was answered or told to wait within two seconds."""
        soon = sum(one.kind != "lost" and one.first_s <= SOON_S for one in self.told)
        return soon / max(1, len(self.told))

    def first(self, share: int) -> float:
        """The percentile `share` of seconds until the first sign, of all but the lost."""
        times = [one.first_s for one in self.told if one.kind != "lost"]
        return quantiles(times, n=100, method="inclusive")[share - 1] if len(times) > 1 else 0.0

    def rate(self) -> float:
        """Whole answers a second."""
        return len(self.of("answered")) / self.seconds if self.seconds else 0.0


class Place(Protocol):
    """Somewhere to ask."""

    async def arrive(self, http: httpx.AsyncClient, who: str) -> None:
        """What comes before the first question."""

    async def ask(self, http: httpx.AsyncClient, who: str) -> Told: ...


class Widget:
    """The page of an embed key."""

    def __init__(self, url: str, key: str) -> None:
        self._url = f"{url}/embed/{key}/ask"

    async def arrive(self, http: httpx.AsyncClient, who: str) -> None:
        """Nothing: the script has its own token."""

    async def ask(self, http: httpx.AsyncClient, who: str) -> Told:
        """One question of the visitor `who`, in a conversation of its own."""
        began, first = time.monotonic(), 0.0
        headers = {"X-Apprentice-Visitor": who.ljust(40, "x"), **_from(who)}
        async with http.stream(
            "POST", self._url, json={"question": LITTLE}, headers=headers
        ) as got:
            if got.status_code != 200:
                said = (await got.aread()).decode()
                kind = "busy" if got.status_code in (429, 503) else "lost"
                return Told(kind, time.monotonic() - began, why=f"{got.status_code} {said[:80]}")
            async for event in _events(got):
                if event["type"] == "piece":
                    first = first or time.monotonic() - began
                elif event["type"] == "done":
                    took = time.monotonic() - began
                    return Told("answered", first or took, took, event["message"]["id"])
                elif event["type"] == "error":
                    kind = "busy" if event.get("code") == "busy" else "lost"
                    return Told(kind, time.monotonic() - began, why=event["error"])
        return Told("lost", time.monotonic() - began, why="the stream ended")


class GradioPage:
    """A page of Gradio's: joins its queue and listens, in a session of its own each time."""

    def __init__(self, url: str, function: str, sign: re.Pattern[str] = re.compile("")) -> None:
        """`sign` is what the first event has in it that tells the reader something."""
        self._url = url
        self._sign = sign
        config = httpx.get(f"{url}/config", timeout=60).json()
        known = [one for one in config["dependencies"] if one["api_name"] == function]
        self._fn = known[0]["id"]
        self._cookies: dict[str, dict[str, str]] = {}

    async def arrive(self, http: httpx.AsyncClient, who: str) -> None:
        """The page, which gives a visitor a cookie."""
        headers = {"Cookie": "", **_from(who)}
        self._cookies[who] = dict((await http.get(f"{self._url}/", headers=headers)).cookies)

    async def ask(self, http: httpx.AsyncClient, who: str) -> Told:
        """One question; a first sign is a piece of the answer or the line that names the place."""
        began, session = time.monotonic(), uuid4().hex
        cookies = "; ".join(f"{k}={v}" for k, v in self._cookies[who].items())
        headers = {"Cookie": cookies, **_from(who)}
        asked = {"data": [LITTLE, None], "fn_index": self._fn, "session_hash": session}
        api = f"{self._url}/gradio_api/queue"
        joined = await http.post(f"{api}/join", json={**asked, "event_data": None}, headers=headers)
        if joined.status_code != 200:
            kind = "busy" if joined.status_code in (429, 503) else "lost"
            return Told(
                kind, time.monotonic() - began, why=f"{joined.status_code} {joined.text[:80]}"
            )
        first, talk = 0.0, ""
        if BEFORE in joined.headers:  # the page's script says so at once
            first = time.monotonic() - began
        where = {"session_hash": session}
        beat = f"{self._url}/gradio_api/heartbeat/{session}"
        async with (  # when the second ends, Gradio forgets the session
            http.stream("GET", f"{api}/data", params=where, headers=headers) as got,
            http.stream("GET", beat, headers=headers),
        ):
            async for event in _events(got):
                if event["msg"] == "process_generating":
                    output = json.dumps(event["output"])
                    if not first and self._sign.search(output):
                        first = time.monotonic() - began
                    named = None if talk else _TALK.search(output)
                    talk = named[1] if named else talk
                elif event["msg"] == "process_completed":
                    took = time.monotonic() - began
                    if not event["success"]:
                        return Told("lost", took, why=json.dumps(event["output"])[:120])
                    return Told("answered", first or took, took, talk)
        return Told("lost", time.monotonic() - began, why="the stream ended")


def _from(who: str) -> dict[str, str]:
    """An address for each reader, as the web server in front names it: strangers share none."""
    return {"X-Forwarded-For": str(ip_address(0x0A000000 + zlib.crc32(who.encode()) % 2**24))}


async def _events(got: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in got.aiter_lines():
        if line.startswith("data: ") and line[6:] != "[DONE]":
            yield json.loads(line[6:])


async def crowd(place: Place, users: int, seconds: float, pause_s: float = 1.0) -> Heard:
    """So many readers for so long, each asking again once it was answered; the busy ones wait
    `pause_s` first. Who is still being answered at the end is heard out."""
    heard, end = Heard(), 0.0

    async def reader(number: int, http: httpx.AsyncClient) -> None:
        while time.monotonic() < end:
            told = await _asked(place, http, f"reader-{number}")
            heard.told.append(told)
            if told.kind != "answered":
                await asyncio.sleep(pause_s)

    async with AsyncExitStack() as opened:
        browsers = [await opened.enter_async_context(_browser()) for _ in range(users)]
        for number, http in enumerate(browsers):
            await place.arrive(http, f"reader-{number}")
        began = time.monotonic()
        end = began + seconds
        await asyncio.gather(*(reader(number, http) for number, http in enumerate(browsers)))
        heard.seconds = time.monotonic() - began
    return heard


async def flood(place: Place, a_second: float, seconds: float) -> Heard:
    """One visitor who asks so often, whether or not it was answered."""
    heard = Heard(seconds)
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=GIVE_UP_S) as http:
        await place.arrive(http, "abuser")

        async def once() -> None:
            heard.told.append(await _asked(place, http, "abuser"))

        async with asyncio.TaskGroup() as tasks:
            for _ in range(round(a_second * seconds)):
                tasks.create_task(once())
                await asyncio.sleep(1 / a_second)
    return heard


def flooded(place: Place, a_second: float, seconds: float) -> Heard:
    """`flood`, for a process of its own: in the crowd's it would take the crowd's time."""
    return asyncio.run(flood(place, a_second, seconds))


async def leave(place: Place, users: int, after_s: float) -> None:
    """So many readers ask at once and hang up after some seconds, whatever they have heard."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=GIVE_UP_S) as http:

        async def leaver(number: int) -> None:
            await place.arrive(http, f"leaver-{number}")
            with suppress(TimeoutError):
                await asyncio.wait_for(place.ask(http, f"leaver-{number}"), after_s)

        await asyncio.gather(*map(leaver, range(users)))


def _browser() -> httpx.AsyncClient:
    """One for each reader: a pool of 1,500 connections looks at all of them for each request,
    which took the crowd more time than the server."""
    # a connection that the server closes after 5 s is not tried again here, as browsers do
    limits = httpx.Limits(keepalive_expiry=2.0)
    return httpx.AsyncClient(limits=limits, timeout=GIVE_UP_S, verify=False)


async def _asked(place: Place, http: httpx.AsyncClient, who: str) -> Told:
    began = time.monotonic()
    try:
        return await place.ask(http, who)
    except httpx.HTTPError as error:
        return Told("lost", time.monotonic() - began, why=type(error).__name__)
