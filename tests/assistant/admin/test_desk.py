"""Every admin event asks for the right itself."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.desk import at_desk, fault_place
from assistant.security import may_administer, may_review, may_see
from storage.database import rows
from storage.errors import BadInput


def note(desk, *inputs):
    return {"who": desk.person.name, "where": desk.workspace.name, "inputs": inputs}


@pytest.mark.parametrize(
    "right, allowed",
    [
        (may_see, {"ada", "rita", "vic"}),
        (may_review, {"ada", "rita"}),
        (may_administer, {"ada"}),
    ],
)
def test_only_who_may(office, right, allowed):
    for who in office.people:
        if who in allowed:
            found = office.press(who, right, note, 1, "x")
            assert found == {"who": who, "where": "team", "inputs": (1, "x")}
        else:
            with pytest.raises(gr.Error, match="may not do this"):
                office.press(who, right, note, 1, "x")


@pytest.mark.parametrize("given", [-1, 999])
def test_the_workspace_must_exist(office, given):
    with pytest.raises(gr.Error, match="no workspace"):
        at_desk(office.app, may_review, note)(office.people["ada"].request(), given)


@pytest.mark.parametrize("given", [0, "1", None, True, "team", 1.0])
def test_before_a_workspace_is_chosen_the_page_is_still_loading(office, given):
    with pytest.raises(gr.Error, match="still loading"):
        at_desk(office.app, may_review, note)(office.people["ada"].request(), given)


def test_what_a_person_may_be_told_is_told(office):
    def refuse(desk):
        raise BadInput("Choose a row first.")

    with pytest.raises(gr.Error, match="Choose a row first"):
        office.press("ada", may_review, refuse)


def test_a_silent_event_says_nothing_to_who_may_not(office):
    silent = at_desk(office.app, may_administer, note, silent=True)
    for who in set(office.people) - {"ada"}:
        assert silent(office.people[who].request(), office.team.id) == gr.skip()
    assert silent(office.people["ada"].request(), office.team.id)["who"] == "ada"


def test_a_silent_event_before_the_page_has_loaded_is_about_what_it_will_show(office):
    silent = at_desk(office.app, may_review, note, silent=True)
    for query, where in (({}, "default"), ({"workspace": "team"}, "team")):
        assert silent(office.people["rita"].request(**query), None)["where"] == where
    assert silent(office.people["mo"].request(), None) == gr.skip()


def test_a_fault_stands_at_its_place_until_it_is_put_right(office):
    with gr.Blocks():
        place = fault_place()

    def refuse(desk, typed):
        if typed != "right":
            raise BadInput(f"{typed} is <wrong>.")
        return {"typed": ""}

    handler = at_desk(office.app, may_administer, refuse, fault=place)
    ada = office.people["ada"].request()
    shown = handler(ada, office.team.id, "x")
    assert set(shown) == {place}  # nothing else changes: what was typed stays
    assert shown[place]["visible"] and "x is &lt;wrong&gt;." in shown[place]["value"]
    shown = handler(ada, office.team.id, "right")
    assert shown["typed"] == "" and not shown[place]["visible"]
    with pytest.raises(gr.Error, match="may not do this"):
        handler(office.people["rita"].request(), office.team.id, "right")
    with pytest.raises(gr.Error, match="still loading"):
        handler(ada, None, "right")


def test_nothing_new_is_no_update(office):
    assert office.press("ada", may_review, lambda desk: {}) == gr.skip()


def test_the_connection_is_closed_afterwards(office):
    kept = []
    office.press("ada", may_review, lambda desk: kept.append(desk.db) or {"x": 1})
    with pytest.raises(Exception, match="closed"):
        rows(kept[0], "select 1")
    with closing(office.app.db()) as db:
        assert rows(db, "select 1 as one") == [{"one": 1}]
