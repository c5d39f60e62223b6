"""What the fields above a round come to."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.round_form import METHODS, RoundForm, wanted
from assistant.admin.rounds import RoundsTab
from assistant.security import may_administer
from storage.adapters import add_adapter
from storage.errors import BadInput
from storage.rounds import list_rounds
from tuning.config import RoundConfig


def test_what_is_left_alone_asks_for_nothing():
    assert wanted() == ({}, None)
    assert wanted(None, None, None, None, None) == ({}, None)


def test_every_choice_becomes_a_dial_and_what_is_typed_goes_before_it():
    dials, start = wanted(5, "kto", "bottleneck houlsby", "base", " rank=8  method=ia3 ")
    assert start == "base"
    assert dials == {
        "max_minutes": 5,
        "objective": "kto",
        "placement": "houlsby",
        "method": "ia3",
        "rank": "8",
    }
    assert wanted(begin="7")[1] == "7"


def test_every_method_of_a_round_is_offered():
    offered = {RoundConfig.from_json(dials).method for _, dials in METHODS.values()}
    assert offered == {"auto", "qlora", "lora", "dora", "rslora", "ia3", "bottleneck"}


def test_what_sets_nothing_is_refused():
    with pytest.raises(BadInput, match="'rank' sets nothing: write KEY=VALUE"):
        wanted(more="epochs=2 rank")
    with pytest.raises(BadInput, match="method of the list"):
        wanted(method="magic")


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ((0, "auto", "auto", "budget", "rnk=8"), "A round has no setting 'rnk'"),
        ((0, "auto", "auto", "budget", "rank=0"), "rank is 0; a round takes 1 to 256"),
        ((0, "auto", "auto", "budget", "rank"), "sets nothing"),
        ((0, "auto", "auto", "99", ""), "approve 8 more"),
    ],
)
def test_the_page_says_in_a_sentence_what_cannot_be(office, tab, asked, named):
    rounds = tab(RoundsTab)
    for work in (rounds.plan_it, rounds.start_it):
        with pytest.raises(gr.Error, match=named):
            office.press("ada", may_administer, work, *asked)
    with closing(office.app.db()) as db:
        assert list_rounds(db, office.team.id) == []


def test_a_round_may_start_from_any_adapter_of_the_workspace(office):
    with closing(office.app.db()) as db:
        facts = {"round_id": None, "parent_id": None, "base_fingerprint": "f", "method": "lora"}
        made = add_adapter(db, office.team.id, manifest_hash="h", **facts)
    with gr.Blocks():
        form = RoundForm()

    def choices(**where):
        shown = office.press("ada", may_administer, lambda desk: form.show(desk), **where)
        return [value for _, value in shown[form.begin]["choices"]]

    assert choices() == ["budget", "base", str(made.id)]
    assert choices(workspace=1) == ["budget", "base"]
