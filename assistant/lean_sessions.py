"""What a Gradio page remembers of each visit, without what only closed addresses would ask for.

Gradio describes every component of the page anew for each session, with its JSON schema, so that
an address behind `GradioDoor` could hand out a link to the page as it is. For 60 components that
is 15 ms on the loop that serves everybody, and memory until 10,000 more sessions have come.
"""

from collections import ChainMap
from copy import copy
from typing import Any

import gradio as gr
from gradio.state_holder import SessionState, StateHolder

CLOSED_KEPT = 500
"""Sessions whose page has gone, for connections that come back: what such a page had open is in
its address too, and only the newest are likely to return."""


class LeanSession(SessionState):
    """What is of this visit alone; all else is the page's own. For pages without `gr.render`."""

    def __init__(self, page: gr.Blocks) -> None:  # Gradio's own would describe the components
        self.blocks_config = copy(page.default_config)
        self.blocks_config.blocks = ChainMap({}, page.default_config.blocks)
        self.blocks_config.fns = page.default_config.fns
        self.config_values: dict[int, Any] = {}
        self.state_data: dict[int, Any] = {}
        self._state_ttl: dict[int, Any] = {}
        self.is_closed = False
        self.STATE_TTL_WHEN_CLOSED = 3600

    def __setitem__(self, key: int, value: Any) -> None:
        if isinstance(self.blocks_config.blocks.get(key), gr.State):
            self.state_data[key] = value
        else:
            self.blocks_config.blocks[key] = value

    def _update_config(self, key: int) -> None:
        """Nothing: there is no description."""

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """Nothing."""


class LeanSessions(StateHolder):
    """Those of one page; Gradio's own keeps the last 10,000 whether or not anybody is there."""

    def __init__(self, page: gr.Blocks) -> None:
        super().__init__()
        self.set_blocks(page)
        self._look_at = 2 * CLOSED_KEPT

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            self._forget_closed()
            self.session_data[session_id] = LeanSession(self.blocks)
        return super().__getitem__(session_id)

    def _forget_closed(self) -> None:
        """All but the newest, from time to time."""
        if len(self.session_data) < self._look_at:
            return
        with self.lock:
            closed = [name for name, one in self.session_data.items() if one.is_closed]
            for name in closed[:-CLOSED_KEPT]:
                del self.session_data[name], self.time_last_used[name]
            self._look_at = len(self.session_data) + CLOSED_KEPT
