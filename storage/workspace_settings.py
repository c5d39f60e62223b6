"""What an admin may set for one workspace; `workspaces set` and the page's form come from it."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class WorkspaceSettings:
    """What an admin may set per workspace with `workspaces set NAME key=value`."""

    passage_tokens: int = 96
    """Tokens of document passages in one prompt (0: documents are never shown)."""
    example_tokens: int = 0
    """Tokens of near corrections shown as few-shot examples (0: none)."""
    history_tokens: int = 512
    """Tokens of earlier messages kept in one prompt; the oldest are dropped first."""
    attachment_tokens: int = 512
    """Tokens of a conversation's own files in one prompt (0: members cannot attach any)."""
    top_k: int = 3
    """Passages at most in one prompt."""
    relevance_floor: float = 0.54
    """Relevance under which a passage is not shown: half similarity, half words in common."""
    decline: str = ""
    """What is said where the documents are silent, instead of asking the model ("": it is asked).
    A question that a correction was approved for, or a near one, is answered all the same."""
    max_tokens: int = 256
    """Tokens of one reply at most."""
    temperature: float = 0.0
    """Sampling temperature; 0 takes the likeliest token."""
    top_p: float = 1.0
    """Above temperature 0 only the likeliest tokens count that together have this much chance."""
    seed: int = 0
    """Above temperature 0 the same prompt gets the same reply by a seed (0: another each time)."""
    repeat_penalty: float = 1.0
    """What was said in the last 64 tokens of prompt and reply is made less likely by this factor
    (1: it is not)."""
    stop: tuple[str, ...] = ()
    """Texts at which a reply ends, before them; not where it is held to a strict format."""
    strict_format: bool = True
    """Where a `json` check is the only check, every reply is held to its schema as it is made."""
    alternatives: int = 6
    """Other answers weighed at most, where an adapter wavers on its way to a short one and a check
    of type `sql` or `json` is declared (0: the greedy answer is given)."""
    tune_after: int = 0
    """Start a round by itself after this many newly approved corrections (0: never). Thumbs and
    preferences are learned along, but start none: nothing could judge a round by them."""
    outside_cap: int = 3
    """Corrections and thumbs of one contributor from outside (website, API) that a round takes, of
    those that were approved several at once; with it, of those that share an odd phrase, two
    (0: all of them). What was approved by itself, or reworded, is always taken."""
    mask: bool = True
    """Secrets and personal data in corrections (addresses, numbers, keys, passwords) are taught and
    exported as [e-mail], [phone], unless the documents say them or a reviewer freed them."""
    two_reviewers: bool = False
    """A correction is taught and served once two reviewers said yes to the very same text, neither
    of them its contributor; one no rejects it."""
    schedule: str = ""
    """When rounds start by themselves: a crontab line or "every N"; "": by `tune_after`."""
    idle_hours: str = ""
    """Hours in which they may, such as 22-6, and then only while nobody chats; "": any."""
    sites: tuple[str, ...] = ()
    """Websites of one's own that are taken in again by `crawl_schedule`."""
    site_pages: int = 200
    """Pages visited at most each time a website is taken in."""
    crawl_schedule: str = ""
    """When: a crontab line ("": only when somebody asks for it)."""
    round_minutes: float = 0.0
    """Minutes a round of this workspace may train (0: what the server says)."""
    runner: str = ""
    """Where rounds of this workspace train, such as local ("": where the server says)."""
    dials: dict[str, Any] = field(default_factory=dict)
    """Dials of every round of this workspace, such as {"wordings": 0}; see `tuning.config`."""
    checks: tuple[dict[str, Any], ...] = ()
    """How answers are judged, e.g. {"type": "sql", "database": "shop.sqlite"}."""
    embed_origins: tuple[str, ...] = ()
    """Websites that may embed this workspace by any of its embed keys."""
    embed_sources: bool = False
    """Visitors of those may see the passages that an answer rests on."""
    assistant_name: str = ""
    """What the assistant is called on the chat page and in the widget ("": Apprentice, Chat)."""
    greeting: str = ""
    """What it says on an empty chat page and in the widget ("": a sentence in the reader's
    language)."""
    avatar: str = ""
    """Its picture there: the path of a PNG, JPEG or WebP file of at most 4 MB when it is set, of
    which 128 x 128 pixels are kept ("": none); shown as a hash."""
    starters: tuple[str, ...] = ()
    """Questions offered on an empty chat page and in the widget."""
