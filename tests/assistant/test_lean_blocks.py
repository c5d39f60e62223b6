"""Outputs that stay as they are cost nothing; what was made is taken again, as Gradio makes it."""

import asyncio

import gradio as gr
import pytest

from assistant.lean_blocks import KEPT, LeanBlocks
from assistant.lean_sessions import LeanSession


@pytest.fixture
def made(monkeypatch):
    """A page with four outputs, and which components were made while it runs."""
    with LeanBlocks() as page:
        parts = [gr.Markdown(), gr.Textbox(), gr.State(0), gr.Radio(["a"])]
        page.load(lambda: None, None, parts)
    seen = []
    init = gr.components.Component.__init__
    monkeypatch.setattr(
        gr.components.Component,
        "__init__",
        lambda self, *a, **k: (seen.append(type(self)), init(self, *a, **k))[1],
    )
    function = next(iter(page.fns.values()))

    def post(values, session=None):
        seen.clear()
        return asyncio.run(page.postprocess_data(function, values, session))

    return page, parts, seen, post


SAME = {"__type__": "update"}


def test_only_what_changes_is_made_anew(made):
    _, (said, box, count, _), seen, post = made
    assert post({said: gr.update(visible=False)}) == [{**SAME, "visible": False}, SAME, SAME, SAME]
    assert post({said: "text", count: 3}) == ["text", SAME, None, SAME]
    assert seen == []
    assert post({box: gr.update(value="x"), said: "y"}) == ["y", {**SAME, "value": "x"}, SAME, SAME]
    assert seen == [gr.Textbox]
    assert post({box: gr.update(value="other")})[1] == {**SAME, "value": "other"}
    assert seen == []  # the same box, whatever is in it
    assert post({box: gr.update(lines=3)})[1] == {**SAME, "lines": 3}
    assert seen == [gr.Textbox]


def test_a_session_goes_on_with_its_own_component_and_no_other_has_it(made):
    page, (*_, radio), _, post = made
    ours, other = LeanSession(page), LeanSession(page)
    assert post({radio: gr.update(choices=["b"])}, ours)[3] == {**SAME, "choices": [["b", "b"]]}
    post({radio: gr.update(visible=False)}, ours)
    own = ours[radio._id]
    assert own.choices == [("b", "b")] and own.visible is False and own.preprocess("b") == "b"
    assert other[radio._id] is radio and radio.choices == [("a", "a")]
    with pytest.raises(gr.Error):
        other[radio._id].preprocess("b")


def test_what_looks_alike_and_is_not_is_made_each_time(made):
    _, (*_, radio), _, post = made

    class Name:
        def __init__(self, text):
            self.text = text

        def __repr__(self):
            return "a name"

    for text in ("one", "two"):
        chosen = post({radio: gr.update(choices=[(text, Name(text))])})[3]["choices"]
        assert chosen[0][1].text == text


def test_so_many_are_kept_and_no_more(made):
    page, (*_, radio), _, post = made
    for number in range(KEPT + 5):
        post({radio: gr.update(choices=[str(number)])})
    assert len(page._made) == 5


def test_values_in_a_list_and_nothing_at_all_are_left_to_gradio(made):
    *_, post = made
    assert post(["a", "b", 1, "a"]) == ["a", "b", None, "a"]
    assert post(gr.skip())[:2] == [SAME, SAME]
