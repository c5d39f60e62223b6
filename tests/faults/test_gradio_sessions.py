"""What Gradio would do for anybody who knows a number or names a file: not behind our door."""

import json
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from gradio.utils import get_upload_folder

from tests.faults.besieged import SECRET, Fort, fort

BAR = "B23"


@pytest.fixture(scope="module")
def besieged(tmp_path_factory, tiny_base) -> Iterator[Fort]:
    folder = tmp_path_factory.mktemp("sessions")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))  # others write into the usual one
        with fort(folder, tiny_base.folder) as made:
            yield made


def told(record, bar, trials, failures):
    record("bar", bar)
    record("trials", trials)
    record("failures", failures)


def load_of(house: Fort, page: str) -> int:
    fns = house.page(page).fns.items()
    return next(index for index, fn in fns if fn.fn.__name__ == "load")


def test_a_session_is_read_by_whom_it_is_of(besieged, record_property):
    """Mo's page waits for what it was sent; others know its number and ask first."""
    mo, conversation = besieged.people["mo"].cookies, besieged.ids["mo"]["conversation"]
    event = {"fn_index": load_of(besieged, "/"), "data": [], "session_hash": "mosown"}
    query = f"?workspace=team&conversation={conversation}"
    sent = besieged.send("POST", f"/gradio_api/queue/join{query}", mo, json=event)
    number = sent.json()["event_id"]
    failures = []
    others = ("anonymous", "visitor", "nell", "olga", "ada")
    for who in others:
        cookies = besieged.people[who].cookies
        for address in (
            "/gradio_api/queue/data?session_hash=mosown",
            "/admin/gradio_api/queue/data?session_hash=mosown",
            f"/gradio_api/queue/data?session_hash=mosown&session_hash={number}",
            f"/gradio_api/queue/data?session_hash={number}",
            f"/gradio_api/call/send/{number}",
            f"/gradio_api/call/v2/send/{number}",
        ):
            said = besieged.send("GET", address, cookies)
            if SECRET in said.text or "process_completed" in said.text:
                failures.append((who, address, said.text[:200]))
        stop = {"session_hash": "mosown", "fn_index": event["fn_index"], "event_id": "x"}
        besieged.send("POST", "/gradio_api/cancel", cookies, json=stop)
    own = besieged.send("GET", "/gradio_api/queue/data?session_hash=mosown", mo).text
    told(record_property, BAR, 6 * len(others), len(failures))
    assert not failures
    assert SECRET in own  # nobody took or ended what was for mo


def test_an_unknown_session_is_told_so_and_ends(besieged):
    """Gradio itself breaks off in the middle of the answer."""
    for given in ("nobody", "", "x" * 200, "../..", "\r\nx: y", "a b"):
        sent = besieged.send("GET", "/gradio_api/queue/data", {}, params={"session_hash": given})
        assert sent.status_code == 200 and "session_not_found" in sent.text
    assert besieged.send("GET", "/gradio_api/queue/data", {}).status_code == 200


@pytest.fixture
def listener():
    """A server that counts who connects; its address is given out as if it had a file."""
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
        yield f"http://127.0.0.1:{server.getsockname()[1]}/file.txt", seen
        socket.create_connection(server.getsockname()).close()


def files_named(address: str, house: Fort) -> list[dict]:
    """How an event might name what was not uploaded by it."""
    meta = {"meta": {"_type": "gradio.FileData"}}
    inside = str(house.app.datadir.database)
    near = f"{get_upload_folder()}/../../../../../../etc/passwd"
    return [
        {"path": "/etc/passwd", **meta},
        {"path": inside, **meta},
        {"path": near, **meta},
        {"path": f"file://{inside}", **meta},
        {"path": address, **meta},
        {"path": "x.txt", "url": address, **meta},
        {"path": "", "url": address, "is_stream": True, **meta},
        {"path": "/proc/self/environ", "orig_name": "../../x", **meta},
        {"files": [{"path": "/etc/passwd", **meta}], "text": "Read it."},
        {"path": "/etc/passwd", "meta": {"_type": "gradio.ListFiles"}},
    ]


@pytest.mark.parametrize("who", ["anonymous", "visitor", "nell", "vic"])
def test_no_event_makes_the_server_read_a_file_or_ask_an_address(
    besieged, record_property, listener, who
):
    address, asked = listener
    cookies, trials, failures = besieged.people[who].cookies, 0, []
    cache = Path(get_upload_folder())
    before = {str(path) for path in cache.rglob("*")}
    pages = ("/", "/admin") if who == "vic" else ("/",)
    for page in pages:
        fns = [(index, fn) for index, fn in besieged.page(page).fns.items() if fn.inputs]
        for nth, file in enumerate(files_named(address, besieged)):
            for index, fn in fns[nth % 3 :: 3][:6]:
                for more in ({}, {"event_data": {"value": file}}):
                    data = [file if not more else None for _ in fn.inputs]
                    said = besieged.event(page, index, data, cookies, **more)
                    trials += 1
                    if said != 422:
                        failures.append((page, index, file, said))
    failures += [path for path in {str(path) for path in cache.rglob("*")} - before]
    told(record_property, "B26", trials, len(failures) + len(asked))
    assert not failures and not asked and trials > 50


def test_an_admin_gives_only_what_was_uploaded(besieged, record_property, listener):
    """Even to an admin, the server's own files are nobody's to hand in."""
    address, asked = listener
    cookies = besieged.people["ada"].cookies
    fns = besieged.page("/admin").fns.items()
    taking = [
        index for index, fn in fns if [type(one).__name__ for one in fn.inputs][1:] == ["File"]
    ]
    assert taking
    failures = []
    for index in taking:
        for file in files_named(address, besieged):
            said = besieged.event("/admin", index, [besieged.ids["team"], [file]], cookies)
            if said != 422:
                failures.append((index, file, said))
    uploaded = besieged.send(
        *("POST", "/admin/gradio_api/upload", cookies), files={"files": ("../../a.md", b"# Hi")}
    ).json()
    assert Path(uploaded[0]).is_file()
    file = {"path": uploaded[0], "url": address, "meta": {"_type": "gradio.FileData"}}
    said = besieged.event("/admin", taking[0], [besieged.ids["team"], [file]], cookies)
    told(record_property, "B26", 10 * len(taking), len(failures) + len(asked))
    assert not failures and not asked
    assert not isinstance(said, int), "what was uploaded is let through"


def test_strangers_fill_no_disk(besieged, record_property):
    """Uploads are refused before a byte of them is read."""
    cache, failures = Path(get_upload_folder()), []
    before = {str(path) for path in cache.rglob("*")}
    for who in ("anonymous", "visitor", "nell", "vic", "rita"):
        cookies = besieged.people[who].cookies
        for path in (
            "/gradio_api/upload",
            "/gradio_api/upload?upload_id=x",
            "/admin/gradio_api/upload",
            "/admin/gradio_api/upload/",
            "/admin/gradio_api//upload",
            "/admin/./gradio_api/upload",
            "/files?name=a.md&workspace=open&size=10",
        ):
            if path[:6] == "/files" and besieged.people[who].person.kind == "user":
                continue  # a member may, where chatting is allowed
            sent = besieged.send("POST", path, cookies, files={"files": ("a.md", b"x" * 100_000)})
            if sent.status_code not in (400, 401, 404, 405):
                failures.append((who, path, sent.status_code))
    failures += [path for path in {str(path) for path in cache.rglob("*")} - before]
    left = [path for path in Path(tempfile.gettempdir()).glob("attached-*")]
    told(record_property, BAR, 32, len(failures) + len(left))
    assert not failures and not left


def test_what_an_event_sent_is_printed_nowhere(besieged, capfd):
    """No line quotes what somebody wrote; Gradio prints values that it refuses."""
    page, wild = besieged.page("/admin"), "zq99quoted"
    for index, fn in [*page.fns.items()][::10]:
        data = [wild for _ in fn.inputs]
        besieged.event("/admin", index, data, besieged.people["vic"].cookies, event_data=wild)
    besieged.event("/", 3, [wild, wild], besieged.people["mo"].cookies)
    said = "".join(capfd.readouterr())
    assert [line for line in said.splitlines() if wild in line] == []


def test_a_heartbeat_is_of_a_session(besieged):
    for given in ("..", "a%2Fb", "a b", "%00", "x" * 200):
        assert besieged.send("GET", f"/gradio_api/heartbeat/{given}", {}).status_code == 404


def test_an_event_says_only_what_pages_say(besieged):
    """`batched` and its like switch on what our pages do not use, and answered 500 or hung."""
    mo = besieged.people["mo"].cookies
    event = {"batched": True, "simple_format": True, "oauth_token": "x", "event_id": "y"}
    said = besieged.event("/", load_of(besieged, "/"), [], mo, **event)
    assert said["success"], json.dumps(said)


def test_half_a_character_breaks_off_no_answer(besieged):
    """Gradio quotes a value that it refuses, and could not write this one."""
    [index, *_] = [
        index for index, fn in besieged.page("/admin").fns.items() if len(fn.inputs) == 1
    ]
    said = besieged.event("/admin", index, ["\ud800"], besieged.people["ada"].cookies)
    assert said["msg"] == "process_completed" and not said["success"]
