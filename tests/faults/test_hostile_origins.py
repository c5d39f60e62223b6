"""Other websites, other names for this server, and frames: nothing is told and nothing is done."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.faults.besieged import SHOP, VISITOR, Fort, fort

BAR = "B24"


@pytest.fixture(scope="module")
def besieged(tmp_path_factory, tiny_base) -> Iterator[Fort]:
    with fort(tmp_path_factory.mktemp("origins"), tiny_base.folder) as made:
        yield made


def hostile(house: Fort) -> list[str]:
    """Origins that are none of ours, many of which look so."""
    host = urlsplit(str(house.client.base_url)).netloc
    name = host.partition(":")[0]
    return [
        "null",
        "https://evil.example",
        f"http://{name}",
        f"http://{host}.evil.example",
        f"http://evil.example/{host}",
        f"http://evil-{host}",
        f"http://{name}:1",
        f"http://x@{host}",
        f"http://{host}@evil.example",
        f"http://{host}:80",
        f"http://{host}/",
        f"http://{host}#",
        f"file://{host}x",
        f"http://{host}\t.evil.example",
        "http://localhost",
        "http://localhost:7860",
        "https://huggingface.co",
        SHOP,
        f"{SHOP}.evil.example",
        f"http://[::1]:{host.partition(':')[2]}",
    ]


READ = ("/", "/config", "/healthz", "/admin/", "/admin/config", "/v1/models", "/metrics", "/login")
CHANGE = ("/login", "/logout", "/setup", "/gradio_api/queue/join", "/files", "/v1/feedback")
CHANGE += ("/v1/chat/completions", "/admin/gradio_api/queue/join", "/admin/gradio_api/upload")


def told(record, trials, failures):
    record("bar", BAR)
    record("trials", trials)
    record("failures", failures)


def test_no_origin_may_read_with_cookies_or_send(besieged, record_property):
    ada, trials, failures = besieged.people["ada"].cookies, 0, []
    key = {"authorization": f"Bearer {besieged.keys['team']}"}
    before = besieged.state()
    for origin in hostile(besieged):
        for method, paths in (("GET", READ), ("OPTIONS", READ + CHANGE), ("POST", CHANGE)):
            for path in paths:
                asked = {"access-control-request-method": "POST"} if method == "OPTIONS" else {}
                sent = besieged.send(method, path, ada, headers={"origin": origin, **asked, **key})
                trials += 1
                shown = [name for name in sent.headers if name.startswith("access-control-allow")]
                open_to_it = "access-control-allow-origin" in shown
                open_to_it |= "access-control-allow-credentials" in shown
                if open_to_it or (method == "POST" and sent.status_code != 403):
                    failures.append((origin, method, path, sent.status_code, shown))
    failures += [name for name, was in besieged.state().items() if was != before[name]]
    told(record_property, trials, len(failures))
    assert not failures and trials > 400


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:7860", "127.0.0.1", "evil.example", "evil.example:80", "[::1]"]
)
def test_a_claimed_name_opens_nothing_to_other_origins(besieged, record_property, host):
    """gradio#13594: its own layer lets any origin read when `Host` says localhost."""
    ada, failures, trials = besieged.people["ada"].cookies, [], 0
    for path in READ:
        headers = {"host": host, "origin": "https://evil.example", "x-forwarded-host": host}
        sent = besieged.send("GET", path, ada, headers=headers)
        trials += 1
        shown = [name for name in sent.headers if name.startswith("access-control")]
        if shown:
            failures.append((path, shown))
    told(record_property, trials, len(failures))
    assert not failures


def test_no_redirect_leads_where_a_claimed_name_points(besieged, record_property):
    """A poisoned cache or a mail with a link would lead there."""
    ada, failures, trials = besieged.people["ada"].cookies, [], 0
    claimed = {"host": "evil.example", "x-forwarded-host": "evil.example"}
    odd = ["//evil.example", "/\\evil.example", "https://evil.example", "/%09/evil.example"]
    asked = ["/admin", "/admin/", "/", "/login/", "/logout/", "/admin/config/", "/v1/models/"]
    asked += ["//evil.example/%2e%2e", "/ui", "/v1", "/files/", "/embed/x/", "/healthz/"]
    asked += [f"/login?next={one}" for one in odd]
    for path in asked:
        for cookies in (ada, {}):
            sent = besieged.send("GET", path, cookies, headers=claimed)
            trials += 1
            where = sent.headers.get("location", "")
            if "evil" in where.partition("?")[0]:
                failures.append((path, where))
    told(record_property, trials, len(failures))
    assert not failures


def test_only_a_keys_websites_frame_its_chat(besieged, record_property):
    pages = ("/", "/login", "/setup", "/admin/", "/healthz", "/nowhere", "/v1/docs", "/embed/none")
    failures = []
    for path in pages:
        sent = besieged.send("GET", path, besieged.people["ada"].cookies)
        policy = sent.headers.get("content-security-policy", "")
        if "frame-ancestors 'none'" not in policy or sent.headers["x-frame-options"] != "DENY":
            failures.append((path, policy))
    chat = besieged.send("GET", f"/embed/{besieged.keys['embed']}", {})
    framed = chat.headers["content-security-policy"].partition("frame-ancestors ")[2]
    assert framed.split(";")[0].split() == ["'self'", SHOP]
    told(record_property, len(pages) + 1, len(failures))
    assert not failures


def test_the_widget_works_from_its_website_and_its_frame_asks_its_own_server(besieged):
    host = str(besieged.client.base_url).rstrip("/")
    script = besieged.send("GET", "/widget.js", {}, headers={"origin": SHOP})
    assert script.status_code == 200
    assert script.headers["cross-origin-resource-policy"] == "cross-origin"
    path = f"/embed/{besieged.keys['embed']}"
    visitor = {"x-apprentice-visitor": VISITOR}
    for origin, status in ((host, 404), (SHOP, 403), ("https://evil.example", 403)):
        sent = besieged.send(
            *("POST", f"{path}/feedback", {}),
            json={"message": "none", "rating": 1},
            headers={**visitor, "origin": origin},
        )
        assert sent.status_code == status, origin  # 404: it was let in, the message is nobody's
    assert besieged.send("GET", f"{path}/history", {}, headers=visitor).status_code == 200


def test_what_is_private_is_kept_by_no_cache(besieged, record_property):
    """Neither the browser's, after the log out, nor one on the way."""
    mo, failures = besieged.ids["mo"]["conversation"], []
    private = {
        "ada": ("/", "/admin/", "/admin/config", "/config", "/healthz", "/metrics", "/logout"),
        "mo": ("/", "/config", f"/conversations/{mo}.md", f"/conversations/{mo}.json"),
        "anonymous": ("/login", "/setup", "/nowhere", "/admin/config", "/conversations/x.md"),
    }
    for who, paths in private.items():
        for path in paths:
            sent = besieged.send("GET", path, besieged.people[who].cookies)
            if "no-store" not in sent.headers.get("cache-control", ""):
                failures.append((who, path, sent.headers.get("cache-control")))
    key = {"authorization": f"Bearer {besieged.keys['team']}"}
    sent = besieged.send("GET", "/v1/models", {}, headers=key)
    if "no-store" not in sent.headers.get("cache-control", ""):
        failures.append("/v1/models")
    told(record_property, sum(map(len, private.values())) + 1, len(failures))
    assert not failures
