"""Requests as no browser writes them: two lengths, odd spellings of a path, claimed methods.

Sent over plain sockets, for a client library would tidy them.
"""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from assistant.security import SESSION_COOKIE
from storage.conversations import rename_conversation
from tests.faults.besieged import SECRET, Fort, fort

BAR = "B23"


@pytest.fixture(scope="module")
def besieged(tmp_path_factory, tiny_base) -> Iterator[Fort]:
    with fort(tmp_path_factory.mktemp("wire"), tiny_base.folder, requests_per_second=0) as made:
        yield made


def told(record, bar, trials, failures):
    record("bar", bar)
    record("trials", trials)
    record("failures", len(failures))
    assert not failures, failures[:5]


def sent(house: Fort, raw: bytes) -> bytes:
    """All that comes back until the server hangs up or says nothing for a second."""
    url, answer = house.client.base_url, b""
    with socket.create_connection((url.host, url.port), timeout=1) as one:
        one.sendall(raw)
        try:
            while piece := one.recv(65536):
                answer += piece
        except (TimeoutError, ConnectionError):
            pass
    return answer


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


# ---- two messages in one

HIDDEN = b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Hidden: 1\r\n\r\n"
"""Answered only by a server that takes the end of a body for a request."""
LENGTHS = [
    b"Content-Length: 0\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 4",
    b"Content-Length: 4\r\nContent-Length: 0",
    b"Content-Length: 0\r\nContent-Length: 4",
    b"Content-Length: 0, 4",
    b"Content-Length: +4",
    b"Content-Length: 0x4",
    b"Content-Length: 4 4",
    b"Content-Length : 4",
    b"Content-Length:\x0b4",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding:\x0bchunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    b"X: y\rTransfer-Encoding: chunked",
    b"X: y\nTransfer-Encoding: chunked",
    b" Transfer-Encoding: chunked",
    b"Transfer\x00-Encoding: chunked",
]


def test_no_length_hides_a_second_request(besieged, record_property):
    """Either it is refused, or what follows is a request of its own to everybody on the way."""
    failures, trials = [], 0
    for lengths in LENGTHS:
        for body in (b"0\r\n\r\n" + HIDDEN, HIDDEN):
            raw = b"POST /login HTTP/1.1\r\nHost: a\r\n" + lengths + b"\r\n\r\n" + body
            answer = sent(besieged, raw)
            trials += 1
            if answer.count(b"HTTP/1.1 200") > 0 or answer[8:10] == b" 5":
                failures.append((lengths, body[:5], answer[:200]))
    told(record_property, "B17", trials, failures)


# ---- a path in other words

SPELLINGS = (
    *("/admin", "/admin/config", "/%61dmin/config", "/admin%2fconfig", "/ADMIN/config"),
    *("//admin/config", "///admin/config", "/./admin/config", "/x/../admin/config"),
    *("/x/%2e%2e/admin/config", "/admin;x/config", "/admin/;/config", "/admin/..;/admin/config"),
    *("/admin/config;.css", "/admin/config%00.css", "/admin\\config", "/admin%5cconfig"),
    *("/admin/config/", "/admin//config", "/admin/config?x=/assets/", "/admin/config#/assets/"),
    *("/assets/../admin/config", "/ui/../admin/config", "/static/%2e%2e/admin/config"),
    *("/v1/../admin/config", "/ui/..%2fadmin/config", "/healthz/../admin/config"),
    *("/admin%2e/config", "/admin./config", "/admin%20/config", "/admin\t/config"),
    *("/%2561dmin/config", "/%c0%afadmin/config", "/\u2215admin/config", "/ａdmin/config"),
    *("http://a/admin/config", "http://a//admin/config", "*", "admin/config"),
)
SENSITIVE = (b'"components"', b'"dependencies"', SECRET.encode(), b"Feedback")


def spelled(house: Fort, method: str, path: str, *headers: str, cookies: str = "") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: a", "Connection: close", *headers]
    lines += [f"Cookie: {cookies}"] if cookies else []
    return sent(house, ("\r\n".join(lines) + "\r\n\r\n").encode())


def cookie_of(house: Fort, who: str) -> str:
    return "; ".join(f"{name}={value}" for name, value in house.people[who].cookies.items())


def test_no_spelling_of_a_path_gets_past_the_door(besieged, record_property):
    failures, trials = [], 0
    for who in ("anonymous", "nell"):
        for path in SPELLINGS:
            answer = spelled(besieged, "GET", path, cookies=cookie_of(besieged, who))
            trials += 1
            if any(one in answer for one in SENSITIVE) and b"/login" not in answer:
                failures.append((who, path, answer[:300]))
            if status(answer) >= 500:
                failures.append((who, path, answer[:100]))
    told(record_property, BAR, trials, failures)
    inside = spelled(besieged, "GET", "/admin/config", cookies=cookie_of(besieged, "ada"))
    assert status(inside) == 200 and b'"components"' in inside  # else nothing is told apart


# ---- what a header claims

CLAIMS = (
    *("X-HTTP-Method-Override: DELETE", "X-HTTP-Method: PUT", "X-Method-Override: PATCH"),
    *("X-Original-URL: /admin/config", "X-Rewrite-URL: /admin/config", "X-Forwarded-Path: /admin"),
    *("X-Forwarded-Prefix: /admin", "X-Script-Name: /admin", "X-Forwarded-Host: evil.example"),
    *("Forwarded: for=127.0.0.1;host=evil.example;proto=https", "X-Host: evil.example"),
    *("X-Gradio-Server: http://evil.example", "X-Gradio-User: ada"),
    *("X-Forwarded-Server: evil.example", "X-Forwarded-Port: 444", "X-Forwarded-Scheme: nothttps"),
    *("X-Remote-User: ada", "X-Forwarded-User: ada", "Remote-User: ada", "X-User-Id: 1"),
    *("X-Real-IP: 127.0.0.1", "X-Client-IP: 127.0.0.1", "X-Forwarded-For: 127.0.0.1"),
    *("X-Forwarded-Proto: javascript", "X-Forwarded-Proto: https", "Max-Forwards: 0"),
    *("Upgrade: websocket", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
    *("Expect: 100-continue", "Range: bytes=0-0,1-1,2-2", "If-None-Match: *", "TE: trailers"),
)


def test_no_header_says_who_one_is_or_what_is_asked(besieged, record_property):
    """Nothing comes back in an answer that a cache would keep for others, and no door opens."""
    failures, trials = [], 0
    paths = ("/", "/admin/config", "/login", "/setup", "/v1/models", "/healthz", "/metrics")
    talk = f"/conversations/{besieged.ids['mo']['conversation']}.json"
    for path in (*paths, talk):
        plain = status(spelled(besieged, "GET", path))
        for claim in CLAIMS:
            extra = ("Connection: Upgrade",) if claim.startswith("Upgrade") else ()
            answer = spelled(besieged, "GET", path, claim, *extra)
            trials += 1
            same = status(answer) == plain
            if not same or b"evil" in answer or b":444" in answer or SECRET.encode() in answer:
                failures.append((path, claim, plain, answer[:300]))
    told(record_property, BAR, trials, failures)


def test_no_method_is_taken_for_another(besieged, record_property):
    """What changes something by POST does not by any other word, nor by an override."""
    failures, trials, before = [], 0, besieged.state()
    mo = cookie_of(besieged, "mo")
    for method in ("PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "GET", "HEAD", "post", "POSTX"):
        for path in ("/logout", "/login", "/v1/feedback", "/gradio_api/queue/join", "/setup"):
            answer = spelled(besieged, method, path, "X-HTTP-Method-Override: POST", cookies=mo)
            trials += 1
            if status(answer) >= 500 or b"set-cookie" in answer.lower():
                failures.append((method, path, answer[:200]))
    failures += [name for name, was in besieged.state().items() if was != before.get(name)]
    told(record_property, BAR, trials, failures)


# ---- a name that comes back in a header

NAMES = (
    *('x"; filename="y.exe', "x\r\nSet-Cookie: a=b", "x\nX: y", "\u202egnp.exe", "日本", "a;b=c"),
    *("../../etc/passwd", "\\..\\x", "%0d%0aX: y", "\0", "é" * 300, "\ud83d\ude00", "'", "<b>"),
)


def test_no_title_adds_a_header(besieged, record_property):
    """The title is a conversation's first words, in the name of the file that it is saved as."""
    failures, trials = [], 0
    talk, mo = besieged.ids["mo"]["conversation"], besieged.people["mo"].cookies
    for name in NAMES:
        with closing(besieged.app.db()) as db:
            rename_conversation(db, talk, f"t {name}")
        for form in ("md", "json"):
            got = besieged.send("GET", f"/conversations/{talk}.{form}", mo)
            trials += 1
            shown = got.headers["content-disposition"]
            plain = shown.isascii() and shown.count('"') == 2 and shown.count(";") == 1
            if (
                got.status_code != 200
                or not plain
                or "x" in got.headers
                or "a=b" in str(got.cookies)
            ):
                failures.append((name, got.status_code, shown))
    told(record_property, BAR, trials, failures)


def test_a_session_cookie_is_taken_once_and_whole(besieged, record_property):
    """A second cookie of the name, quotes, spaces and other letters make nobody an admin."""
    ada, nell = (besieged.people[who].cookies[SESSION_COOKIE] for who in ("ada", "nell"))
    name, failures = SESSION_COOKIE, []
    for cookies in (
        *(f"{name.upper()}={ada}", f"x={name}={ada}", f"{name}={ada[:-1]}", f"{name}={ada}x"),
        *(f"__Host-{name}={ada}", f"{name}%3D{ada}", f"{name}={ada.swapcase()}", f"{name} {ada}"),
        *(f"{name}={nell}", f"{name}={nell}.{ada}", f"{name}=;{name}_={ada}"),
    ):
        if status(spelled(besieged, "GET", "/admin/config", cookies=cookies)) != 401:
            failures.append(cookies)
    told(record_property, BAR, 11, failures)
