"""The plain values that cross room borders: frozen, no behaviour, no database handle.

A row stays inside `storage`; everybody else sees these. Times are ISO 8601 UTC text. Those with
slots come by the hundred thousand.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypedDict

from storage.workspace_settings import WorkspaceSettings

Role = Literal["system", "user", "assistant"]
Access = Literal["public", "members", "embed"]
UserRole = Literal["admin", "reviewer", "viewer", "member"]
Origin = Literal["staff", "widget", "api", "import"]
FeedbackStatus = Literal["quarantined", "new", "approved", "rejected"]
AdapterStatus = Literal["candidate", "serving", "retired", "rejected", "tainted"]
WorkState = Literal["queued", "running", "done", "failed", "cancelled"]
Verdict = Literal["promote", "reject", "not enough evidence"]
FinishReason = Literal["stop", "length", "interrupted", "override", "imported", "error"]
ExampleKind = Literal["correction", "preference", "thumb", "replay", "sentinel"]
Split = Literal["train", "new wordings", "new needs", "sentinel"]


class ChatMessage(TypedDict):
    """One `{role, content}` message, the shape used everywhere."""

    role: Role
    content: str


@dataclass(frozen=True)
class Workspace:
    """One client or department."""

    id: int
    name: str
    access: Access
    instructions: str
    instructions_version: int
    settings: WorkspaceSettings


@dataclass(frozen=True)
class User:
    """A person with a login."""

    id: int
    name: str
    role: UserRole


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as retrieved, ranked by `score` among those found with it.

    `similarity` is the cosine, if known; `relevance`, 0 to 1, how likely it is on the question.
    """

    chunk_id: int
    document_id: int
    document: str
    text: str
    hash: str
    score: float
    similarity: float | None = None
    relevance: float | None = None
    dense_rank: int | None = None
    lexical_rank: int | None = None
    source_url: str | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A near approved correction, shown in the prompt as an earlier turn."""

    feedback_id: int
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything `build_messages` was given for one reply; a training prompt is rebuilt from it."""

    question: str
    instructions: str
    instructions_version: int
    history: tuple[ChatMessage, ...] = ()
    passages: tuple[Passage, ...] = ()
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class Conversation:
    """Ordered messages with one owner: `user:<id>`, `visitor:<token>`, `api:<key id>`, `import`."""

    id: str
    workspace_id: int
    owner: str
    title: str
    created_at: str


@dataclass(frozen=True)
class Message:
    """One message. The fields from `inputs` on are set for assistant messages only."""

    id: str
    conversation_id: str
    role: Role
    content: str
    created_at: str
    parent_id: str | None = None
    variant_of: str | None = None
    inputs: Inputs | None = None
    sent_ids: tuple[int, ...] = ()
    base_fingerprint: str | None = None
    adapter_id: int | None = None
    engine: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reason: FinishReason | None = None
    override_id: int | None = None
    latency_ms: float | None = None
    ttft_ms: float | None = None
    relevance: float | None = None
    """Of the best passage that was found, shown or not; None: the documents were not searched."""
    declined: bool = False
    """It says that the documents do not say; no model was asked."""


@dataclass(frozen=True)
class Feedback:
    """One judgement on one assistant message. `answer` and `question` come from that message."""

    id: int
    workspace_id: int
    message_id: str
    origin: Origin
    contributor: str
    status: FeedbackStatus
    created_at: str
    question: str
    answer: str
    rating: int | None = None
    reasons: tuple[str, ...] = ()
    comment: str = ""
    correction: str | None = None
    approved_correction: str | None = None
    group: str = ""
    reviewer: str | None = None
    reviewed_at: str | None = None
    same_as: int | None = None
    """The approved feedback that says the same and trains in its place."""
    review_reasons: tuple[str, ...] = ()
    """What was wrong with the reply, as a reviewer sees it; `reasons` are the contributor's."""
    first_reviewer: str | None = None
    """Who said yes before `reviewer`; while it waits for a second one, the only one who did."""
    first_text: str | None = None
    """What that yes was said to; '' for a thumb."""
    first_at: str | None = None
    site: str = ""
    """`key:<id>` of an API or embed key, `site:<name>` of another installation; '': neither."""


@dataclass(frozen=True, slots=True)
class Pair:
    """An approved correction, or a preferred reply, with the inputs its answer had."""

    feedback_id: int
    group: str
    inputs: Inputs
    chosen: str
    rejected: str | None


class Wording(NamedTuple):
    """A pair without its words but for what is asked: what decides which slice it is in."""

    feedback_id: int
    group: str
    question: str
    """Normalised: equal questions are equal texts."""
    first_id: int
    """The oldest feedback with this question, whatever its status: a later one changes nothing."""


@dataclass(frozen=True, slots=True)
class Thumb:
    """An approved thumb on a reply that nobody corrected. `whole`: the reply came to its end."""

    feedback_id: int
    group: str
    inputs: Inputs
    answer: str
    up: bool
    whole: bool


@dataclass(frozen=True)
class Paraphrase:
    """Another wording of a corrected question, written by a person to judge by."""

    id: int
    feedback_id: int
    question: str
    author: str
    created_at: str


@dataclass(frozen=True)
class Override:
    """An approved correction served at once for the same question after the same history."""

    id: int
    workspace_id: int
    feedback_id: int
    question: str
    answer: str
    status: Literal["active", "retired"]


@dataclass(frozen=True)
class Document:
    """A file or a page of a website as ingested."""

    id: int
    workspace_id: int
    name: str
    hash: str
    media_type: str
    chunk_count: int
    created_at: str
    updated_at: str
    source_url: str | None = None
    folder: str | None = None
    """Of a page its scheme and host."""
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class Chunk:
    """A piece of a document; `position` counts from 0."""

    id: int
    document_id: int
    workspace_id: int
    position: int
    heading: str
    text: str
    hash: str

    @property
    def shown(self) -> str:
        """The text under its heading, as in a passage."""
        return f"{self.heading}\n{self.text}" if self.heading else self.text


@dataclass(frozen=True)
class Job:
    """A row for any long work; pages watch it. `progress` is 0.0 to 1.0."""

    id: int
    kind: str
    workspace_id: int | None
    state: WorkState
    progress: float
    note: str
    cancel_requested: bool
    pid: int | None
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    heartbeat_at: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class TuningRound:
    """One run: collect, split, train, evaluate, decide."""

    id: int
    workspace_id: int
    job_id: int
    state: WorkState
    start_adapter_id: int | None
    base_fingerprint: str
    config: dict[str, Any]
    created_at: str
    verdict: Verdict | None = None
    reasons: tuple[str, ...] = ()
    scores: dict[str, Any] = field(default_factory=dict)
    finished_at: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class RoundExample:
    """A row chosen into a round. `pair_hash` identifies its content after an erasure."""

    round_id: int
    kind: ExampleKind
    split: Split
    feedback_id: int | None
    group: str
    pair_hash: str


@dataclass(frozen=True)
class RoundDocument:
    """A document whose passages a round's general questions showed; `document_id` None: removed."""

    round_id: int
    name: str
    document_id: int | None
    rows: int


@dataclass(frozen=True)
class Adapter:
    """What a round made, for one base model. Its folder is `adapters/<id>/`."""

    id: int
    workspace_id: int
    round_id: int | None
    parent_id: int | None
    status: AdapterStatus
    base_fingerprint: str
    method: str
    manifest_hash: str
    metrics: dict[str, Any]
    created_at: str


@dataclass(frozen=True)
class EvaluationRow:
    """One judged answer of a round: `row` says who answered (candidate, serving, base, ...)."""

    round_id: int
    case_id: str
    slice: str
    row: str
    answer: str
    right: bool
