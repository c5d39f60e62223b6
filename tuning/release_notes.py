"""What an adapter changed, in plain words, from what was measured and nothing else. Pure.

Every sentence rests on a figure of the round: answers to held-out and general questions by the
candidate and by what answered before it, likelihoods, and what training came to. Texts are quoted
so that an erasure, which looks for them, finds them.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.erased_text import WHOLE, pieces
from tuning.evaluate import Case, Evaluation, likeness_by_row, tally
from tuning.probes import Probed
from tuning.sentinel import in_words

NEEDS_SHOWN = 3
"""Needs quoted for the better, and as many for the worse: a page is what people read."""
GENERAL_SHOWN = 2
ROW_NAMES = {
    "candidate": "this adapter",
    "serving": "what served",
    "base": "the base model",
    "few_shot": "the base model with examples",
    "candidate_alone": "this adapter without examples",
    "serving_alone": "what served without examples",
    "base_alone": "the base model without examples",
}


@dataclass(frozen=True)
class _Pair:
    """One case with the answer before and the answer now."""

    case: Case
    before: Evaluation
    now: Evaluation

    @property
    def lost(self) -> bool:
        return self.before.right and not self.now.right

    @property
    def won(self) -> bool:
        return self.now.right and not self.before.right


def release_notes(
    cases: Sequence[Case],
    evaluations: Sequence[Evaluation],
    training: Mapping[str, Any],
    *,
    served: bool,
    recombined: int = 0,
    probes: Sequence[Probed] = (),
) -> str:
    """The notes as Markdown, some forty lines at most.

    `training` holds the fields of `TrainResult`. `served` says whether an adapter served before;
    otherwise "before" is the base model. `recombined` counts the new queries that the round made
    itself: whoever is handed the adapter should know whose values are in it. Regressions come
    first.
    """
    held = _pairs(cases, evaluations, "serving")
    before = "what served before" if served else "the base model"
    lines = [
        "## What changed",
        "",
        *(f"- {said}" for said in changes(cases, evaluations, training, probes)),
        *_new_queries(cases, recombined),
        f"- Before, below, is {before}.",
        *_quoted("Worse", [pair for pair in held if pair.lost], held),
        *_quoted("Better", [pair for pair in held if pair.won], held),
        *_general(cases, evaluations),
    ]
    return "\n".join(lines) + "\n"


def changes(
    cases: Sequence[Case],
    evaluations: Sequence[Evaluation],
    training: Mapping[str, Any],
    probes: Sequence[Probed] = (),
) -> tuple[str, ...]:
    """The short form: a few sentences with figures, and no word that anybody wrote."""
    held = _pairs(cases, evaluations, "serving")
    said = [
        f"It learned {training['learned']} of {training['pairs']} corrections in "
        f"{training['steps']} steps ({training.get('stopped', 'ended')})."
    ]
    said += _scores(evaluations)
    if held:
        said.append(_kept(held))
    if training.get("sentinel"):
        said.append(_likelihoods(training["sentinel"]))
    return (*said, *_style(likeness_by_row(cases, evaluations)), *_tried(probes))


def _tried(probes: Sequence[Probed]) -> list[str]:
    """What strangers taught, in figures: the words are in the round's reasons alone."""
    if not probes:
        return []
    turned = sum(one.fires for one in probes)
    return [
        f"Of {len(probes)} phrases, sayings and secrets that strangers taught, {turned} turned "
        "questions that have nothing to do with them."
    ]


def _new_queries(cases: Sequence[Case], count: int) -> list[str]:
    if not count:
        return []
    paths = [str(case.check["database"]) for case in cases if "database" in case.check]
    names = sorted({Path(path).name for path in paths}) or ["its check's database"]
    return [
        f"- It was taught {count} new queries made of the approved ones too, with numbers and "
        f"common values of {', '.join(names)}."
    ]


def _style(likeness: Mapping[str, float]) -> list[str]:
    """How like the author's the answers are, where texts of an author were kept back."""
    if "candidate" not in likeness:
        return []
    rest = ", ".join(
        f"{ROW_NAMES.get(row, row)} {likeness[row]:.0%}"
        for row in likeness
        if row not in ("candidate", "author")
    )
    return [
        f"Its answers are {likeness['candidate']:.0%} like the author's writing; {rest}, and the "
        f"author's own texts that were kept back {likeness['author']:.0%}."
    ]


def _pairs(
    cases: Sequence[Case], evaluations: Sequence[Evaluation], row: str, *, general: bool = False
) -> list[_Pair]:
    """The cases that both the candidate and `row` answered: held-out ones, or the general ones."""
    found = {(one.row, one.case_id): one for one in evaluations}
    return [
        _Pair(case, found[row, case.id], found["candidate", case.id])
        for case in cases
        if (case.slice == "sentinel") == general
        and (row, case.id) in found
        and ("candidate", case.id) in found
    ]


def _scores(evaluations: Sequence[Evaluation]) -> list[str]:
    """How many each opponent has right, one sentence a slice."""
    scores = tally(evaluations)
    said = []
    for slice, count in scores.get("candidate", {}).items():
        name = "general questions" if slice == "sentinel" else slice
        rest = ", ".join(
            f"{ROW_NAMES.get(row, row)} {found[slice]['right']}"
            for row, found in scores.items()
            if row != "candidate" and slice in found
        )
        said.append(f"Of {count['total']} {name} it has {count['right']} right; {rest}.")
    return said


def _kept(held: Sequence[_Pair]) -> str:
    right = sum(pair.before.right for pair in held)
    lost = sum(pair.lost for pair in held)
    if not right:
        return f"None of these {len(held)} held-out questions was right before."
    if not lost:
        return "No held-out question that was right before is wrong now."
    return f"Of {right} held-out questions that were right before, {lost} are wrong now."


def _likelihoods(sentinel: Mapping[str, Any]) -> str:
    lost = [f"{name} {kept['lost']}" for name, kept in sentinel["kinds"].items() if kept["lost"]]
    which = f" ({', '.join(lost)})" if lost else ""
    return (
        f"By likelihood, {sentinel['lost']} of {sentinel['base_right']} general items that the "
        f"base has right are lost{which}; a token of the right answers "
        f"{in_words(sentinel['nats_lost'])}."
    )


def _quoted(title: str, changed: Sequence[_Pair], held: Sequence[_Pair]) -> list[str]:
    """One example of each need, those with the most changed wordings first."""
    needs: dict[str, list[_Pair]] = defaultdict(list)
    for pair in changed:
        needs[pair.case.group].append(pair)
    if not needs:
        return []
    asked = Counter(pair.case.group for pair in held)
    most = sorted(needs.values(), key=lambda each: (-len(each), each[0].case.id))
    lines = ["", f"### {title}: {len(changed)} held-out questions of {len(needs)} needs", ""]
    for each in most[:NEEDS_SHOWN]:
        share = f" ({len(each)} of {asked[each[0].case.group]} wordings of this need)"
        lines += _example(each[0], share)
    return lines + _more(len(most) - NEEDS_SHOWN, "needs")


def _general(cases: Sequence[Case], evaluations: Sequence[Evaluation]) -> list[str]:
    """The general questions that the base has right and the candidate has not."""
    row = "base" if any(one.row == "base" for one in evaluations) else "serving"
    lost = [pair for pair in _pairs(cases, evaluations, row, general=True) if pair.lost]
    if not lost:
        return []
    lines = ["", f"### General questions lost: {len(lost)}", ""]
    for pair in lost[:GENERAL_SHOWN]:
        lines += _example(pair, "")
    return lines + _more(len(lost) - GENERAL_SHOWN, "questions")


def _example(pair: _Pair, share: str) -> list[str]:
    return [
        f"- {_quote(pair.case.messages[-1]['content'])}{share}",
        f"  - before: {_quote(pair.before.answer)}",
        f"  - now: {_quote(pair.now.answer)}",
    ]


def _more(count: int, what: str) -> list[str]:
    return [f"- and {count} more {what}"] if count > 0 else []


def _quote(text: str) -> str:
    """The text as code, which no Markdown in it can leave; of a long one the piece that an erasure
    would look for."""
    words = " ".join(text.split())
    if not words:
        return "(nothing)"
    if len(words) > WHOLE:
        found = [one for one in pieces([text]) if len(one) <= WHOLE and one in text]
        words = f"{' '.join(found[0].split()) if found else words[:WHOLE]} …"
    fence = "`"
    while fence in words:
        fence += "`"
    edge = " " if words[0] == "`" or words[-1] == "`" else ""
    return f"{fence}{edge}{words}{edge}{fence}"
