"""Who calls from a frame on somebody's website: a valid embed key, and a visitor with a token.

No cookie is read, for browsers keep ours from a frame of another website. The token is random and
the visitor's alone: the frame keeps it, or the website hands it out to people that it knows. Only
its hash is stored, and it opens nothing with another key.
"""

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlite_utils import Database
from starlette.requests import Request

from assistant.callers import Proxies
from assistant.chat_visit import Visit
from assistant.security import Person
from storage.conversations import replies_today
from storage.errors import BadInput, NotFound, Refused
from storage.keys import Key, key_of
from storage.records import Workspace
from storage.workspaces import workspace_by_id

if TYPE_CHECKING:
    from assistant.app import App

VISITOR_HEADER = "X-Apprentice-Visitor"
SHORTEST_TOKEN = 32
LONGEST_TOKEN = 200
REACHABLE = ("embed", "public")
"""Access of the workspaces that a website may show."""


class LimitReached(Refused):
    """No more answers today with this key, or for this visitor."""


class TooFast(Refused):
    """More requests a minute than the key may send, or one address with it."""

    def __init__(self, wait_s: float) -> None:
        self.seconds = max(1, round(wait_s))
        super().__init__(f"Too many are asking at once: try again in {self.seconds} s.")


@dataclass(frozen=True)
class Guest(Visit):
    """A visitor of a website."""

    key: Key = field(kw_only=True)
    address: str = field(kw_only=True)
    """Where the request comes from; "" where it is unknown."""


@contextmanager
def embed_visit(app: "App", request: Request) -> Iterator[Guest]:
    """The visit. NotFound for a key that opens nothing, BadInput for a token that is none."""
    with closing(app.db()) as db:
        key, workspace = opened(db, request.path_params["key"])
        person = _visitor(key, request.headers.get(VISITOR_HEADER, ""))
        address = Proxies(app.settings.proxies).address_of(request)
        yield Guest(db, person, workspace, key=key, address=address)


def opened(db: Database, token: str) -> tuple[Key, Workspace]:
    """The valid embed key that `token` is, with its workspace, if that may be shown; else NotFound.

    A workspace for members only is shown by no key, whenever that was made.
    """
    key = key_of(db, token, "embed")
    if key is not None and key.workspace_id is not None:
        workspace = workspace_by_id(db, key.workspace_id)
        if workspace.access in REACHABLE:
            return key, workspace
    raise NotFound("This chat is not available: its key is not valid here.")


def websites(key: Key, workspace: Workspace) -> tuple[str, ...]:
    """The origins whose pages may show the chat: the key's, and those of its whole workspace."""
    return tuple(dict.fromkeys((*key.origins, *workspace.settings.embed_origins)))


def check_limits(guest: Guest) -> None:
    """LimitReached when the key or the visitor has had its answers of today (UTC).

    Counted before an answer is begun: those that are being made at that moment may come on top.
    """
    limits = {
        _owners(guest.key) + "*": guest.key.per_day,
        guest.person.owner: guest.key.per_visitor,
    }
    for owners, limit in limits.items():
        if limit is not None and replies_today(guest.db, guest.workspace.id, owners) >= limit:
            raise LimitReached(f"This chat gives {limit} answers a day: come back tomorrow.")


def _visitor(key: Key, token: str) -> Person:
    if not SHORTEST_TOKEN <= len(token) <= LONGEST_TOKEN:
        raise BadInput(
            f"{VISITOR_HEADER} has {len(token)} characters: send a random text of "
            f"{SHORTEST_TOKEN} to {LONGEST_TOKEN} that only this visitor knows."
        )
    digest = hashlib.sha256(token.encode()).hexdigest()[:32]
    return Person("visitor", _owners(key).removeprefix("visitor:") + digest)


def _owners(key: Key) -> str:
    """How the owners of all conversations with this key begin."""
    return f"visitor:embed-{key.id}-"
