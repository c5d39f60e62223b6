"""Outputs that stay as they are cost nothing, and the others come as Gradio makes them."""

import asyncio

import gradio as gr
import pytest

from assistant.lean_blocks import LeanBlocks


@pytest.fixture
def made(monkeypatch):
    """A page with three outputs, and which components were made while it runs."""
    with LeanBlocks() as page:
        parts = [gr.Markdown(), gr.Textbox(), gr.State(0)]
        page.load(lambda: None, None, parts)
    seen = []
    init = gr.components.Component.__init__
    monkeypatch.setattr(
        gr.components.Component,
        "__init__",
        lambda self, *a, **k: (seen.append(type(self)), init(self, *a, **k))[1],
    )
    function = next(iter(page.fns.values()))

    def post(values):
        seen.clear()
        return asyncio.run(page.postprocess_data(function, values, None))

    return parts, seen, post


SAME = {"__type__": "update"}


def test_only_what_changes_is_made_anew(made):
    (said, box, count), seen, post = made
    assert post({said: gr.update(visible=False)}) == [{**SAME, "visible": False}, SAME, SAME]
    assert seen == [gr.Markdown]
    assert post({said: "text", count: 3}) == ["text", SAME, None]
    assert seen == []
    assert post({box: gr.update(value="x"), said: "y"}) == ["y", {**SAME, "value": "x"}, SAME]
    assert seen == [gr.Textbox]


def test_values_in_a_list_and_nothing_at_all_are_left_to_gradio(made):
    _, _, post = made
    assert post(["a", "b", 1]) == ["a", "b", None]
    assert post(gr.skip())[:2] == [SAME, SAME]
