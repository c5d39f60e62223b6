"""Does an exported model say what the adapter says as it serves? The gate's questions decide.

Merging, another number format and another engine each change the last bits of every value. Peers
export without asking, and their users report models that answer unlike what they had trained
(unsloth #976 and #7792, LlamaFactory #6020, llama.cpp #7062).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assistant.answering import ChildAnswerer
from assistant.app import App
from assistant.decoding import decodings
from assistant.lessons import sentinel_cases
from assistant.opponents import answer_tokens
from storage.errors import BadInput, NotFound
from storage.models import BaseModel
from storage.records import Adapter
from storage.workspaces import workspace_by_id
from tuning.bundle import read_bundle
from tuning.checks import judge
from tuning.evaluate import Case

LEAST_SAME_VERDICTS = 0.95
"""Share of the questions that both must have right, or both wrong. Of 73 questions to a 135M base
whose adapter serves over Q4_1, float16 turned one and q8_0 three, the most that this allows."""
LEAST_KEPT = 0.8
"""Share of the round's own questions which the adapter has right that must stay right. An export
that lost the adapter alone keeps the general ones, and with them 86% of those 73 verdicts."""
LEAST_SAME_TOKENS = 0.25
"""Share of the tokens up to where two answers part; measured 0.59 and 0.63. A model that has
everything wrong agrees with any other in its verdicts; other weights part at the first token."""
ENGINES = {"peft": "torch_peft", "merged": "torch_peft", "gguf": "llamacpp"}
"""Who loads an exported form, and so is asked."""


@dataclass(frozen=True)
class Parity:
    """How alike the answers are. Shares are from 0 to 1, over all questions."""

    questions: int
    asked: str
    """Which questions: the round's own with the general ones, or the general ones only."""
    engine: str
    same_verdicts: float
    same_answers: float
    same_tokens: float
    right_served: int
    right_exported: int
    own_right: int
    """Questions of the round, never taught, that the adapter has right as it serves."""
    own_kept: int
    """Those of them that the exported model has right too."""
    least_same_verdicts: float

    @property
    def good(self) -> bool:
        """Whether the exported model may be taken for the adapter."""
        return (
            self.same_verdicts >= self.least_same_verdicts - 1e-9
            and self.own_kept >= LEAST_KEPT * self.own_right - 1e-9
            and self.same_tokens >= LEAST_SAME_TOKENS
        )

    def sentence(self) -> str:
        """The figures in words."""
        return (
            f"Of {self.questions} questions ({self.asked}) the exported model has "
            f"{self.right_exported} right and the adapter as it serves {self.right_served}; they "
            f"agree in {self.same_verdicts:.1%} of the verdicts, in {self.same_answers:.1%} of the "
            f"answers word for word, and in {self.same_tokens:.1%} of the tokens."
        )

    def to_json(self) -> dict[str, Any]:
        """The figures as plain values."""
        return {**asdict(self), "good": self.good}


def ask_both(
    app: App,
    known: Adapter,
    exported: BaseModel,
    *,
    format: str,
    least: float,
    log: Path,
    files: Path | None = None,
    say: Callable[[float, str], None] = lambda share, note: None,
) -> Parity:
    """Asks the adapter as it serves, then the exported model, outside this process.

    `files` is the folder of an adapter that was exported alone: `exported` is then its base.
    Raises AnsweringFailed when either cannot answer.
    """
    cases, asked = questions(app, known)
    prompts = [case.prompt_ids for case in cases]
    with closing(app.db()) as db:
        workspace = workspace_by_id(db, known.workspace_id)
    most = answer_tokens(app, workspace, (one.expected for one in cases))
    decoding = decodings(workspace, cases)

    def told(first: float, note: str) -> Callable[[int], None]:
        return lambda done: say(first + 0.5 * done / len(cases), f"{note}: {done} of {len(cases)}")

    with ChildAnswerer(app.base, app.settings, log) as child:
        served = child.answer(
            prompts,
            adapter=(known.id, app.adapter_folder(known.id)),
            max_tokens=most,
            decoding=decoding,
            on_answer=told(0.0, "asking the adapter"),
        )
    settings = app.settings.model_copy(update={"engine": ENGINES[format]})
    with ChildAnswerer(exported, settings, log, on_cpu=True) as child:
        said = child.answer(
            prompts,
            adapter=(known.id, files) if files else None,
            max_tokens=most,
            decoding=decoding,
            on_answer=told(0.5, "asking the exported model"),
        )
    figures = compare(cases, served, said, app.tokenizer.encode)
    return Parity(
        questions=len(cases),
        asked=asked,
        engine=ENGINES[format],
        least_same_verdicts=least,
        **figures,
    )


def questions(app: App, known: Adapter) -> tuple[list[Case], str]:
    """What the gate asked of the adapter, and which questions those are in words."""
    try:
        bundle = read_bundle(app.datadir.rounds / str(known.round_id) / "bundle")
        return [*bundle.heldout, *bundle.sentinel], "those of its round, and general ones"
    except (NotFound, BadInput):
        with closing(app.db()) as db:
            workspace = workspace_by_id(db, known.workspace_id)
        return sentinel_cases(app, workspace), "general ones only: its round's are not here"


def compare(
    cases: Sequence[Case],
    served: Sequence[str],
    exported: Sequence[str],
    encode: Callable[[str], Sequence[int]],
) -> dict[str, Any]:
    """The figures of `Parity` for two lists of answers to the same cases. Pure but for checks.

    Tokens count as the same up to where two answers part: after that they answer other prompts.
    """
    verdicts = [_verdicts(case, *pair) for case, *pair in zip(cases, served, exported, strict=True)]
    tokens = [_common(encode(one), encode(two)) for one, two in zip(served, exported, strict=True)]
    longest = sum(total for _, total in tokens)
    count = max(len(cases), 1)
    own = [two for case, (one, two) in zip(cases, verdicts, strict=True) if one and _own(case)]
    return {
        "same_verdicts": sum(one == two for one, two in verdicts) / count,
        "same_answers": sum(map(str.__eq__, served, exported)) / count,
        "same_tokens": sum(common for common, _ in tokens) / longest if longest else 1.0,
        "right_served": sum(one for one, _ in verdicts),
        "right_exported": sum(two for _, two in verdicts),
        "own_right": len(own),
        "own_kept": sum(own),
    }


def _own(case: Case) -> bool:
    return case.slice != "sentinel"


def _verdicts(case: Case, *answers: str) -> tuple[bool, bool]:
    check: Mapping[str, Any] = case.check
    one, two = (judge(check, case.expected, answer) for answer in answers)
    return one, two


def _common(one: Sequence[int], two: Sequence[int]) -> tuple[int, int]:
    """Tokens until the two part, and the length of the longer one."""
    most = min(len(one), len(two))
    common = next((place for place in range(most) if one[place] != two[place]), most)
    return common, max(len(one), len(two))
