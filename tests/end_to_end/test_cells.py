"""A workspace moved between two running servers while people ask: no word is lost."""

import json
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from storage.cells import opened_cells, set_router
from storage.database import open_database, rows
from storage.keys import create_key
from storage.workspaces import workspace
from tests.fleet import NAME, known, shop_in_a, two_cells
from tests.nginx import NGINX, reload_words, start_nginx
from tests.running_cells import (
    Asker,
    Looker,
    asked_all_the_time,
    free_ports,
    move_by_command,
    servers,
    straight,
)

STILL_S = 2.0
"""Nobody waits longer for a workspace that moves."""


@pytest.fixture(scope="module")
def running(tmp_path_factory, tiny_base):
    """(folder, base, the workspace's API key) with two servers."""
    folder = tmp_path_factory.mktemp("fleet")
    one, two = free_ports(2)
    two_cells(folder, ports=(one, two))
    shop = shop_in_a(folder, tables=False)
    with closing(open_database(known(folder, "a").datadir.database)) as db:
        limits = {"workspace_id": shop.id, "per_minute": 100_000, "actor": "t"}
        _, token = create_key(db, "program", **limits)
    with servers(folder, tiny_base.folder):
        yield folder, tiny_base.folder, token


def moved_while_asked(running, to: str, address, host: str = "") -> tuple[list[Asker], float, dict]:
    folder, base, token = running
    askers = [Asker(token, address, host) for _ in range(2)]
    looker = Looker(token, address, host)
    with asked_all_the_time(askers, looker):
        time.sleep(0.5)
        done = move_by_command(folder, base, to)
        time.sleep(0.5)
    assert done.returncode == 0, done.stderr
    return askers, looker.longest_s, json.loads(done.stdout.splitlines()[-1])


def no_word_lost(folder: Path, at: str, askers: list[Asker]) -> None:
    """Each question that was answered is there once, with its answer below it."""
    with closing(open_database(known(folder, at).datadir.database)) as db:
        found = rows(
            db,
            """select q.content as question, r.content as answer, r.finish_reason from messages q
            left join messages r on r.parent_id = q.id where q.content like 'question %'""",
        )
    there = {(row["question"], row["answer"]) for row in found}
    questions = [row["question"] for row in found]
    assert len(askers[0].answered) > 3
    for question, answer in (pair for one in askers for pair in one.answered):
        assert (question, answer.strip()) in there
        assert questions.count(question) == 1 or any(one.refused for one in askers)


def test_no_word_is_lost_and_nobody_waits_long(running):
    folder = running[0]
    askers, longest, told = moved_while_asked(running, "b", straight(folder))
    no_word_lost(folder, "b", askers)
    assert longest < STILL_S and told["still_ms"] < STILL_S * 1000
    refused = [one for asker in askers for one in asker.refused]
    # 503 with when to try again; 404 only to who still asked the former cell at the very end
    assert all(status == 503 and wait for status, wait in refused if status != 404), refused
    headers = {"Authorization": f"Bearer {running[2]}"}
    former = httpx.get(f"{known(folder, 'a').address}/v1/models", headers=headers)
    assert former.status_code == 401  # its key went along
    page = httpx.get(f"{known(folder, 'a').address}/?workspace={NAME}")
    assert page.status_code == 404 and NAME not in page.text
    assert httpx.get(f"{known(folder, 'b').address}/?workspace={NAME}").status_code == 200
    with closing(open_database(known(folder, "b").datadir.database)) as db:
        assert workspace(db, NAME).name == NAME


@pytest.mark.skipif(not Path(NGINX).is_file(), reason="nginx is not installed")
def test_through_a_router_that_is_told(running, tmp_path):
    """As above, and back, through nginx with the configuration that we write."""
    from assistant import fleet

    folder, _, _ = running
    [port] = free_ports(1)
    with opened_cells(folder / "cells.db") as cells:
        router = {"domain": "chat.test", "listen": f"127.0.0.1:{port}"}
        place = tmp_path / "apprentice.conf"
        set_router(cells, **router, file=str(place), reload=" ".join(reload_words(tmp_path)))
        text = fleet.router_text(cells)
        source = "b" if f'"{NAME}.chat.test" "apprentice_b"' in text else "a"
    to = "a" if source == "b" else "b"
    with start_nginx(tmp_path, text, port):
        host = f"{NAME}.chat.test"
        address = f"http://127.0.0.1:{port}"
        askers, longest, told = moved_while_asked(running, to, lambda: address, host)
        no_word_lost(folder, to, askers)
        assert told["trouble"] == "" and longest < STILL_S
        page = httpx.get(address, headers={"Host": host})
        assert page.status_code == 200
