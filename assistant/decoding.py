"""How a workspace's replies are decoded: its settings, and the format that they are held to.

A workspace whose only check is a `json` check, without `match`, has replies of one kind, and a
strict format: they are held to that check's schema while they are made. Beside another check, or
with `match`, nobody can say before the reply which of them it will be about.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.engines.protocol import Sampling
from storage.errors import BadInput
from storage.records import FinishReason, Workspace
from storage.workspace_settings import WorkspaceSettings
from storage.workspaces import LONGEST_STOP
from tuning.checks import fault
from tuning.evaluate import Case

ANY = {"type": ["object", "array"]}
"""The schema of a check without one."""


@dataclass(frozen=True)
class Decoding:
    """What changes even a greedy reply, so that it is the same in service and in evaluation."""

    repeat_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    schema: str | None = None
    """A JSON Schema, as text. It ends the reply itself, and no stop text may break it."""


@dataclass(frozen=True)
class Wish:
    """What a caller would have otherwise than the workspace has it; None: as the workspace."""

    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    """Further texts at which the reply ends."""


AS_SET = Wish()
FREE = Decoding()
"""What general questions are asked with: they show what a model still knows, in any words."""


def decoding_of(workspace: Workspace, wish: Wish = AS_SET) -> Decoding:
    """How the workspace's own questions are answered."""
    settings = workspace.settings
    schema = _schema(settings)
    if schema is not None and _fault(schema):  # declared by an earlier version; `doctor` says so
        schema = None
    stop = () if schema else (*settings.stop, *wish.stop)
    return Decoding(settings.repeat_penalty, stop, schema)


def decodings(workspace: Workspace, cases: Sequence[Case]) -> list[Decoding]:
    """As `decoding_of` for a round's own questions, FREE for general ones."""
    own = decoding_of(workspace)
    return [FREE if case.slice == "sentinel" else own for case in cases]


def sampling_of(
    workspace: Workspace, decoding: Decoding, max_tokens: int | None, wish: Wish = AS_SET
) -> Sampling:
    """How the next token of a reply in service is chosen, of at most `max_tokens` if given."""
    settings = workspace.settings
    return Sampling(
        max_tokens=max_tokens or settings.max_tokens,
        temperature=settings.temperature if wish.temperature is None else wish.temperature,
        top_p=settings.top_p if wish.top_p is None else wish.top_p,
        seed=(settings.seed or None) if wish.seed is None else wish.seed,
        repeat_penalty=decoding.repeat_penalty,
        schema=decoding.schema,
    )


def check_wish(workspace: Workspace, wish: Wish) -> None:
    """Raises BadInput for a stop text that this workspace's replies cannot end at."""
    if wish.stop and format_check(workspace.settings):
        raise BadInput(
            f"Replies of {workspace.name!r} are held to a format, which ends them itself: leave "
            "stop out."
        )
    for one in wish.stop:
        if not 0 < len(one) <= LONGEST_STOP:
            raise BadInput(
                f"A stop text has {len(one)} characters: give texts of 1 to {LONGEST_STOP}."
            )


def format_check(settings: WorkspaceSettings) -> Mapping[str, Any] | None:
    """The check whose format every reply is to have; None where there is no strict format."""
    only = settings.checks[0] if len(settings.checks) == 1 else {}
    strict = settings.strict_format and only.get("type") == "json" and not only.get("match")
    return only if strict else None


def format_fault(settings: WorkspaceSettings) -> str | None:
    """Why replies cannot be held to the format that is set, in words; None when they are."""
    schema = _schema(settings)
    wrong = _fault(schema) if schema is not None else None
    return wrong and f"replies cannot be held to the schema of the json check ({wrong})"


def with_usable_format(settings: WorkspaceSettings) -> None:
    """Raises BadInput for a strict format that no engine can hold a reply to."""
    if wrong := format_fault(settings):
        raise BadInput(
            f"The {wrong}: leave that out of the schema, or set strict_format=false to have "
            "answers judged by it only."
        )


def not_in_format(workspace: Workspace, text: str, reason: FinishReason, tokens: int) -> str:
    """A sentence on a finished reply that is not in the strict format of its workspace, or ""."""
    check = format_check(workspace.settings)
    wrong = fault(check, text) if check and reason in ("stop", "length") else None
    if wrong is None:
        return ""
    cut = f" It was cut off at {tokens} tokens: raise max_tokens." if reason == "length" else ""
    return f"This answer is not in the format of this workspace: {wrong}.{cut}"


def _schema(settings: WorkspaceSettings) -> str | None:
    check = format_check(settings)
    if check is None:
        return None
    schema = check.get("schema", True)
    if isinstance(schema, bool):
        schema = ANY if schema else {"not": {}}
    return json.dumps(schema)


def _fault(schema: str) -> str | None:
    from assistant.engines.grammar import schema_fault

    return schema_fault(schema)
