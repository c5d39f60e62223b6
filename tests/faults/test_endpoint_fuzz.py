"""Anything at all, sent to every address and every event: an answer, and nothing of ours in it.

No 5xx, no traceback, no path of this machine, nothing that takes longer than five seconds.
"""

import json
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.besieged import VISITOR, Fort, fort

BAR = "B17"
LONGEST_S = 5.0
"""Of one answer; on a machine that does nothing else."""
LEFT_OUT = ("Traceback", "site-packages", "/storage/", '.py"', "sqlite3.", "/usr/lib")
"""What no answer quotes; the data directory's own path beside it."""


@pytest.fixture(scope="module")
def besieged(tmp_path_factory, tiny_base) -> Iterator[Fort]:
    with fort(tmp_path_factory.mktemp("fuzz"), tiny_base.folder) as made:
        yield made


def fuzzed(count):
    return settings(
        max_examples=count,
        deadline=timedelta(seconds=60),
        derandomize=count < 1000,  # the short form is the same each time
        suppress_health_check=[*HealthCheck],
        database=None,
    )


TEXT = st.text(st.characters(codec=None), max_size=60) | st.sampled_from(
    [
        "",
        "\0",
        "\ud800",
        "\udfff\ud800",
        "\u202e",
        "%00",
        "../../etc/passwd",
        "' or 1=1 --",
        "[" * 9000,
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
RAW = st.binary(max_size=200) | st.sampled_from(
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"{",
        b"null",
        b"\xff\xfe",
        b"1e999999",
        b'"\\ud800"',
        b"-" * 99,
    ]
)
FIELDS = st.sampled_from(
    ("model", "messages", "stream", "metadata", "user", "stop", "seed", "message_id", "rating")
    + ("correction", "reasons", "comment", "key", "question", "conversation", "variant", "message")
    + ("sources", "fn_index", "data", "session_hash", "event_data", "trigger_id", "max_tokens")
)
BODIES = st.dictionaries(FIELDS, VALUES, max_size=8)
ADDRESSES = (
    ("GET", "/"),
    ("GET", "/config"),
    ("GET", "/healthz"),
    ("GET", "/metrics"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("POST", "/logout"),
    ("GET", "/setup"),
    ("POST", "/setup"),
    ("GET", "/conversations/{}.md"),
    ("GET", "/conversations/{}.json"),
    ("POST", "/files"),
    ("DELETE", "/files/{}"),
    ("GET", "/embed/{}"),
    ("GET", "/embed/{key}/history"),
    ("POST", "/embed/{key}/feedback"),
    ("POST", "/embed/{key}/stop"),
    ("POST", "/embed/{key}/ask"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/feedback"),
    ("GET", "/v1/models/{}"),
    ("GET", "/v1/{}"),
    ("GET", "/ui/{}"),
    ("GET", "/assets/{}"),
    ("GET", "/admin/rounds/{}/bundle.zip"),
    ("GET", "/admin/plots/{}.csv"),
    ("GET", "/gradio_api/{}"),
    ("GET", "/gradio_api/queue/data"),
    ("GET", "/gradio_api/info"),
    ("POST", "/gradio_api/queue/join"),
    ("POST", "/gradio_api/cancel"),
    ("POST", "/gradio_api/reset"),
    ("GET", "/{}"),
)
WHO = ("anonymous", "visitor", "mo", "rita")


def told(record, trials, failures):
    record("bar", BAR)
    record("trials", trials)
    record("failures", failures)


def fault_of(house: Fort, sent: httpx.Response, took: float) -> str:
    """What is wrong with an answer; '' for a good one."""
    text = sent.text
    if sent.status_code >= 500:
        return f"status {sent.status_code}"
    if took > LONGEST_S:
        return f"{took:.1f} s"
    found = [one for one in (*LEFT_OUT, str(house.app.datadir.root)) if one in text]
    own = sent.headers.get("content-type", "").startswith(("text/html", "text/javascript"))
    return "" if own or not found else f"quotes {found}"


def headers_for(house: Fort, path: str, wild: str) -> dict[str, str | bytes]:
    found: dict[str, str | bytes] = {"x-apprentice-visitor": VISITOR}
    if path.startswith("/v1"):
        found["authorization"] = f"Bearer {house.keys['team']}"
    cleaned = "".join(one for one in wild if one.isprintable())
    found["x-wild"] = cleaned.encode("utf-8", "replace")
    return found


def test_every_address(besieged, record_property):
    """The short form: a few cases for each address."""
    count, failures = _all_addresses(besieged, 8)
    told(record_property, count, len(failures))
    assert not failures, failures[:5]


@pytest.mark.slow
def test_every_address_for_long(besieged, record_property):
    count, failures = _all_addresses(besieged, 400)
    told(record_property, count, len(failures))
    assert not failures, failures[:5]


class Tried(list):
    """What went wrong, and how much was tried."""

    trials = 0

    def address(self, house: Fort, method: str, address: str, part, body, query) -> None:
        path = address.replace("{key}", house.keys["embed"])
        path = path.replace("{}", quote(part.encode("utf-8", "replace"), safe=""))
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        who = WHO[self.trials % len(WHO)]
        begun = time.monotonic()
        sent = house.send(
            *(method, path, {} if path == "/logout" else house.people[who].cookies),
            content=content if method == "POST" else None,
            params={_sendable(name): _sendable(value) for name, value in query.items()},
            headers=headers_for(house, path, part),
        )
        self.trials += 1
        if fault := fault_of(house, sent, time.monotonic() - begun):
            self.append((fault, method, path[:80], content[:80], sent.text[:200]))

    def event(self, house: Fort, page: str, who: str, index: int, data, event, trigger) -> None:
        cookies, begun = house.people[who].cookies, time.monotonic()
        said = house.event(page, index, data, cookies, event_data=event, trigger_id=trigger)
        self.trials += 1
        took, text = time.monotonic() - begun, json.dumps(said)
        found = [one for one in (*LEFT_OUT, str(house.app.datadir.root)) if one in text]
        if found or took > LONGEST_S or (isinstance(said, int) and said >= 500):
            self.append((page, index, took, data, event, text[:200]))


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _all_addresses(house: Fort, examples: int) -> tuple[int, list]:
    tried = Tried()
    for method, address in ADDRESSES:
        _attack_address(house, tried, method, address, examples)
    return tried.trials, tried


def _attack_address(house: Fort, tried: Tried, method: str, address: str, examples: int) -> None:
    @fuzzed(examples)
    @given(part=TEXT, body=BODIES | RAW, query=st.dictionaries(TEXT, TEXT, max_size=2))
    def attack(part, body, query):
        tried.address(house, method, address, part, body, query)

    attack()


def _all_events(house: Fort, examples: int) -> tuple[int, list]:
    tried = Tried()
    for page, who in (("/", "visitor"), ("/", "mo"), ("/admin", "rita")):
        for index in (*house.page(page).fns, -1, 99999, 2**70):
            _attack_event(house, tried, page, who, index, examples)
    return tried.trials, tried


def _attack_event(
    house: Fort, tried: Tried, page: str, who: str, index: int, examples: int
) -> None:
    @fuzzed(examples)
    @given(data=st.lists(VALUES, max_size=8), event=VALUES, trigger=VALUES)
    def attack(data, event, trigger):
        trigger = trigger if isinstance(trigger, int) else None
        tried.event(house, page, who, index, data, event, trigger)

    attack()


def test_every_event(besieged, record_property):
    """Each once or twice, and numbers that are none."""
    count, failures = _all_events(besieged, 1)
    told(record_property, count, len(failures))
    assert not failures, failures[:5]
    assert count > 200


@pytest.mark.slow
def test_every_event_for_long(besieged, record_property):
    count, failures = _all_events(besieged, 50)
    told(record_property, count, len(failures))
    assert not failures, failures[:5]


def test_bytes_that_are_no_request(besieged, record_property):
    """Below what a client library lets one send."""
    url = besieged.client.base_url
    mess = [
        b"\0" * 100,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"
        b"\r\n0\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST /login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /%ff%fe%00 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET //evil.example HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET ? HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eHh4eHh4eHh4eHh4eHh4eA==\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"CONNECT evil.example:80 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"TRACE / HTTP/1.1\r\nHost: a\r\nCookie: secret=1\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nCookie: "
        + b"a=b; " * 3000
        + b"\r\nConnection: close\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ]
    failures = []
    for bytes_ in mess:
        with socket.create_connection((url.host, url.port), timeout=LONGEST_S) as one:
            try:
                one.sendall(bytes_)
                one.shutdown(socket.SHUT_WR)
                answer = one.recv(65536)
            except (TimeoutError, ConnectionError):
                answer = b""
        if answer.startswith((b"HTTP/1.1 5", b"HTTP/1.1 101")) or b"secret=1" in answer:
            failures.append((bytes_[:60], answer[:60]))
    assert besieged.send("GET", "/healthz", {}).status_code == 200
    told(record_property, len(mess), len(failures))
    assert not failures
