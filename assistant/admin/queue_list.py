"""The list of the review queue: its filters, the search, a page of it and the way to the next."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import gradio as gr
from sqlite_utils import Database

from assistant.admin.desk import Desk, Updates
from assistant.admin.feedback_view import STATUS_NAMES, day_and_time, label
from assistant.admin.queue_filters import FLAGGED, HALF, MINE, STALE, filters
from assistant.admin.reasons import reason_filter
from assistant.security import may_review
from assistant.suspicion import flags
from storage.feedback import count_feedback, feedback, list_feedback
from storage.feedback_search import (
    FAR,
    NEAR,
    Found,
    has_words,
    search_feedback,
    searched_text,
    words_of,
)
from storage.first_yes import names_of
from storage.queue_filter import COUNTED, Sought, count_sought
from storage.records import Feedback
from storage.sites import sites
from storage.stale import stale_feedback

PAGE = 100
"""Rows in the list at once."""
LONGEST_SEARCH = 200
ANY_SITE = ("Any site", "")
KEYS = '<p class="note">Keys: j next, k back, a approve, e edit, r reject, / search</p>'
"""What `ui/admin.js` listens to."""


class Listed(NamedTuple):
    """What the list shows."""

    status: str
    before: int | None
    """The id that the page ends before; None: the newest."""
    why: str | None = None
    """A reason that somebody gave."""
    words: str | None = None
    """What each row has to contain."""
    site: str | None = None
    """The key or the installation that it came from."""

    @property
    def text(self) -> str:
        """The words; a client may send anything in their place."""
        return str(self.words or "")


@dataclass(frozen=True)
class Page:
    """One page of the list."""

    items: list[Feedback]
    more: bool
    """Whether a row comes after the last one."""
    looked: Found | None = None
    """How far a search went; None where nothing was searched."""


class QueueList:
    """The left column of the tab; the right one shows the row that is chosen in `rows`."""

    def __init__(self) -> None:
        names = [(name, status) for status, name in STATUS_NAMES.items()]
        self.status = gr.Radio(names, value="new", show_label=False, container=False)
        self.words = gr.Textbox(
            label="Search",
            info="Words of the question, an answer or a comment; Enter searches",
            max_lines=1,
            max_length=LONGEST_SEARCH,
            submit_btn="Search",
            elem_id="queue-words",
        )
        self.why = reason_filter()
        self.site = gr.Dropdown(
            [ANY_SITE], value="", label="Site", visible=False, elem_id="queue-site"
        )
        self.before = gr.State(None)
        self.rows = gr.Radio([], show_label=False, container=False, elem_id="rows")
        self.looked = gr.Markdown(elem_id="queue-looked")
        self.looked_to = gr.State(None)
        with gr.Row():
            self.newest = gr.Button("Newest", size="sm", visible=False)
            self.older = gr.Button("Older", size="sm", visible=False)
            self.further = gr.Button("Look further back", size="sm", visible=False)
        self.keys = gr.Markdown(KEYS, elem_id="queue-keys", visible=False)
        self.outputs: set[Any] = {
            *(self.status, self.before, self.rows, self.looked, self.looked_to),
            *(self.newest, self.older, self.further, self.keys, self.site),
        }
        self.sought: list[Any] = [self.why, self.words, self.site]

    def show(
        self,
        desk: Desk,
        listed: Listed,
        page: Page,
        chosen: int | None,
        apart: Mapping[str, int],
    ) -> Updates:
        """A page, with the row that is chosen in it; `apart` as for `filters`."""
        counts = count_feedback(desk.db, desk.workspace.id)
        looked = page.looked
        return {
            self.status: gr.update(
                choices=filters(counts, apart, listed.status), value=listed.status
            ),
            self.before: listed.before,
            self.rows: gr.update(
                choices=[(label(item), item.id) for item in page.items],
                value=chosen,
                visible=bool(page.items),
            ),
            self.older: gr.update(visible=page.more),
            self.newest: gr.update(visible=listed.before is not None),
            self.keys: gr.update(visible=may_review(desk.person)),
            self.site: _sites(desk, listed),
            **self._further(desk.db, None if looked is None or page.more else looked),
        }

    def look_further(
        self, desk: Desk, listed: Listed, looked_to: int | None
    ) -> tuple[Listed | None, Updates]:
        """Where the next row with the words is, or None, with what is to be said of that."""
        found = search_feedback(
            desk.db,
            desk.workspace.id,
            listed.text,
            **_narrowed(desk, listed),
            before_id=looked_to,
            limit=1,
            look=FAR,
        )
        if found.items:
            return listed._replace(before=found.items[0].id + 1), {}
        return None, self._further(desk.db, found)

    def _further(self, db: Database, looked: Found | None) -> Updates:
        """How far it was looked, and whether there is more to look at."""
        return {
            self.looked: _told(db, looked) if looked else "",
            self.looked_to: looked.looked_to if looked else None,
            self.further: gr.update(visible=bool(looked and looked.looked_to)),
        }


def page_of(desk: Desk, listed: Listed, ids: Iterable[int] | None = None) -> Page:
    """The page that `listed` says; `ids` are all the stale or the flagged rows, if known."""
    given = {**_narrowed(desk, listed), "before_id": listed.before, "limit": PAGE + 1}
    if listed.status in (STALE, FLAGGED):
        found = list(islice(_picked(desk, listed, ids), PAGE + 1))
    elif words_of(listed.text):
        looked = search_feedback(desk.db, desk.workspace.id, listed.text, look=NEAR, **given)
        return Page(looked.items[:PAGE], len(looked.items) > PAGE, looked)
    else:
        found = list_feedback(desk.db, desk.workspace.id, **given)
    return Page(found[:PAGE], len(found) > PAGE)


def listed_and_seen(
    status: str, before: int | None, rest: Sequence[str | None]
) -> tuple[Listed, str | None]:
    """What the list shows, and last the mark of the row as it was shown, if the page sent one."""
    return Listed(status, before, *rest[:3]), rest[3] if len(rest) > 3 else None


def waiting(desk: Desk) -> dict[str, int]:
    """How much waits for a second reviewer, and for this person where there are two."""
    half = Sought(half=True)
    counts = {HALF: count_sought(desk.db, desk.workspace.id, half)}
    if desk.workspace.settings.two_reviewers and may_review(desk.person):
        mine = Sought(waits_for=names_of(desk.db, desk.person.owner))
        counts[MINE] = count_sought(desk.db, desk.workspace.id, mine)
    return counts


def _narrowed(desk: Desk, listed: Listed) -> dict[str, Any]:
    """What `Sought` takes."""
    given: dict[str, Any] = {"reason": listed.why or None, "site": listed.site or None}
    if listed.status == HALF:
        return {**given, "half": True}
    if listed.status == MINE:
        return {**given, "waits_for": names_of(desk.db, desk.person.owner)}
    return {**given, "status": listed.status}


def _sites(desk: Desk, listed: Listed) -> Any:
    """The filter by site, with how much of each waits; none where nothing came from one."""
    found = sites(desk.db, desk.workspace.id)
    choices = [ANY_SITE]
    for one in found:
        waits = one.counts.get("new", 0) + one.counts.get("quarantined", 0)
        choices.append((f"{one.name} ({waits if waits < COUNTED else f'{COUNTED}+'})", one.site))
    known = {value for _, value in choices}
    value = listed.site if listed.site in known else ""
    return gr.update(choices=choices, value=value, visible=bool(found))


def _picked(desk: Desk, listed: Listed, ids: Iterable[int] | None) -> Iterator[Feedback]:
    """Of the stale or the flagged those that the filters let through, the newest first."""
    if ids is None:
        odd = listed.status == FLAGGED
        where = desk.workspace
        ids = flags(desk.db, where) if odd else stale_feedback(desk.db, where.id)
    sought, why = words_of(listed.text), listed.why
    for id in ids:
        if listed.before is None or id < listed.before:
            item = feedback(desk.db, id)
            given = not why or why in item.reasons + item.review_reasons
            here = not listed.site or item.site == listed.site
            if given and here and has_words(searched_text(item), sought):
                yield item


def _told(db: Database, looked: Found) -> str:
    """How far a search went that did not fill its page, as HTML."""
    found = len(looked.items)
    rows = f"{found} row{'s have' if found != 1 else ' has'}" if found else "No row has"
    if looked.looked_to is None:
        return f'<p role="status" class="note">{rows} these words; all were looked through.</p>'
    day = day_and_time(feedback(db, looked.looked_to).created_at)
    return (
        f'<p role="status" class="note">{rows} these words among {looked.looked_at:,}, '
        f"back to {day} UTC.</p>"
    )
