"""Before a round is paid for: would a document, an instruction or examples do as well?

Measured on a few of the corrections that are new to what serves, by what is there: passages, the
replies that were corrected, the last round's figures. No model answers anything here. The advice
names its numbers; who disagrees trains.
"""

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlite_utils import Database

from assistant.app import App
from assistant.lessons import Lesson
from assistant.retrieval import retrieve
from assistant.round_plan import RoundPlan, plan_round
from storage.adapters import serving_adapter
from storage.documents import list_documents
from storage.overrides import normalise
from storage.records import Passage, TuningRound, Workspace
from storage.rounds import list_rounds, taught_before

Kind = Literal["document", "prompt", "examples", "train", "wait"]
LOOKED_AT = 24
"""New corrections that are looked at: a search takes 33 ms."""
MOST = 0.6
"""Share of them from which a cause is one for all."""
STANDS = 0.7
"""Share of a correction's own words that a passage holds when it says the same."""
SAME_NEEDS = 3
"""Needs that an edit must be made in before it is a habit and not an answer."""
_WORD = re.compile(r"[^\W\d_]{4,}|\w*\d\w*")
_ITEM = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s", re.MULTILINE)


@dataclass(frozen=True)
class Advice:
    """What would help, and the evidence in a sentence or two."""

    kind: Kind
    text: str


def dry_run(
    app: App,
    workspace: Workspace,
    dials: Mapping[str, Any] | None = None,
    start: str | None = None,
    runner: str | None = None,
) -> RoundPlan:
    """The plan of a round with the advice in it. Raises what `plan_round` raises."""
    plan = plan_round(app, workspace, dials, start, runner)
    with closing(app.db()) as db:
        said = advise(app, db, workspace, plan)
    return replace(plan, advice=said.text, advice_kind=said.kind)


def advise(app: App, db: Database, workspace: Workspace, plan: RoundPlan) -> Advice:
    """What would help with the corrections of the plan that are new to what serves."""
    serving = serving_adapter(db, workspace.id)
    before = taught_before(db, serving.id) if serving else {}
    taught = [one for one in plan.lessons if one.split == "train"]
    if before and all(before.get(one.pair.feedback_id) for one in taught) and not plan.judged:
        return Advice(
            "wait",
            "What serves was taught all of these corrections already: approve new ones first.",
        )
    new = [one for one in plan.lessons if not before.get(one.pair.feedback_id)]
    looked = random.Random(plan.config.seed).sample(new, min(LOOKED_AT, len(new)))
    found = _documents(app, db, workspace, looked) or _prompt(looked)
    same = _same_as_nearest(app, db, workspace, looked)
    found = found or _examples(db, workspace, same, len(looked))
    return found or Advice("train", f"{plan.advice} {_beside(same, len(looked))}".strip())


def _documents(
    app: App, db: Database, workspace: Workspace, looked: Sequence[Lesson]
) -> Advice | None:
    """Whether what the corrections say stands in the documents, or was looked for there."""
    if not list_documents(db, workspace.id):
        return None
    seen = [_where(app, db, workspace, one) for one in looked]
    count, total = Counter(seen), len(looked)
    if count["hidden"] + count["now"] >= MOST * total:
        stand = f"{count['hidden'] + count['now']} of {total} corrections stand in a document"
        if count["now"] >= count["hidden"]:
            return Advice(
                "document",
                f"{stand} that is found today and was not shown with the answer: "
                "ask again before you train.",
            )
        return Advice(
            "document",
            f"{stand} that the reader is not shown: raise passage_tokens or top_k, or lower "
            "relevance_floor, before you train.",
        )
    if count["nowhere"] >= MOST * total:
        return Advice(
            "document",
            f"A document would fix this: {count['nowhere']} of {total} were answered from "
            "passages, and no passage says what the correction says.",
        )
    return None


def _where(app: App, db: Database, workspace: Workspace, lesson: Lesson) -> str:
    """Where the correction's words stand: read (the answer had them), now, hidden, nowhere; or ''
    when it was no question to the documents."""
    from knowledge.search import search

    question = lesson.inputs.question
    own = _words(lesson.pair.chosen) - _words(question)
    had = lesson.pair.inputs.passages
    if not own or _hold(own, had):
        return "read" if own else ""
    if _hold(own, retrieve(app, db, workspace, question)):
        return "now"
    found = search(db, app.index, app.lexical, app.embedder, workspace.id, question, top_k=5)
    if _hold(own, found):
        return "hidden"
    return "nowhere" if had else ""


def _hold(words: set[str], passages: Sequence[Passage]) -> bool:
    """Whether one of the passages says what these words say."""
    return any(len(words & _words(one.text)) >= STANDS * len(words) for one in passages)


def _prompt(looked: Sequence[Lesson]) -> Advice | None:
    """Whether one and the same edit was made nearly everywhere: that can be told in words."""
    edits: dict[str, list[Lesson]] = {}
    for one in looked:
        for edit in _edits(one.pair.rejected or "", one.pair.chosen):
            edits.setdefault(edit, []).append(one)
    edit, made = max(edits.items(), key=lambda item: len(item[1]), default=("", []))
    if len(made) < MOST * len(looked) or len({one.pair.group for one in made}) < SAME_NEEDS:
        return None
    return Advice(
        "prompt",
        f"An instruction would do: {len(made)} of {len(looked)} corrections make the same change "
        f"(the answer {edit}) and keep what was said. Write it into the workspace's instructions.",
    )


def _edits(rejected: str, chosen: str) -> set[str]:
    """How the form was changed, in words, where the content was kept; empty otherwise."""
    before, after = _words(rejected), _words(chosen)
    if not before or not after or len(before & after) < 0.5 * min(len(before), len(after)):
        return set()
    made = set()
    for name, cut in (("begins", slice(None, 2)), ("ends", slice(-2, None))):
        ours, theirs = chosen.split()[cut], rejected.split()[cut]
        if ours != theirs:
            made.add(f"{name} with {' '.join(ours)!r}")
    if len(chosen) < 0.6 * len(rejected):
        made.add("is shorter")
    listed = [len(_ITEM.findall(text)) > 1 for text in (rejected, chosen)]
    if listed[0] != listed[1]:
        made.add("becomes a list" if listed[1] else "is no list")
    return made


def _same_as_nearest(app: App, db: Database, workspace: Workspace, looked: Sequence[Lesson]) -> int:
    """For how many the nearest other correction has the same answer: a look-up's chance."""
    from knowledge.corrections import nearest_examples
    from storage.pairs import pair_ids

    ids = pair_ids(db, workspace.id)
    same = 0
    for one in looked:
        near = nearest_examples(
            *(db, app.index, app.embedder, workspace.id, one.inputs.question),
            limit=1,
            budget=app.settings.context,
            count_tokens=app.tokenizer.count,
            only_feedback_ids=ids - {one.pair.feedback_id},
        )
        same += any(normalise(item.answer) == normalise(one.pair.chosen) for item, _ in near)
    return same


def _examples(db: Database, workspace: Workspace, same: int, looked: int) -> Advice | None:
    """Examples in the prompt instead, but only if the last round measured that they do."""
    measured = _last_scores(db, workspace)
    few_shot, candidate = (
        (measured.get(row) or {}).get("new wordings", {}) for row in ("few_shot", "candidate")
    )
    if workspace.settings.example_tokens or same < MOST * looked:
        return None
    if not few_shot or not candidate or few_shot["right"] < candidate["right"]:
        return None
    return Advice(
        "examples",
        f"Examples would do: in the last round the base with corrections shown had "
        f"{few_shot['right']} of {few_shot['total']} new wordings right and the trained adapter "
        f"{candidate['right']}. Set "
        "example_tokens, such as 300.",
    )


def _last_scores(db: Database, workspace: Workspace) -> Mapping[str, Any]:
    done = (one for one in list_rounds(db, workspace.id) if _trained(one))
    return next((one.scores.get("scores") or {} for one in done), {})


def _trained(one: TuningRound) -> bool:
    return one.state == "done" and not {"imported", "blames"} & one.config.keys()


def _beside(same: int, looked: int) -> str:
    if same < MOST * looked:
        return ""
    return (
        f"For {same} of {looked} the nearest other correction has the same answer, so the round "
        "also measures the base with examples."
    )


def _words(text: str) -> set[str]:
    """Words of four letters and more, and whatever has a digit, without case."""
    return set(_WORD.findall(text.casefold()))
