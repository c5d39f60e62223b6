"""Two answers side by side: by whoever was chosen, and nothing of it is kept."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.compare import BASE, CompareForm
from assistant.security import may_administer
from storage.adapters import add_adapter
from storage.database import rows
from storage.rounds import add_evaluation, create_round


@pytest.fixture
def form(office):
    with gr.Blocks():
        return CompareForm(office.app, gr.Dropdown([]))


def press(office, work, *inputs, who="ada"):
    return office.press(who, may_administer, work, *inputs)


def test_both_answer_and_the_question_is_not_kept(office, form, approved):
    shown = press(office, form.show)
    assert shown[form.left]["value"] == shown[form.right]["value"] == BASE
    said = press(office, form.ask_both, BASE, BASE, approved.question)[form.answers]
    assert said.count("<h2>The base model</h2>") == 2
    assert "45 days." not in said  # an override is no answer of theirs
    with closing(office.app.db()) as db:
        assert rows(db, "select 1 from conversations where owner = 'cli'") == []


@pytest.mark.parametrize(
    "typed, said",
    [
        ((BASE, BASE, " "), "Type a question"),
        ((BASE, None, "How long?"), "Choose two"),
        ((77, BASE, "How long?"), "no adapter 77"),
    ],
)
def test_what_cannot_be_compared_is_said(office, form, typed, said):
    with pytest.raises(gr.Error, match=said):
        press(office, form.ask_both, *typed)
    with closing(office.app.db()) as db:
        assert rows(db, "select 1 from conversations") == []


def test_on_the_questions_kept_out_of_both(office, form, approved):
    with closing(office.app.db()) as db:
        made = create_round(db, office.team.id, config={}, base_fingerprint="b")
        for row, right in (("candidate", True), ("base", False)):
            case = {"case_id": str(approved.id), "slice": "new wordings"}
            add_evaluation(db, made.id, row=row, answer=f"<{row}>", right=right, **case)
        more = {"parent_id": None, "base_fingerprint": "b", "method": "lora", "metrics": {}}
        one = add_adapter(db, office.team.id, round_id=made.id, manifest_hash="m", **more).id
    said = press(office, form.on_kept_out, BASE, one)[form.table]
    assert f"<td>{approved.question}</td>" in said
    assert "<td>✗ &lt;base&gt;</td><td>✓ &lt;candidate&gt;</td>" in said
    with pytest.raises(gr.Error, match="two different ones"):
        press(office, form.on_kept_out, BASE, BASE)
    with pytest.raises(gr.Error, match="no such adapter in this workspace"):
        office.press("ada", may_administer, form.on_kept_out, BASE, one, workspace=1)


def test_only_an_admin_asks_them(office, form):
    with pytest.raises(gr.Error, match="may not do this"):
        press(office, form.ask_both, BASE, BASE, "How long?", who="rita")
