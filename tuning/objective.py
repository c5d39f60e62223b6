"""Which objective fits what was approved, and why in one sentence. Pure."""

from dataclasses import dataclass

from storage.errors import BadInput
from tuning.config import Objective

PAIRS_NEEDED = 8
"""Approved corrections under which a round is refused: two held-out cases decide nothing. As many
answers to compare, or thumbs, are the least for the other objectives when they are asked for."""
DPO_PAIRS = 300
"""Rejected answers from which `auto` compares. Most are the base's own, and on tens of pairs plain
SFT until learned leaves them no room; preference losses were shown on thousands of pairs and
more (Rafailov et al. 2023: 40,000 and up)."""
THUMBS_NEEDED = 20
"""Thumbs from which `auto` listens to them: fewer are one person's mood."""
LEAST_OF_A_KIND = 4
"""Of these, thumbs up and thumbs down at least; the KTO paper held to one in ten of either."""


@dataclass(frozen=True)
class Material:
    """What there is to learn from. `compared`: answers that a wrong one stands beside."""

    corrections: int
    compared: int
    ups: int
    downs: int

    @property
    def thumbs(self) -> int:
        """Both kinds."""
        return self.ups + self.downs


def choose(asked: Objective, found: Material, workspace: str) -> tuple[Objective, str]:
    """The objective of a round (never `auto`), and the reason. BadInput where there is too little.

    `workspace` is named in the refusal.
    """
    if asked == "auto":
        return _auto(found, workspace)
    have, what = {
        "sft": (found.corrections, "approved corrections"),
        "dpo": (found.compared, "approved answers with a wrong one to compare"),
        "kto": (found.thumbs, "approved thumbs"),
    }[asked]
    if have < PAIRS_NEEDED:
        raise _too_few(workspace, have, what)
    if asked == "kto" and not (found.ups and found.downs):
        raise BadInput(
            f"KTO needs thumbs up and down, and {workspace!r} has one kind: approve both."
        )
    return asked, f"{asked} was asked for."


def _auto(found: Material, workspace: str) -> tuple[Objective, str]:
    enough = found.thumbs >= THUMBS_NEEDED and min(found.ups, found.downs) >= LEAST_OF_A_KIND
    if found.compared >= DPO_PAIRS:
        return "dpo", (
            f"dpo, because {found.compared} answers stand beside a wrong one ({DPO_PAIRS} are "
            "enough to compare by); each correction is also taught word by word, thumbs are not."
        )
    if enough:
        also = f", beside sft on {found.corrections} corrections" if found.corrections else ""
        return "kto", f"kto for {found.ups} thumbs up and {found.downs} down{also}."
    if found.corrections < PAIRS_NEEDED:
        raise _too_few(workspace, found.corrections, "approved corrections", instead=True)
    thumbs = (
        f"; {found.thumbs} thumbs are left out, under {THUMBS_NEEDED} with {LEAST_OF_A_KIND} of "
        "each kind"
        if found.thumbs
        else ""
    )
    return "sft", (
        f"sft, because {found.compared} rejected answers are too few to compare by (from "
        f"{DPO_PAIRS} on): learned word by word, corrections leave them no room{thumbs}."
    )


def _too_few(workspace: str, have: int, what: str, *, instead: bool = False) -> BadInput:
    other = f", or {THUMBS_NEEDED} thumbs with {LEAST_OF_A_KIND} of each kind" if instead else ""
    return BadInput(
        f"Workspace {workspace!r} has {have} {what} and a round needs "
        f"{PAIRS_NEEDED}: approve {PAIRS_NEEDED - have} more{other}."
    )
