"""The whole admin page: every one of its handlers refuses who may not."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.panel import build_admin
from storage.database import rows


@pytest.fixture
def page(office):
    return build_admin(office.app)


def test_no_handler_does_anything_for_strangers_visitors_and_members(office, page):
    given = office.correction("How long?")
    inputs = [office.team.id, "new", None, given.id, "need", "text"]
    names = set()
    for one in page.fns.values():
        names.add(one.fn.__name__)
        for who in ("anonymous", "visitor", "mo", "nell"):
            request = office.people[who].request()
            count = len(one.inputs)
            try:
                found = one.fn(request, *inputs[:count])
            except gr.Error:
                continue
            assert found == gr.skip(), one.fn.__name__
    assert {
        "approve_it",
        "reject_it",
        "start_it",
        "promote_it",
        "remove_it",
        "add",
        "erase_it",
        "add_it",
        "take_it",
        "purge_it",
        "bring_back",
        "take_in",
        "begin",
        "learned_from",
    } <= names


FORMS = {
    *("add_it", "set_the_role", "set_the_password", "let_in", "take_out", "make_it"),
    *("revoke_it", "take_it", "save_it", "start_it", "plan_it", "delete_it"),
}
"""Handlers of forms, which say what is wrong beside their fields."""


def test_every_form_says_what_is_wrong_beside_its_fields(office, page):
    """Each is sent with text that nothing takes, where it can be."""
    told = set()
    for one in page.fns.values():
        name, fields = one.fn.__name__, one.inputs[1:]
        if name not in FORMS or any(isinstance(field, gr.State) for field in fields):
            continue  # the settings, which have a place for each field
        kinds = {gr.Number: 0, gr.File: [], gr.CheckboxGroup: ["=?"]}
        typed = [kinds.get(type(field), "=?") for field in fields]
        try:
            found = one.fn(office.people["ada"].request(), office.team.id, *typed)
        except gr.Error as error:
            raise AssertionError(f"{name}: {error.message}, away from the form") from None
        if len(found) == 1 and 'role="alert"' in str(found):
            (place,) = found
            assert isinstance(place, gr.Markdown) and place in one.outputs, name
            told.add(name)
    assert told == FORMS


LOOKING = {"load", "show", "first_page", "next_page", "look_further", "draw_map"}
"""Handlers that a viewer may call, on the four tabs that a viewer sees."""


def test_a_viewer_sees_and_changes_nothing(office, page):
    given = office.correction("How long?")
    inputs = [office.team.id, "new", None, given.id, "need", "text"]
    before, seen = facts(office), set()
    for one in page.fns.values():
        try:
            found = one.fn(office.people["vic"].request(), *inputs[: len(one.inputs)])
        except gr.Error:
            continue
        if found != gr.skip():
            seen.add(one.fn.__name__)
    assert seen == LOOKING
    assert facts(office) == before


def facts(office) -> dict[str, list]:
    with closing(office.app.db()) as db:
        tables = [name for name in db.table_names() if not name.startswith("chunks_fts")]
        return {name: rows(db, f"select * from {name}") for name in tables}


def test_a_reviewer_gets_the_queue_but_no_other_tab(office, page):
    load = next(one.fn for one in page.fns.values() if one.fn.__name__ == "load")
    for who, visible in (("vic", False), ("rita", False), ("ada", True)):
        shown = load(office.people[who].request())
        tabs = [update for part, update in shown.items() if isinstance(part, gr.Tab)]
        assert len(tabs) == 10
        assert all(update["visible"] is visible for update in tabs)


def test_the_address_chooses_the_workspace(office, page):
    load = next(one.fn for one in page.fns.values() if one.fn.__name__ == "load")

    def chosen(**query):
        shown = load(office.people["ada"].request(**query))
        return next(update for part, update in shown.items() if isinstance(part, gr.Dropdown))

    assert chosen(workspace="team")["value"] == office.team.id
    assert chosen(workspace="nothing")["value"] == chosen()["value"]
    assert [name for name, _ in chosen()["choices"]] == ["default", "open", "site", "team"]


def test_the_page_itself_holds_nothing_of_the_data(office, page):
    office.correction("A secret question")
    config = str(page.get_config_file())
    assert "A secret question" not in config
    assert "'team'" not in config
