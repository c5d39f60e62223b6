"""A visit remembers what is its own, and those whose page has gone are forgotten in time."""

import gradio as gr
import pytest

from assistant import lean_sessions
from assistant.lean_sessions import LeanSessions


@pytest.fixture
def page():
    with gr.Blocks() as made:
        gr.Markdown("text")
        gr.State(["first"])
    return made


def test_each_has_its_own_state_and_what_is_shown_is_shared(page):
    sessions = LeanSessions(page)
    text, state = page.blocks.values()
    one, other = sessions["one"], sessions["other"]
    one[state._id] = "mine"
    other[state._id].append("more")
    assert (one[state._id], other[state._id]) == ("mine", ["first", "more"])
    assert state.value == ["first"]
    one[text._id] = gr.Markdown("mine", render=False)
    assert one[text._id].value == "mine" and other[text._id] is text is page.blocks[text._id]
    assert one.blocks_config.fns is other.blocks_config.fns  # not a copy for each
    assert sessions["one"] is one and page.state_holder is sessions


def test_a_closed_page_is_forgotten_when_enough_newer_ones_have_closed(page, monkeypatch):
    monkeypatch.setattr(lean_sessions, "CLOSED_KEPT", 5)
    sessions = LeanSessions(page)
    assert not sessions["stays open"].is_closed
    for number in range(40):
        sessions[f"{number}"].is_closed = True
        assert len(sessions.session_data) <= 1 + 3 * 5
    assert {"stays open", "39", "38", "37", "36", "35"} <= set(sessions.session_data)
    assert set(sessions.time_last_used) == set(sessions.session_data)
