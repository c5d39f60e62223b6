"""The built folder, started as a Space starts it, beside a stand-in for the Hub; and once more
after its disk is gone."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from socket import socket
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from assistant.space import defaults
from assistant.space_build import build_space
from storage.database import open_database, rows
from tests.assistant.hub import CLIENT, TOKEN, running_hub

NOBODY = 65534
SPACE = "ada/helpdesk"
HOST = "ada-helpdesk.hf.space"
PROXY = {"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.7", "host": HOST}


def _nobody_may_run() -> bool:
    """Whether this Python can be started by another account: it may lie in somebody's home."""
    places = [Path(place).resolve() for place in (sys.executable, sys.prefix, os.__file__)]
    folders = {folder for place in places for folder in place.parents}
    return os.geteuid() == 0 and all(folder.stat().st_mode & 0o001 for folder in folders)


OTHER_ACCOUNT: dict = (
    {"user": NOBODY, "group": NOBODY, "extra_groups": []} if _nobody_may_run() else {}
)


class Space:
    """`python app.py` in the folder, with the environment of a Space, as another account."""

    def __init__(self, folder: Path, base: Path, hub_url: str) -> None:
        self._app, self.home = folder / "app", folder / "home"
        with closing(socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "SYSTEM": "spaces",
            "SPACE_ID": SPACE,
            "SPACE_HOST": HOST,
            "SPACE_AUTHOR_NAME": "ada",
            "SPACE_REPO_NAME": "helpdesk",
            "SPACE_TITLE": "Helpdesk",
            "ACCELERATOR": "none",
            "CPU_CORES": "1",
            "MEMORY": "16Gi",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "GRADIO_ALLOW_FLAGGING": "never",
            "GRADIO_NUM_PORTS": "1",
            "GRADIO_SERVER_NAME": "0.0.0.0",
            "GRADIO_SERVER_PORT": str(self.port),
            "GRADIO_THEME": "huggingface",
            "OAUTH_CLIENT_ID": CLIENT[0],
            "OAUTH_CLIENT_SECRET": CLIENT[1],
            "OAUTH_SCOPES": "openid profile",
            "OPENID_PROVIDER_URL": hub_url,
            "HF_ENDPOINT": hub_url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_TOKEN": TOKEN,
            "APPRENTICE_ADMINS": "Ada",
            "APPRENTICE_ACCESS": "public",
            "APPRENTICE_BASE_MODEL": str(base),
        }
        self._log = folder / "log"

    def start(self) -> None:
        """Until it answers."""
        self._process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=self._app,
            env=self._environment,
            stdout=self._log.open("a"),
            stderr=subprocess.STDOUT,
            **OTHER_ACCOUNT,
        )
        give_up = time.monotonic() + 240
        while True:
            assert self._process.poll() is None and time.monotonic() < give_up, self.log
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/healthz", timeout=5)
                return
            except httpx.HTTPError:
                time.sleep(0.2)

    def stop(self) -> None:
        """As Spaces does; it may take what a last snapshot takes."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            assert self._process.wait(timeout=60) == 0, self.log

    def get(self, path: str, cookies: str = "", **headers: str) -> httpx.Response:
        """What comes through the proxy."""
        address = f"http://127.0.0.1:{self.port}{path}"
        return httpx.get(address, headers={**PROXY, "cookie": cookies, **headers}, timeout=60)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def query(self, sql: str) -> list:
        with closing(open_database(self.home / "apprentice" / "apprentice.db")) as db:
            return rows(db, sql)


@pytest.fixture(scope="module")
def hub():
    with running_hub() as hub:
        yield hub


@pytest.fixture(scope="module")
def space(hub, tiny_base):
    # not under pytest's folder, which other accounts may not enter
    folder = Path(tempfile.mkdtemp(prefix="apprentice-space-"))
    build_space(folder / "app")
    shutil.copytree(tiny_base.folder, folder / "app" / "base")
    (folder / "home").mkdir()
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    if OTHER_ACCOUNT:
        os.chown(folder / "home", NOBODY, NOBODY)
    files = {path for path in (folder / "app").rglob("*")}
    running = Space(folder, folder / "app" / "base", hub.url)
    running.start()
    yield running
    running.stop()
    assert {path for path in (folder / "app").rglob("*")} == files  # it writes to its home alone
    shutil.rmtree(folder)


def cookie(answer: httpx.Response, name: str) -> str:
    """`name=value` of a cookie that an answer sets, with its attributes in lower case."""
    found = [one for one in answer.headers.get_list("set-cookie") if one.startswith(f"{name}=")]
    assert len(found) == 1, answer.headers
    return found[0]


def log_in(space: Space, next_path: str = "") -> httpx.Response:
    """The whole way: out to the Hub, a yes there, and back."""
    out = space.get("/login/huggingface" + (f"?next={next_path}" if next_path else ""))
    kept = cookie(out, "apprentice_oauth").split(";")[0]
    back = httpx.get(out.headers["location"]).headers["location"]
    assert back.startswith(f"https://{HOST}/login/callback?")
    return space.get(back.removeprefix(f"https://{HOST}"), kept)


def test_it_starts_with_its_own_files_and_says_that_nothing_is_missing(space):
    assert "fail" not in space.log, space.log
    assert "setup?token" not in space.log
    assert (space.home / "apprentice" / "apprentice.db").exists()
    health = space.get("/healthz").json()
    assert health["status"] == "ok" and health["workspaces"] == {"default": {"adapter": None}}


def test_the_chat_may_stand_in_the_frame_of_the_hubs_page_alone(space):
    page = space.get("/", **{"sec-fetch-dest": "iframe"})
    assert page.status_code == 200
    assert "frame-ancestors https://huggingface.co" in page.headers["content-security-policy"]
    assert "x-frame-options" not in page.headers
    visitor = cookie(page, "apprentice_visitor").lower()
    assert all(one in visitor for one in ("secure", "samesite=none", "partitioned", "httponly"))


def test_the_admin_logs_in_by_the_hub(space, hub):
    hub.person = {"sub": "1", "preferred_username": "ada"}
    assert space.get("/admin").headers["location"] == "/login?next=/admin"
    page = space.get("/login?next=/admin")
    assert "/login/huggingface?next=%2Fadmin" in page.text and "password" not in page.text
    assert "_blank" not in page.text
    assert "_blank" in space.get("/login", **{"sec-fetch-dest": "iframe"}).text

    done = log_in(space, "/admin")
    assert (done.status_code, done.headers["location"]) == (303, "/admin")
    session = cookie(done, "apprentice_session")
    assert all(one in session.lower() for one in ("secure", "httponly", "samesite=lax"))
    assert space.get("/admin/", session.split(";")[0]).status_code == 200
    assert space.get("/setup?token=x").status_code == 404


def test_somebody_else_is_a_member_and_no_admin(space, hub):
    hub.person = {"sub": "2", "preferred_username": "bob"}
    session = cookie(log_in(space), "apprentice_session").split(";")[0]
    assert space.get("/", session).status_code == 200
    assert space.get("/admin/", session).status_code == 404
    assert space.query("select name, role from users order by name") == [
        {"name": "ada", "role": "admin"},
        {"name": "bob", "role": "member"},
    ]
    hub.person = {"sub": "3", "preferred_username": "ada"}  # the name, but not the account
    refused = log_in(space)
    assert refused.status_code == 403 and "another account" in refused.text


def test_a_callback_counts_in_the_browser_that_asked_for_it(space, hub):
    hub.person = {"sub": "1", "preferred_username": "ada"}
    out = space.get("/login/huggingface?next=//evil.example")
    asked = parse_qs(urlsplit(out.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"] and asked["client_id"] == [CLIENT[0]]
    mine = cookie(out, "apprentice_oauth").split(";")[0]
    other = cookie(space.get("/login/huggingface"), "apprentice_oauth").split(";")[0]
    back = urlsplit(httpx.get(out.headers["location"]).headers["location"])
    callback = f"{back.path}?{back.query}"
    for path, kept in (
        (callback, ""),
        (callback, other),
        (callback.replace("state=", "state=x"), mine),
        ("/login/callback?code=code-0", mine),
    ):
        answer = space.get(path, kept)
        assert answer.status_code == 400 and "log in again" in answer.text
        assert "apprentice_session" not in answer.headers.get("set-cookie", "")
    done = space.get(callback, mine)
    assert (done.status_code, done.headers["location"]) == (303, "/")  # not to evil.example
    again = space.get(callback, mine)  # the code was used
    assert again.status_code == 502 and "answer 400" in again.text


def test_a_no_at_the_hub_is_told(space):
    out = space.get("/login/huggingface")
    state = parse_qs(urlsplit(out.headers["location"]).query)["state"][0]
    kept = cookie(out, "apprentice_oauth").split(";")[0]
    answer = space.get(f"/login/callback?error=access_denied&state={state}", kept)
    assert answer.status_code == 403 and "not logged in" in answer.text


def test_a_stop_saves_what_changed_and_a_new_disk_is_filled_from_it(space, hub):
    """Last: it starts the Space a second time."""
    before = space.query("select name, role, password_hash from users order by name")
    space.stop()
    (name,) = hub.repos[f"datasets/{SPACE}-data"]
    assert name.startswith("snapshots/") and hub.public == set()
    shutil.rmtree(space.home / "apprentice")
    space.start()
    assert f"filled from {name}" in space.log
    assert space.query("select name, role, password_hash from users order by name") == before


def test_defaults_are_those_of_a_space_and_without_a_token_nothing_is_kept():
    found = defaults({"SPACE_ID": SPACE, "CPU_CORES": "8"})
    assert found["APPRENTICE_THREADS"] == "8" and found["APPRENTICE_PORT"] == "7860"
    assert "APPRENTICE_SNAPSHOTS" not in found
    found = defaults({"SPACE_ID": SPACE, "HF_TOKEN": TOKEN})
    assert found["APPRENTICE_SNAPSHOTS"] == f"{SPACE}-data"
