"""A Gradio page that leaves alone what an event leaves alone, and makes nothing twice.

Gradio makes every output of an event anew, also those that stay as they are, with the JSON schema
of each, on the loop that serves everybody: 20 outputs, 50 pieces a reply and 32 readers are a
thousand components for each piece of text. Here only what changes is made, and what was made the
same before is taken again: a button that is hidden is the same button for everybody.
"""

from contextlib import nullcontext
from copy import copy
from typing import Any

import gradio as gr
from gradio import utils
from gradio.blocks import Block, convert_component_dict_to_list, postprocess_update_dict
from gradio.helpers import skip
from gradio.processing_utils import async_move_files_to_cache

from assistant.lean_sessions import LeanSession

KEPT = 1000
"""Components that were made for an update and may be taken again: some 4 kB each."""

_SIMPLE = (gr.Markdown, gr.Button, gr.Column)
_AS_GIVEN = {"value", "visible", "link", "__type__"}
"""What the page is sent of these is what the update says: nothing is made or kept for a session."""
_QUICK = (gr.Markdown, gr.Textbox, gr.Chatbot)
"""Their values are made on the loop: Gradio wakes a thread for each, which takes longer."""

# Gradio tries to import it twice for each piece of text. We draw nothing with it, and where it is
# not installed each try looks through sys.path: a fifth of the loop's time under 60 readers, since
# at each look another thread takes the interpreter.
utils.MatplotlibBackendMananger = nullcontext


class LeanBlocks(gr.Blocks):
    """`gr.Blocks` but for that."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._made: dict[tuple[int, str], Block] = {}

    async def postprocess_data(self, block_fn: Any, predictions: Any, state: Any) -> list[Any]:
        """What Gradio makes of a handler's values, one for each output."""
        outputs = list(block_fn.outputs)
        if len(outputs) < 2 or not isinstance(predictions, dict) or predictions == skip():
            return await super().postprocess_data(block_fn, predictions, state)
        values = convert_component_dict_to_list(outputs, predictions)
        if not isinstance(values, list):  # no component is named in it
            return await super().postprocess_data(block_fn, predictions, state)
        state = state or LeanSession(self)
        return [
            await self._said(block_fn, block, value, state)
            for block, value in zip(outputs, values, strict=True)
        ]

    async def _said(self, block_fn: Any, block: Any, value: Any, state: Any) -> Any:
        """What the page is sent of one output."""
        if isinstance(value, dict) and value == skip():
            return value
        if isinstance(block, _QUICK) and not utils.is_prop_update(value):
            said = state.get(block._id, block).postprocess(value)
            return await async_move_files_to_cache(said, block, postprocess=True)
        if block.stateful or not utils.is_prop_update(value):
            only = copy(block_fn)
            only.outputs = [block]
            return (await super().postprocess_data(only, value, state))[0]
        update = utils.delete_none(dict(value), skip_value=True)
        if isinstance(block, _SIMPLE) and update.keys() <= _AS_GIVEN:
            said = {k: block.postprocess(v) if k == "value" else v for k, v in update.items()}
        else:
            state[block._id] = made = self._like(block, state.get(block._id, block), update)
            said = postprocess_update_dict(made, update, block_fn.postprocess)
        return await async_move_files_to_cache(said, block, postprocess=True)

    def _like(self, block: Any, now: Any, update: dict[str, Any]) -> Block:
        """The component as it is after the update; the page's own `block` is left as it is."""
        arguments = {**now.constructor_args, **update, "render": False}
        for name in ("value", "__type__"):
            arguments.pop(name, None)
        first = block.constructor_args
        changed = {name: value for name, value in arguments.items() if first.get(name) is not value}
        if not _plain(changed):
            return block.__class__(**arguments)
        key = block._id, repr(changed)
        if key not in self._made:
            if len(self._made) >= KEPT:
                self._made.clear()
            self._made[key] = block.__class__(**arguments)
        return self._made[key]


def _plain(value: Any) -> bool:
    """Whether two values that look alike are alike."""
    if isinstance(value, list | tuple):
        return all(map(_plain, value))
    if isinstance(value, dict):
        return all(map(_plain, value)) and all(map(_plain, value.values()))
    return value is None or type(value) in (str, int, float, bool)
