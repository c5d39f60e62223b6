"""The whole admin page: every one of its handlers refuses who may not."""

import gradio as gr
import pytest

from assistant.admin.panel import build_admin


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


def test_a_reviewer_gets_the_queue_but_no_other_tab(office, page):
    load = next(one.fn for one in page.fns.values() if one.fn.__name__ == "load")
    for who, visible in (("rita", False), ("ada", True)):
        shown = load(office.people[who].request())
        tabs = [update for part, update in shown.items() if isinstance(part, gr.Tab)]
        assert len(tabs) == 5
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
