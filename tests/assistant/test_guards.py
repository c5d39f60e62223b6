"""Headers, nonces, body limits and the refusal of other websites' requests."""

import re

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from assistant.guards import BODY_BYTES, UPLOAD_PATH, BodyLimit, SameOrigin, SecurityHeaders

PAGE = "<html><head><script>one()</script><script type=module src=x></script></head></html>"


async def length(request: Request):
    return PlainTextResponse(str(len(await request.body())))


async def stream(request: Request):
    return StreamingResponse(iter(["<scr", "ipt>a</script>"]), media_type="text/html")


@pytest.fixture(scope="module")
def client():
    routes = [
        Route("/page", lambda request: HTMLResponse(PAGE)),
        Route(
            "/long", lambda request: HTMLResponse(PAGE.replace("</head>", "x" * 999 + "</head>"))
        ),
        Route("/stream", stream),
        Route("/text", lambda request: PlainTextResponse("<script>")),
        Route(
            "/own",
            lambda request: PlainTextResponse("x", headers={"X-Frame-Options": "SAMEORIGIN"}),
        ),
        Route("/length", length, methods=["POST"]),
        Route(UPLOAD_PATH, length, methods=["POST"]),
    ]
    guards = [Middleware(kind) for kind in (SecurityHeaders, BodyLimit, SameOrigin)]
    return TestClient(Starlette(routes=routes, middleware=guards))


def policy(answer) -> dict[str, str]:
    parts = answer.headers["content-security-policy"].split("; ")
    return dict(part.split(" ", 1) for part in parts)


def test_every_answer_has_the_headers(client):
    for path in ("/page", "/text", "/nowhere"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_a_page_may_set_its_own_header(client):
    assert client.get("/own").headers["x-frame-options"] == "SAMEORIGIN"


def test_scripts_run_by_a_nonce_that_is_new_each_time(client):
    nonces = set()
    for path in ("/page", "/stream"):
        answer = client.get(path)
        found = re.findall(r'<script nonce="([^"]+)"', answer.text)
        assert len(found) == answer.text.count("<script") > 0
        assert set(found) == {policy(answer)["script-src"].split("'nonce-")[1].rstrip("'")}
        nonces |= set(found)
    assert len(nonces) == 2


def test_no_inline_and_no_evaluated_script_and_no_foreign_image(client):
    found = policy(client.get("/page"))
    assert "unsafe" not in found["script-src"]
    assert found["img-src"] == "'self' data:"
    assert found["connect-src"] == "'self'"


def test_the_length_fits_the_page_with_its_nonces(client):
    answer = client.get("/page")
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["cache-control"] == "no-store"


def test_a_head_request_and_plain_text_are_left_alone(client):
    assert client.head("/page").status_code == 200
    assert client.get("/text").text == "<script>"


def test_a_body_over_the_limit_is_refused(client):
    assert client.post("/length", content=b"x" * BODY_BYTES).text == str(BODY_BYTES)
    answer = client.post("/length", content=b"x" * (BODY_BYTES + 1))
    assert answer.status_code == 413
    assert "larger than 1 MB" in answer.text


def test_an_unannounced_body_is_counted_as_it_comes(client):
    pieces = (b"x" * 100_000 for _ in range(20))
    assert client.post("/length", content=pieces).status_code == 413


def test_uploads_may_be_larger(client):
    assert client.post(UPLOAD_PATH, content=b"x" * (BODY_BYTES + 1)).status_code == 200


@pytest.mark.parametrize(
    "headers, status",
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://testserver"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://testserver.evil.example"}, 403),
        ({"Origin": "http://public.example", "Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_only_our_own_pages_may_change_something(client, headers, status):
    assert client.post("/length", content=b"x", headers=headers).status_code == status


def test_reading_from_elsewhere_is_not_stopped_here(client):
    assert client.get("/text", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_a_page_is_packed_after_it_got_its_nonces(client):
    """And sent as it is to whoever cannot unpack it."""
    plain = client.get("/long", headers={"accept-encoding": "identity"})
    packed = client.get("/long", headers={"accept-encoding": "gzip", "accept": "text/html"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])
    nonce = policy(packed)["script-src"].split("'nonce-")[1].rstrip("'")
    assert packed.text.count(f'<script nonce="{nonce}"') == 2
    assert packed.text.endswith("</html>") and len(packed.text) == len(plain.text)
    for page in (plain, packed):
        assert "accept-encoding" in page.headers["vary"].lower()
