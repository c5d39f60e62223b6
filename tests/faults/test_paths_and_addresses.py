"""Ways out of the folders that may be read, and into the network that may not be asked."""

import itertools
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from assistant.commands.documents import ingest
from knowledge.fetching import Fetcher
from knowledge.site import Crawl, Page
from storage.database import rows
from storage.errors import ApprenticeError
from tests.faults.besieged import Fort, fort

BAR = "B26"
MARK = "root:x:"


@pytest.fixture(scope="module")
def besieged(tmp_path_factory, tiny_base) -> Iterator[Fort]:
    with fort(tmp_path_factory.mktemp("paths"), tiny_base.folder) as made:
        yield made


def told(record, trials, failures):
    record("bar", BAR)
    record("trials", trials)
    record("failures", len(failures))
    assert not failures, failures[:5]


UP = ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%5c", "..\\", "....//", "..%252f", "..%c0%af")
BEGINS = (
    *("/ui/", "/assets/", "/static/", "/admin/assets/", "/gradio_api/file=", "/file=", "/file/"),
    *("/conversations/", "/embed/", "/v1/models/", "/admin/plots/", "/gradio_api/stream/"),
)
ENDS = ("etc/passwd", "proc/self/environ", "{data}/apprentice.db", "{data}/secrets/cookies")


def test_no_address_leads_out_of_its_folder(besieged, record_property):
    data, failures, trials = str(besieged.app.datadir.root).lstrip("/"), [], 0
    key = {"authorization": f"Bearer {besieged.keys['team']}"}
    for begin, up, end in itertools.product(BEGINS, UP, ENDS):
        path = begin + up * 12 + end.format(data=data)
        for who in ("anonymous", "ada"):
            sent = _raw(besieged, path, besieged.people[who].cookies, key)
            trials += 1
            status = sent.split(b" ", 2)[1:2]
            if MARK.encode() in sent or b"SQLite format" in sent or status in ([b"200"], [b"500"]):
                failures.append((who, path[:60], sent[:60]))
    for path in ("/gradio_api/file=/etc/passwd", "//etc/passwd", "/ui//etc/passwd", "/file:///etc"):
        sent = _raw(besieged, path, {}, {})
        trials += 1
        failures += [path] * (MARK.encode() in sent)
    told(record_property, trials, failures)


def _raw(house: Fort, path: str, cookies: dict, headers: dict) -> bytes:
    """The answer to a path as it stands; client libraries would tidy it."""
    lines = [f"GET {path} HTTP/1.1", "Host: a", "Connection: close"]
    lines.append("Cookie: " + "; ".join(f"{name}={value}" for name, value in cookies.items()))
    lines += [f"{name}: {value}" for name, value in headers.items()]
    url = house.client.base_url
    with socket.create_connection((url.host, url.port), timeout=10) as one:
        one.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = b""
        while piece := one.recv(65536):
            answer += piece
            if len(answer) > 100_000:
                break
    return answer


@pytest.fixture
def inside():
    """A server on this machine that counts who connects."""
    seen = []
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def accept():
            while True:
                try:
                    one, _ = server.accept()
                except OSError:
                    return
                seen.append(one)
                one.close()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1], seen
        socket.create_connection(server.getsockname()).close()


HOSTS = (
    *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1"),
    *("017700000001", "127.0.0.2", "127.255.255.254", "0", "0.0.0.0", "localhost", "LOCALHOST"),
    *("localhost.", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
    *(
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[::127.0.0.1]",
        "[fe80::1]",
        "[fec0::1]",
        "[fc00::1]",
    ),
    *("[2001:0:7f00:1::]", "169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "10.0.0.1"),
    *(
        "192.168.0.1",
        "172.16.0.1",
        "100.64.0.1",
        "192.0.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
    ),
    *("255.255.255.255", "1.1.1.1@127.0.0.1", "127.0.0.1#@1.1.1.1", "127.0.0.1%2f@1.1.1.1"),
    *("①②⑦.⓪.⓪.①", "127。0。0。1", "[::1%25lo]", "127.0.0.1:80@127.0.0.1", "0x7f.1", "00000177.1"),
    *(
        "127.0.0.1\\@1.1.1.1",
        "127.0.0.1 ",
        "\t127.0.0.1",
        "127.0.0.1\r\nHost: x",
        "[::ffff:0:7f00:1]",
    ),
)


def test_no_spelling_of_an_inner_address_is_asked(inside, record_property):
    port, seen = inside
    failures = []
    with Fetcher() as fetcher:
        for host, scheme in itertools.product(HOSTS, ("http", "https")):
            address = f"{scheme}://{host}:{port}/"
            try:
                answer = fetcher.get(address)
                failures.append((address, answer.status))
            except (ApprenticeError, ValueError):
                continue
            except Exception as error:  # noqa: BLE001  a sentence is wanted
                failures.append((address, type(error).__name__))
    told(record_property, 2 * len(HOSTS), failures + seen)


def test_names_that_turn_into_inner_addresses_are_not_asked(inside, record_property):
    """By every second answer, by the second of two numbers, and for good after the first page."""
    port, seen = inside
    failures = []
    flips = itertools.cycle([["127.0.0.1"], ["::1"], ["169.254.169.254"], ["::ffff:127.0.0.1"]])
    with Fetcher(resolve=lambda host, port: next(flips)) as fetcher:
        for number in range(20):
            try:
                fetcher.get(f"http://rebound{number}.example:{port}/")
                failures.append(number)
            except ApprenticeError:
                continue
    told(record_property, 20, failures + seen)


@pytest.mark.parametrize("form", ["http://{}:{}/", "//{}:{}/x", "https://{}:{}/y"])
def test_a_redirect_inside_is_not_followed(inside, record_property, form):
    """From a named host of ours, which only that host's port may be."""
    port, seen = inside
    place = form.format("127.0.0.1", port)

    class Leading(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(302)
            self.send_header("Location", place)
            self.end_headers()

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Leading) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        named = f"127.0.0.1:{server.server_port}"
        found: list = []
        try:
            with Fetcher([named]) as fetcher:
                found = [*Crawl(f"http://{named}/", fetcher, max_pages=3, delay_s=0)]
        except ApprenticeError:
            pass
        finally:
            server.shutdown()
    told(record_property, 1, seen + [one for one in found if isinstance(one, Page)])


def test_a_link_in_a_folder_leads_nowhere(besieged, tmp_path, record_property):
    """What an admin takes in by a folder is what lies in it."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "good.md").write_text("# Good\n\nThis is here.\n")
    secret = tmp_path / "secret.md"
    secret.write_text("# Secret\n\nqzq-canary\n")
    os.symlink(secret, folder / "link.md")
    os.symlink(tmp_path, folder / "up")
    events = [*ingest(besieged.app, workspace="team", paths=[str(folder)])]
    with closing(besieged.app.db()) as db:
        texts = repr(rows(db, "select text from chunks"))
    failures = ["the link was followed"] if "qzq-canary" in texts else []
    assert "This is here." in texts, events
    told(record_property, 2, failures)
