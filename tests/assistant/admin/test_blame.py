"""Whose rows: offered where the gate refused for them, begun as a round, read in the history."""

from contextlib import closing

import gradio as gr
import pytest

from assistant import blame
from assistant.admin.rounds import RoundsTab
from assistant.security import may_administer
from storage.audit import list_audit
from storage.rounds import create_round, finish_round, list_rounds
from tests.assistant.refused import refused_round


@pytest.fixture
def rounds(tab):
    return tab(RoundsTab)


@pytest.fixture
def untrained(monkeypatch):
    """What would have been done in the background."""
    begun: list[object] = []
    monkeypatch.setattr(blame, "in_background", lambda queued, work: begun.append(queued))
    return begun


def press(office, work, *inputs, who="ada", **more):
    return office.press(who, may_administer, work, *inputs, **more)


def test_a_refused_round_is_trained_again_and_what_came_of_it_stays(office, rounds, untrained):
    origin = refused_round(office.app, office.team, 12)
    shown = press(office, rounds.show)
    form = rounds.blame
    assert shown[form.place]["visible"] and shown[form.place]["open"]
    assert shown[form.round]["value"] == origin.id
    (first, named), *each = shown[form.without]["choices"]
    assert (first, named) == ("All that is suspected (12 rows)", "")
    assert ("All of v3 (1 suspected)", "v3") in each and len(each) == 12

    shown = press(office, rounds.blame_it, origin.id, named)
    assert shown[form.place] == gr.update(visible=False), "one at a time"
    again = "Trains round 1 again without 12 rows, to compare. Nothing of it serves."
    assert again in shown[rounds.now]["value"]
    with pytest.raises(gr.Error, match="a round that is not finished"):
        press(office, rounds.blame_it, origin.id, "v3")
    assert len(untrained) == 1
    with closing(office.app.db()) as db:
        (done, _) = list_rounds(db, office.team.id)
        assert len(done.config["left_out"]) == 12
        assert any(one.action == "round blamed" for one in list_audit(db, limit=9))
        finish_round(db, done.id, state="done", reasons=("They <make> the difference.",))

    ended = press(office, rounds.watch, shown[rounds.seen])
    assert "round 1 trained again without some rows" in ended[rounds.past]
    assert "<li>They &lt;make&gt; the difference.</li>" in ended[rounds.past]
    assert ended[form.place] == gr.update(visible=True, open=False)


def test_one_contributor_is_left_out_with_all_of_theirs(office, rounds, untrained):
    origin = refused_round(office.app, office.team, 3)
    other = refused_round(office.app, office.team, 1)
    shown = press(office, rounds.show)
    assert shown[rounds.blame.round]["value"] == other.id
    assert shown[rounds.blame.without]["choices"] == [("All of v0 (12 rows)", "")]
    chosen = press(office, rounds.blame.choose, origin.id)[rounds.blame.without]
    assert [key for _, key in chosen["choices"]] == ["", "v0", "v1", "v2"]
    press(office, rounds.blame_it, origin.id, "v1")
    with closing(office.app.db()) as db:
        assert len(list_rounds(db, office.team.id, 1)[0].config["left_out"]) == 4


def test_nothing_is_offered_where_the_command_would_refuse(office, rounds, untrained):
    origin = refused_round(office.app, office.team, 1, fires=False)
    wrong = "Choose a round of this workspace that was refused for what it was taught"
    for faulty, said in ((None, "Choose the refused round first"), (99, "no round 99")):
        with pytest.raises(gr.Error, match=said):
            press(office, rounds.blame_it, faulty, "")
    assert press(office, rounds.show)[rounds.blame.place] == gr.update(visible=False)
    with pytest.raises(gr.Error, match=wrong):
        press(office, rounds.blame_it, origin.id, "")
    fired = refused_round(office.app, office.team, 12)
    with pytest.raises(gr.Error, match=wrong):
        press(office, rounds.blame_it, fired.id, "", workspace=1)
    with pytest.raises(gr.Error, match="nothing from outside by 'nobody'"):
        press(office, rounds.blame_it, fired.id, "nobody")
    for who in ("rita", "vic"):
        with pytest.raises(gr.Error, match="log in as somebody who may"):
            press(office, rounds.blame_it, fired.id, "", who=who)
    (office.app.datadir.rounds / str(fired.id) / "bundle").rename(office.app.datadir.rounds / "x")
    assert press(office, rounds.show)[rounds.blame.place] == gr.update(visible=False)
    assert untrained == []


def test_one_that_was_broken_off_is_not_resumed_but_asked_for_anew(office, rounds):
    with closing(office.app.db()) as db:
        broken = create_round(db, office.team.id, config={"blames": 1}, base_fingerprint="f")
        (office.app.datadir.rounds / str(broken.id) / "bundle").mkdir(parents=True)
        finish_round(db, broken.id, state="cancelled")
    assert press(office, rounds.show)[rounds.resume]["visible"] is False
