"""A backup made from the page: watched from its row, verified, taken along on record."""

import io
import tarfile
from contextlib import closing

import gradio as gr
import pytest
from starlette.testclient import TestClient

from assistant.admin.backup_form import BackupForm
from assistant.admin.backup_job import last_backup
from assistant.certificate import write_certificate
from assistant.erasure import erase
from assistant.security import may_administer
from assistant.web import build_server
from storage.audit import list_audit
from storage.backup import recorded_backups, restore_backup, verify_backup
from storage.erasure import list_erasures
from storage.jobs import beat, create_job, finish_job, request_cancel, start_job


@pytest.fixture
def form(tab):
    return tab(BackupForm)


def press(office, work, *inputs, who="ada"):
    return office.press(who, may_administer, work, *inputs)


def made(office, form):
    """The page after a backup was begun and has ended."""
    press(office, form.begin)
    job = office.ended(lambda db, _: last_backup(db))
    assert (job.state, job.error) == ("done", None)
    return press(office, form.watch, "")


def fetch(office, address, who="ada"):
    with TestClient(build_server(office.app)) as client:
        cookies = office.people[who].cookies
        header = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
        return client.get(address, headers=header, follow_redirects=False)


def test_it_is_made_verified_and_seen_by_every_page(office, form, tmp_path):
    office.correction("How long?")
    assert "No backup was made" in press(office, form.show)[form.state]
    shown = made(office, form)
    with closing(office.app.db()) as db:
        (known,) = recorded_backups(db)
    assert known.path in shown[form.state] and "verified" in shown[form.state]
    assert known.actor == office.people["ada"].person.owner
    assert shown[form.chosen]["value"] == known.id and shown[form.taking]["visible"] is True
    assert shown[form.timer].active is False and shown[form.cancel]["visible"] is False
    assert press(office, form.watch, shown[form.seen]) == gr.skip()
    manifest = restore_backup(office.app.datadir.backups / known.path, tmp_path / "again")
    assert manifest["rows"]["feedback"] == 1


def test_one_at_a_time_and_one_that_is_cancelled_leaves_nothing(office, form):
    with closing(office.app.db()) as db:
        job = create_job(db, "backup", None)
        start_job(db, job.id, 1)
        beat(db, job.id, 0.3, "packing")
        shown = press(office, form.show)
        assert "packing" in shown[form.state] and shown[form.timer].active is True
        with pytest.raises(gr.Error, match="A backup is being made"):
            press(office, form.begin)
        assert "stopping" in press(office, form.cancel_it)[form.state]
        finish_job(db, job.id, "cancelled")
    with pytest.raises(gr.Error, match="No backup is being made"):
        press(office, form.cancel_it)
    with closing(office.app.db()) as db:
        job = create_job(db, "other", None)
        assert recorded_backups(db) == []
        request_cancel(db, job.id)
    assert list(office.app.datadir.backups.iterdir()) == []


def test_an_admin_takes_it_along_on_record_and_nobody_else(office, form):
    shown = made(office, form)
    id = shown[form.chosen]["value"]
    asked = press(office, form.ask, id)
    address = asked[form.fetch]["link"]
    assert asked[form.sure]["visible"] is True and "all that people wrote" in asked[form.question]
    for who in ("rita", "vic", "mo", "nell", "visitor", "anonymous"):
        got = fetch(office, address, who)
        assert got.status_code in (401, 404) and not got.content.startswith(b"\x1f\x8b"), who
    got = fetch(office, address)
    assert got.status_code == 200 and ".tar.gz" in got.headers["content-disposition"]
    with tarfile.open(fileobj=io.BytesIO(got.content)) as tar:
        assert tar.getnames()[0] == "apprentice.db" and tar.getnames()[-1] == "manifest.json"
    with closing(office.app.db()) as db:
        acts = [act for act in list_audit(db) if act.action == "backup downloaded"]
        assert [act.subject for act in acts] == [f"backup:{id}"]
        given = office.correction("How long?")
        erase(office.app, "feedback", str(given.id), actor="cli:a")
        (known,) = list_erasures(db)
        held = write_certificate(db, office.app.datadir, known)["still_held"]
    assert sorted(item["what"] for item in held) == ["backup", "downloaded backup"]
    assert fetch(office, "/admin/backups/99.tar.gz").status_code == 404
    for chosen in (None, 99, "1"):
        with pytest.raises(gr.Error, match="Choose a backup"):
            press(office, form.ask, chosen)


def test_one_made_after_an_erasure_is_no_unknown_file(office, form):
    given = office.correction("How long?")
    erase(office.app, "feedback", str(given.id), actor="cli:a")
    made(office, form)
    with closing(office.app.db()) as db:
        (known,) = list_erasures(db)
        assert write_certificate(db, office.app.datadir, known)["still_held"] == []
        (backup,) = recorded_backups(db)
    assert verify_backup(office.app.datadir.backups / backup.path)["rows"]["feedback"] == 0
