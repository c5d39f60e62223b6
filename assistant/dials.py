"""The dials of a workspace's rounds: what was asked for, over its own, over the server's."""

import json
from collections.abc import Mapping
from typing import Any

from storage.records import Workspace
from storage.workspaces import parse_dials
from tuning.config import RoundConfig


def dials_as_declared(value: str) -> str:
    """What a person typed for the setting `dials`, looked at: JSON text with each dial's type.

    Raises BadInput naming a dial that a round has not, or a value that does not fit.
    """
    typed = parse_dials(value)
    config = RoundConfig.from_json(typed)
    return json.dumps({name: getattr(config, name) for name in typed})


def with_own_dials(workspace: Workspace, asked: Mapping[str, Any] | None) -> dict[str, Any]:
    """The dials of one round: `asked` (`tune --set`, a form) over those that the workspace keeps.

    A `max_minutes` among either stands over the workspace's `round_minutes`.
    """
    return {**workspace.settings.dials, **(asked or {})}
