"""One piece of feedback as the reviewer sees it: HTML from rows, everything escaped. Pure."""

from collections.abc import Sequence

from assistant.admin.word_diff import mark_changes
from assistant.chat_view import one_line
from assistant.review import Review
from knowledge.contradictions import PageContradiction
from storage.pairs import Rival
from storage.records import Feedback, Inputs
from storage.stale import StalePassage

STATUS_NAMES = {
    "new": "New",
    "quarantined": "From the public",
    "approved": "Approved",
    "rejected": "Rejected",
}
LABEL_LENGTH = 70
_KINDS = {1: "👍 ", -1: "👎 ", None: ""}


def label(item: Feedback) -> str:
    """The row in the list."""
    kind = "" if item.correction else _KINDS[item.rating]
    text = " ".join(item.question.split())
    short = text if len(text) <= LABEL_LENGTH else text[: LABEL_LENGTH - 1] + "…"
    half = "1 of 2 · " if item.first_reviewer and item.status in ("new", "quarantined") else ""
    return f"#{item.id}  {half}{kind}{short}"


def detail(
    item: Feedback,
    contributor: str,
    inputs: Inputs | None,
    same: Sequence[Feedback] = (),
    site: str = "",
) -> str:
    """Question, what was said, what was wanted, and the circumstances; `site` by its name."""
    by = f"by {one_line(contributor)}" + (f" · from {one_line(site)}" if site else "")
    parts = [
        f'<p class="note">#{item.id} · {STATUS_NAMES[item.status]} · {by}'
        f" · {day_and_time(item.created_at)} UTC{_same(same)}</p>",
        _history(inputs),
        f'<h2>Question</h2><div class="passage">{one_line(item.question)}</div>',
        _texts(item),
        _remarks(item),
        _passages(inputs),
    ]
    return f'<div class="detail">{"".join(parts)}</div>'


def notes(review: Review, stale: Sequence[StalePassage] = (), odd: Sequence[str] = ()) -> str:
    """What the reviewer should know before approving, and which passages have changed since.

    `odd` is what is unusual about where it came from.
    """
    told = [one_line(text) for text in odd]
    if review.never:
        told.append(f"It cannot be approved: {one_line(review.never)}.")
    if review.fault:
        told.append(f"It fails its {one_line(review.check)} check: {one_line(review.fault)}.")
    told += [_differs(one) for one in review.otherwise]
    told += [_contradicts(page) for page in review.pages]
    warnings = "".join(map(_changed, stale))
    warnings += "".join(f'<p role="alert">{text}</p>' for text in told)
    if review.same_as is None:
        return warnings
    same = f"The same as #{review.same_as}: that one trains, this one answers at once."
    return f'{warnings}<p class="note">{same}</p>'


def _changed(passage: StalePassage) -> str:
    name = one_line(passage.document)
    was, now = mark_changes(passage.was, passage.now)
    if passage.removed:
        gone = f"It was made from {name}, which does not say this any more:"
        return f'<p role="alert">{gone}</p><div class="passage">{was}</div>'
    return (
        f'<p role="alert">It was made from {name}, which has changed:</p>'
        f'<div class="both"><div class="passage">{was}</div><div class="passage">{now}</div></div>'
    )


def _differs(other: Rival) -> str:
    return (
        "The same question was corrected differently on "
        f"{other.reviewed_at[:10]} (#{other.feedback_id}): "
        f"<q>{one_line(other.chosen)}</q> If you approve this one, it replaces that answer."
    )


def _contradicts(page: PageContradiction) -> str:
    written, said = mark_changes(page.written, page.said)
    return (
        f"This may contradict {one_line(page.document)}: there <q>{written}</q>, here <q>{said}</q>"
    )


def day_and_time(iso: str | None) -> str:
    """`2026-11-21T04:58:26.000Z` as `2026-11-21 04:58`, UTC."""
    return (iso or "")[:16].replace("T", " ")


def _texts(item: Feedback) -> str:
    wanted = item.approved_correction or item.first_text or item.correction
    if wanted is None:
        said = one_line(item.answer)
        none = f'<p class="note">{_uncorrected(item)}</p>'
        return f'<h2>What was said</h2><div class="passage">{said}</div>{none}'
    edited = wanted != item.correction
    head = f"<h2>What was wanted{' (as edited by the reviewer)' if edited else ''}</h2>"
    if not item.answer.strip():  # an imported text that answers nothing
        return f'{head}<div class="passage">{one_line(wanted)}</div>'
    old, new = mark_changes(item.answer, wanted)
    return (
        '<div class="both"><div><h2>What was said</h2>'
        f'<div class="passage">{old}</div></div>'
        f'<div>{head}<div class="passage">{new}</div></div></div>'
    )


def _uncorrected(item: Feedback) -> str:
    if item.rating is None:
        return "No correction was given. Edit to write one, or reject."
    thumb = "up" if item.rating == 1 else "down"
    return (
        f"A thumb {thumb}, without a correction. Approve it for a round to learn from, "
        "edit to write what was wanted, or reject."
    )


def _remarks(item: Feedback) -> str:
    parts = []
    if item.reasons:
        parts.append(f"Reasons: {one_line(', '.join(item.reasons))}")
    if item.comment:
        parts.append(f"Comment: {one_line(item.comment)}")
    return "".join(f"<p>{part}</p>" for part in parts)


def _history(inputs: Inputs | None) -> str:
    if not inputs or not inputs.history:
        return ""
    said = "&#10;".join(f"{turn['role']}: {one_line(turn['content'])}" for turn in inputs.history)
    return (
        "<details><summary>Earlier in the conversation</summary>"
        f'<div class="passage">{said}</div></details>'
    )


def _passages(inputs: Inputs | None) -> str:
    return "".join(
        f"<details><summary>[{number}] {one_line(passage.document)}</summary>"
        f'<div class="passage">{one_line(passage.text)}</div></details>'
        for number, passage in enumerate(inputs.passages if inputs else (), start=1)
    )


def _same(same: Sequence[Feedback]) -> str:
    if not same:
        return ""
    return f" · {len(same)} other{'s' if len(same) > 1 else ''} said the same"
