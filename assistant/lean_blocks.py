"""A Gradio page that leaves alone what an event leaves alone.

Gradio makes every output of an event anew, also those that stay as they are, with the JSON schema
of each, on the loop that serves everybody: 20 outputs, 50 pieces a reply and 32 readers are a
thousand components for each piece of text. Here only what changes is made anew.
"""

from copy import copy
from typing import Any

import gradio as gr
from gradio.blocks import convert_component_dict_to_list
from gradio.helpers import skip


class LeanBlocks(gr.Blocks):
    """`gr.Blocks` but for that."""

    async def postprocess_data(self, block_fn: Any, predictions: Any, state: Any) -> list[Any]:
        """What Gradio makes of a handler's values, one for each output."""
        outputs = list(block_fn.outputs)
        if len(outputs) < 2 or not isinstance(predictions, dict) or predictions == skip():
            return await super().postprocess_data(block_fn, predictions, state)
        values = convert_component_dict_to_list(outputs, predictions)
        if not isinstance(values, list):  # no component is named in it
            return await super().postprocess_data(block_fn, predictions, state)
        changed = [number for number, value in enumerate(values) if value != skip()]
        said: list[Any] = [skip() for _ in outputs]
        if changed:
            only = copy(block_fn)
            only.outputs = [outputs[number] for number in changed]
            given = [values[number] for number in changed]
            made = await super().postprocess_data(
                only, given[0] if len(given) == 1 else given, state
            )
            for number, value in zip(changed, made, strict=True):
                said[number] = value
        return said
