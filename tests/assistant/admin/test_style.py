"""One's own writing from the page: a job, after which a person reviews what was drafted."""

import json
from contextlib import closing

import gradio as gr
import pytest

from assistant.admin import documents
from assistant.admin.style import FILE_TYPES, StyleForm
from assistant.admin.style_job import KIND, last_style
from assistant.security import may_administer
from storage import jobs
from storage.audit import list_audit
from storage.feedback import list_feedback
from storage.workspaces import set_workspace

OWN = "Well, we shall see what the tide brings in tonight, and to whom."


@pytest.fixture
def style(tab):
    return tab(StyleForm)


def press(office, work, *inputs, who="ada", **more):
    return office.press(who, may_administer, work, *inputs, **more)


def files(tmp_path, **texts):
    paths = [tmp_path / name.replace("_", ".") for name in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        path.write_text(text)
    return [str(path) for path in paths]


def test_texts_wait_for_a_review_or_are_approved(office, style, tmp_path):
    with closing(office.app.db()) as db:
        set_workspace(db, "team", "checks", '[{"type": "contains", "all": ["tide"]}]')
    rows = [
        {"prompt": "Say it", "completion": f"Again: {OWN}"},
        {"prompt": "Say more", "completion": "We shall see what the wind brings in tonight."},
    ]
    lines = "\n".join(map(json.dumps, rows))
    paths = files(tmp_path, own_jsonl=lines, own_txt=OWN)
    assert press(office, style.take_it, paths, " ", True)[style.files] is None
    done = office.ended(last_style)
    assert (done.state, done.note.split("; ")[1]) == (
        "done",
        "1 approved, 2 to be reviewed under Feedback, New",
    )
    shown = press(office, style.show)
    assert "texts taken in: 3" in shown[style.state] and "stays new" in shown[style.state]
    with closing(office.app.db()) as db:
        found = list_feedback(db, office.team.id)
        assert {item.correction for item in found if item.status == "approved"} == {f"Again: {OWN}"}
        ada = office.people["ada"].person.owner
        assert {item.reviewer for item in found if item.status == "approved"} == {ada}
        assert [act.actor for act in list_audit(db) if act.action == "style imported"] == [ada]
    assert not any((tmp_path / name).exists() for name in ("own.jsonl", "own.txt"))


def test_what_holds_no_text_fails_with_a_sentence(office, style, tmp_path):
    press(office, style.take_it, files(tmp_path, a_txt="Short."), None, False)
    assert office.ended(last_style).state == "failed"
    assert "holds no text" in press(office, style.show)[style.state]


def test_one_that_runs_is_followed_and_cancelled_and_no_second_one_begins(office, style, tmp_path):
    with closing(office.app.db()) as db:
        running = jobs.create_job(db, KIND, office.team.id)
        jobs.start_job(db, running.id, 1)
        jobs.beat(db, running.id, 0.5, "drafting requests: 1 of 2")
    shown = press(office, style.show)
    assert "50% · drafting" in shown[style.state] and shown[style.cancel]["visible"] is True
    assert press(office, style.watch, shown[style.seen]) == gr.skip()
    with pytest.raises(gr.Error, match="is being taken in"):
        press(office, style.take_it, files(tmp_path, a_txt=OWN), None, False)
    assert "stopping" in press(office, style.cancel_it)[style.state]
    with closing(office.app.db()) as db:
        jobs.finish_job(db, running.id, "cancelled")
    with pytest.raises(gr.Error, match="No writing"):
        press(office, style.cancel_it)


def test_without_a_file_and_without_the_right_nothing_begins(office, style, tmp_path):
    with pytest.raises(gr.Error, match="Add a file"):
        press(office, style.take_it, None, None, False)
    with pytest.raises(gr.Error, match="may not"):
        press(office, style.take_it, files(tmp_path, a_txt=OWN), None, False, who="rita")
    with closing(office.app.db()) as db:
        assert last_style(db, office.team.id) is None


def test_every_type_of_document_may_be_chosen():
    assert set(documents.FILE_TYPES) <= set(FILE_TYPES)
