"""One abuser among others: so much and no more, whatever they claim about where they come from."""

import itertools
import json
import time
from contextlib import ExitStack, closing, contextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from assistant.callers import Proxies, network_of
from assistant.chat_page import ANSWERS_AT_ONCE
from assistant.settings import read_settings
from assistant.space import INNER, defaults
from assistant.throttle import BURST_S, Buckets, Throttle
from assistant.web import build_server
from storage.errors import BadInput
from storage.keys import create_key
from storage.workspaces import set_workspace, workspace
from tests.assistant.people import everybody
from tests.assistant.slow_engine import SlowApp
from tests.serving import on_a_port

BAR = "B22"
ABUSER = "127.0.0.2"
"""A loopback address like any other; only 127.0.0.1 is the proxy here."""


def told(record, trials, failures):
    record("bar", BAR)
    record("trials", trials)
    record("failures", failures)


@contextmanager
def coming_from(address: str, url: str):
    transport = httpx.HTTPTransport(local_address=address, limits=httpx.Limits(max_connections=200))
    with httpx.Client(base_url=url, transport=transport, timeout=30) as client:
        yield client


async def hello(request: Request):
    return PlainTextResponse(request.client.host)


def throttled(per_second: float, proxies: Proxies) -> Throttle:
    app = Starlette(routes=[Route("/{path:path}", hello)])
    return Throttle(app, per_second, proxies)


FORGED = [
    {"x-forwarded-for": "198.51.100.{}"},
    {"forwarded": "for=198.51.100.{}"},
    {"x-real-ip": "198.51.100.{}"},
    {"x-client-ip": "198.51.100.{}"},
    {"cf-connecting-ip": "198.51.100.{}"},
    {"true-client-ip": "198.51.100.{}"},
    {"x-forwarded-for": "127.0.0.1, 198.51.100.{}"},
    {"x-forwarded-host": "{}.example", "x-forwarded-for": "198.51.100.{}"},
]


def test_a_forged_address_gains_nothing(record_property):
    """A hundred claimed addresses, each in a header that some server believes."""
    proxies = Proxies("127.0.0.1")
    with (
        on_a_port(throttled(2.0, proxies), proxies=proxies) as url,
        coming_from(ABUSER, url) as abuser,
    ):
        passed, waits = 0, set()
        begun = time.monotonic()
        for number in range(100):
            forged = FORGED[number % len(FORGED)]
            sent = abuser.get("/", headers={k: v.format(number) for k, v in forged.items()})
            passed += sent.status_code == 200
            waits |= {sent.headers.get("retry-after")} if sent.status_code == 429 else set()
        most = 2.0 * BURST_S + 2.0 * (time.monotonic() - begun) + 1
    told(record_property, 100, max(0, round(passed - most)))
    assert passed <= most and waits and all(int(wait) >= 1 for wait in waits)


def test_through_the_named_proxy_each_address_has_its_own(record_property):
    proxies = Proxies("127.0.0.1")
    with on_a_port(throttled(1.0, proxies), proxies=proxies) as url, httpx.Client() as proxy:
        # the proxy adds the address it saw; what stands before it, the client wrote
        got = [
            proxy.get(url, headers={"x-forwarded-for": f"10.9.8.{n}, 203.0.113.{n % 3}"})
            for n in range(60)
        ]
    passed = [one.text for one in got if one.status_code == 200]
    told(record_property, 60, len(set(passed)) - 3)
    assert set(passed) == {"203.0.113.0", "203.0.113.1", "203.0.113.2"} and len(passed) < 30


def test_in_a_space_an_address_that_a_visitor_wrote_gains_nothing(record_property):
    """The Hub's load balancers add whom they hear to it, and an inner address or none of theirs."""
    proxies, claims, texts = (
        Proxies(INNER),
        ("198.51.100.{}", "10.9.8.{}", "127.0.0.1", "x{}"),
        set(),
    )
    with on_a_port(throttled(1.0, proxies), proxies=proxies) as url, httpx.Client() as balancer:
        for n in range(60):
            behind = ", 10.16.3.80" if n % 2 else ""
            claim = claims[n % 4].format(n)
            sent = balancer.get(url, headers={"x-forwarded-for": f"{claim}, 203.0.113.9{behind}"})
            texts |= {sent.text} if sent.status_code == 200 else set()
    told(record_property, 60, len(texts - {"203.0.113.9"}))
    assert texts == {"203.0.113.9"}
    assert defaults({})["APPRENTICE_PROXIES"] == INNER


def test_fifty_requests_a_second_for_a_while_are_not_all_let_through(record_property):
    """By a clock of our own: 15 seconds at 50 a second."""
    now = itertools.count(0, 0.02)
    clock = [0.0]
    buckets = Buckets(20.0, lambda: clock[0])
    passed = 0
    for _ in range(750):
        clock[0] = next(now)
        passed += buckets.wait("a") == 0
    told(record_property, 750, max(0, passed - 401))
    assert 390 <= passed <= 401  # 100 at once and 20 a second
    assert buckets.wait("b") == 0


def test_addresses_at_rest_are_forgotten():
    clock = [0.0]
    buckets = Buckets(1.0, lambda: clock[0])
    for number in range(10_001):
        buckets.wait(f"10.0.{number >> 8}.{number & 255}")
    clock[0] = 60.0
    assert buckets.wait("b") == 0 and len(buckets._left) == 1


@pytest.mark.parametrize(
    "host, network",
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1:2:3", "2001:db8::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", ""),
    ],
)
def test_an_ipv6_customer_is_one(host, network):
    assert network_of(host) == network


@pytest.mark.parametrize("named", ["nginx", "10.0.0.0/99", "127.0.0.1;10.0.0.1"])
def test_a_proxy_that_is_no_address_is_refused(named):
    with pytest.raises(BadInput, match="APPRENTICE_PROXIES"):
        Proxies(named)


# ---- places


@pytest.fixture(scope="module")
def busy(tmp_path_factory, tiny_base):
    """A public workspace whose answers go on until they are stopped."""
    settings = read_settings(
        data=tmp_path_factory.mktemp("busy") / "data",
        base_model=str(tiny_base.folder),
        threads=1,
        context=512,
        requests_per_second=0,
    )
    from storage.datadir import open_datadir

    app = SlowApp(settings, open_datadir(settings.data))
    with closing(app):
        everybody(app)
        with closing(app.db()) as db:
            site = workspace(db, "site")
            for name in ("open", "site"):
                set_workspace(db, name, "max_tokens", "64")
            made = {"kind": "embed", "origins": ["https://shop.example"], "actor": "user:1"}
            key = create_key(db, "shop", workspace_id=site.id, per_minute=40, **made)[1]
        with on_a_port(build_server(app)) as url:
            yield url, key
        app.under_way.drain(0)  # the answers that go on although nobody listens


def test_one_address_has_a_quarter_of_the_places_for_answers(busy, record_property):
    """A new cookie with each question, as an abuser would; then somebody else asks."""
    url, _ = busy
    tries = ANSWERS_AT_ONCE
    with ExitStack() as stack:
        abuser = stack.enter_context(coming_from(ABUSER, url))
        taken = [_asks(abuser, number) for number in range(tries)]
        other = stack.enter_context(coming_from("127.0.0.3", url))
        begun = time.monotonic()
        served = _asks(other, 0)
        took = time.monotonic() - begun
    passed = taken.count(200)
    told(record_property, tries, max(0, passed - tries // 4) + (served != 200))
    assert passed == tries // 4 and set(taken) == {200, 429}
    assert served == 200 and took < 30  # on a machine that does much else


def _asks(client: httpx.Client, number: int) -> int:
    """The status of a question by a visitor that has just come."""
    client.cookies.clear()
    config = client.get("/config").json()
    send = next(one for one in config["dependencies"] if one["targets"][0][1] == "submit")
    client.get("/")
    event = {"fn_index": send["id"], "data": [f"Question {number}?", None]}
    sent = client.post(
        "/gradio_api/queue/join?workspace=open", json={**event, "session_hash": f"n{number}"}
    )
    if sent.status_code == 429:
        assert int(sent.headers["retry-after"]) >= 1
        assert "wait" in json.loads(sent.text)["detail"]
    return sent.status_code


def test_one_address_has_a_quarter_of_what_a_websites_key_may(busy, record_property):
    url, key = busy
    with coming_from(ABUSER, url) as abuser, coming_from("127.0.0.3", url) as other:

        def judge(client, number):
            sent = client.post(
                f"/embed/{key}/feedback",
                json={"message": "none", "rating": 1},
                headers={"X-Apprentice-Visitor": f"{number:040d}"},
            )
            return sent.status_code, sent.headers.get("retry-after")

        taken = [judge(abuser, number) for number in range(30)]
        served = judge(other, 99)
    passed = sum(status != 429 for status, _ in taken)
    told(record_property, 30, max(0, passed - 10) + (served[0] == 429))
    assert passed == 10 and served[0] == 404  # that message is nobody's
    assert all(int(wait) >= 1 for status, wait in taken if status == 429)
