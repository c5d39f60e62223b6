"""The erasure tab: requests with yes and no, erasing by hand, certificates."""

import time

import gradio as gr
import pytest

from assistant.admin.erasure import ErasureTab
from assistant.security import may_administer
from storage.adapters import add_adapter
from storage.backup import make_backup
from storage.erasure_requests import erasure_request, file_request
from storage.errors import NotFound
from storage.feedback import approve, feedback
from storage.jobs import request_cancel
from storage.records import RoundExample
from storage.rounds import create_round, finish_round, tuning_round

CANARY = "the blue heron's number is 4711-0815"


@pytest.fixture
def erasing(tab):
    return tab(lambda app, workspace: ErasureTab(app, workspace, gr.Tab("Erasure")))


def press(office, work, *inputs, who="ada", **more):
    return office.press(who, may_administer, work, *inputs, **more)


def requested(office):
    given = office.correction("How long?", CANARY)
    with office.app.db() as db:
        owner = office.people["mo"].person.owner
        return given, file_request(db, office.team.id, "feedback", str(given.id), requester=owner)


def test_a_request_is_shown_asked_about_and_erased(office, erasing):
    given, asked = requested(office)
    shown = press(office, erasing.show)
    assert f"<td>{given.id}</td><td>1</td><td>none</td>" in shown[erasing.waiting]
    assert shown[erasing.request]["choices"] == [asked.id]
    sure = press(office, erasing.ask_request, asked.id)
    assert sure[erasing.sure]["visible"] and sure[erasing.yes_request]["visible"]
    done = press(office, erasing.approve_it, asked.id, False)
    assert "# Certificate of erasure 1" in done[erasing.certificate]
    assert "4711" not in str(done)
    assert "Nobody asks" in done[erasing.waiting] and "yes" in done[erasing.listed]
    with office.app.db() as db:
        with pytest.raises(NotFound):
            feedback(db, given.id)
        said = erasure_request(db, asked.id)
        assert (said.state, said.decided_by) == ("approved", office.people["ada"].person.owner)


def test_who_waits_is_counted_in_all_workspaces(office, erasing):
    shown = press(office, erasing.show, workspace=1)
    assert shown[erasing.tab]["label"] == "Erasure"
    requested(office)
    shown = press(office, erasing.show, workspace=1)
    assert shown[erasing.tab]["label"] == "Erasure (1)"
    assert "other workspaces: team (1)" in shown[erasing.waiting]
    shown = press(office, erasing.show)
    assert shown[erasing.tab]["label"] == "Erasure (1)"
    assert "other workspaces" not in shown[erasing.waiting]


def test_a_request_is_refused(office, erasing):
    given, asked = requested(office)
    press(office, erasing.refuse_it, asked.id)
    with office.app.db() as db:
        assert feedback(db, given.id) and erasure_request(db, asked.id).state == "refused"
    with pytest.raises(gr.Error, match="already refused"):
        press(office, erasing.approve_it, asked.id, False)


def test_erasing_without_a_request_is_asked_twice(office, erasing):
    given = office.correction("How long?", CANARY)
    for nothing in (None, "  "):
        with pytest.raises(gr.Error, match="Say which"):
            press(office, erasing.ask, "feedback", nothing)
    sure = press(office, erasing.ask, "feedback", f"{given.id}<b>")
    assert "&lt;b&gt;" in sure[erasing.question] and sure[erasing.yes]["visible"]
    done = press(office, erasing.erase_it, "feedback", str(given.id), True)
    assert "nothing was retrained" in done[erasing.certificate]
    with pytest.raises(gr.Error, match="no feedback '99'"):
        press(office, erasing.erase_it, "feedback", "99", False)


def test_every_certificate_can_be_opened_again(office, erasing):
    first, second = (office.correction(text, f"{CANARY} {text}") for text in ("One?", "Two?"))
    press(office, erasing.erase_it, "feedback", str(first.id), False)
    done = press(office, erasing.erase_it, "feedback", str(second.id), False)
    assert done[erasing.chosen]["value"] == 2 and "erasure 2" in done[erasing.certificate]
    assert [id for _, id in done[erasing.chosen]["choices"]] == [2, 1]
    shown = press(office, erasing.show, 1)
    assert "# Certificate of erasure 1" in shown[erasing.certificate]
    for nothing in (None, 99, "1"):
        shown = press(office, erasing.show, nothing)
        assert (shown[erasing.certificate], shown[erasing.chosen]["value"]) == ("", None)


def test_a_purged_backup_is_struck_from_the_open_certificate(office, erasing, tmp_path):
    given = office.correction("How long?", CANARY)
    make_backup(office.app.datadir, tmp_path / "old.tar", actor="cli:a")
    done = press(office, erasing.erase_it, "feedback", str(given.id), False)
    assert "old.tar" in done[erasing.certificate]
    assert done[erasing.backups.purge]["visible"] is True
    press(office, erasing.backups.purge_it)
    assert "nothing on record" in press(office, erasing.open_it, 1)[erasing.certificate]


def test_retraining_ends_on_the_certificate(office, erasing):
    given = [office.correction(f"Question {number}?", f"Answer {number}.") for number in range(12)]
    with office.app.db() as db:
        for one in given:
            approve(db, one.id, reviewer="user:1", group=f"need {one.id % 3}")
        example = RoundExample(0, "correction", "train", given[0].id, "need", "hash")
        known = {"config": {}, "base_fingerprint": "f"}
        taught = create_round(db, office.team.id, **known, examples=[example])
        finish_round(db, taught.id, state="done", verdict="promote")
        facts = {"parent_id": None, "base_fingerprint": "f", "manifest_hash": "m"}
        add_adapter(db, office.team.id, round_id=taught.id, method="lora", **facts)
    done = press(office, erasing.erase_it, "feedback", str(given[0].id), True)
    assert "- adapter 1: its weights are deleted" in done[erasing.certificate]
    assert "- team: round 2 " in done[erasing.certificate]
    with office.app.db() as db:
        request_cancel(db, tuning_round(db, 2).job_id)
        end = time.monotonic() + 600
        while tuning_round(db, 2).finished_at is None and time.monotonic() < end:
            time.sleep(0.1)
    shown = press(office, erasing.show, 1)
    assert "- team: round 2 broke off" in shown[erasing.certificate]


def test_a_request_of_another_workspace_is_not_there(office, erasing):
    _, asked = requested(office)
    for work in (erasing.ask_request, erasing.refuse_it):
        with pytest.raises(gr.Error, match="no such request"):
            press(office, work, asked.id, workspace=1)
        with pytest.raises(gr.Error, match="Choose a request"):
            press(office, work, None)


def test_a_reviewer_may_not(office, erasing):
    _, asked = requested(office)
    with pytest.raises(gr.Error, match="may not"):
        press(office, erasing.approve_it, asked.id, False, who="rita")
