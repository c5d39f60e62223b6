"""A round under way, seen from outside: its progress, and the opponents that answer for it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from assistant.answering import ChildAnswerer
from assistant.app import App
from assistant.decoding import decodings
from assistant.likeliest import Approved, Weighing, as_ids, weighing
from assistant.proving import probe_prompts
from storage import adapters, jobs, rounds
from storage.records import TuningRound, Workspace
from storage.workspaces import workspace_by_id
from tuning.bundle import Bundle
from tuning.evaluate import Answer, Case, count_answers

CANDIDATE = 0
"""The evaluation's name for the adapter under judgement; adapters that serve count from 1."""
FORMER = -1
"""And for what serves now on another base model than the round's."""
ANSWER_TOKENS = 128
"""Tokens of an evaluated answer at most, where no longer one is wanted."""

Prove = Callable[[], dict[str, Any] | None]
OnProgress = Callable[[float, str], None]


class Watch:
    """Writes a round's progress into its job row, and reads there whether to stop.

    Shares of the whole: replay answers to 3%, other wordings to 5%, training to 75%, evaluation to
    the end.
    """

    def __init__(self, db: Database, queued: TuningRound, on_progress: OnProgress) -> None:
        self._db, self._round, self._on_progress = db, queued, on_progress

    @property
    def round_id(self) -> int:
        """Which round it is."""
        return self._round.id

    def cancelled(self) -> bool:
        """Whether somebody asked the round to stop."""
        return jobs.job(self._db, self._round.job_id).cancel_requested

    def say(self, share: float, note: str) -> None:
        """How far the whole round is, from 0.0 to 1.0."""
        jobs.beat(self._db, self._round.job_id, share, note)
        self._on_progress(share, note)

    def training(self, said: Mapping[str, Any]) -> None:
        """One step of the training, as `tuning.train` tells it, or a note of what else goes on."""
        if "note" in said:
            now = jobs.job(self._db, self._round.job_id)
            self.say(now.progress, said["note"])
        if "step" not in said:
            return
        for name in ("loss", "learning_rate", "learned"):
            if name in said:
                rounds.add_metric(self._db, self._round.id, said["step"], name, said[name])
        left = said.get("seconds_left")
        more = f", about {max(1, round(left / 60))} min left" if left else ""
        note = f"training: step {said['step']}, loss {said['loss']:.3f}"
        if "learned" in said:
            note += f", {said['learned']} of {said['pairs']} pairs learned"
        self.say(0.05 + 0.7 * min(1.0, said.get("done", said["step"] / said["steps"])), note + more)


@contextmanager
def opponents(
    app: App, db: Database, queued: TuningRound, bundle: Bundle, watch: Watch
) -> Iterator[tuple[Mapping[str, int | None], Answer, Prove]]:
    """Who is asked in this round's evaluation, and who answers for them: `run_round`'s arguments.

    The third asks the engine that answers what it says by the candidate, to prove it by later.

    The candidate lies in the round's folder, in `out/adapter`. What serves on another base than
    the round's is asked there, with the same messages in that base's own tokens.
    """
    serving = adapters.serving_adapter(db, queued.workspace_id)
    rows = opposing_rows(serving.id if serving else None, bundle.heldout)
    folder = app.datadir.rounds / str(queued.id)
    total = count_answers((*bundle.heldout, *bundle.sentinel), rows)
    workspace = workspace_by_id(db, queued.workspace_id)
    how = weighing(app, workspace)
    most = answer_tokens(app, workspace, (one.expected for one in bundle.heldout))
    with Opponents(app, workspace, folder, watch, total, how, most) as answering:
        if app.former is None or serving is None:
            yield rows, answering.answer, answering.prove
            return
        log_file = folder / "former.log"
        with Former(app.former, workspace, serving.id, log_file, watch, how, most) as former:
            yield (
                {**_with_examples(rows), "serving": FORMER},
                lambda cases, adapter_id: (
                    former.answer(cases)
                    if adapter_id == FORMER
                    else answering.answer(cases, adapter_id)
                ),
                answering.prove,
            )


def _with_examples(rows: Mapping[str, int | None]) -> dict[str, int | None]:
    """Without the row of what serves without examples: its prompts are in the new base's tokens."""
    return {row: adapter_id for row, adapter_id in rows.items() if row != "serving_alone"}


class Former:
    """Answers by an adapter on the base that it was taught on, while another base is tried."""

    def __init__(
        self,
        app: App,
        workspace: Workspace,
        adapter_id: int,
        log_file: Path,
        watch: Watch,
        how: Weighing,
        most: int,
    ) -> None:
        self._app, self._watch, self._how, self._most = app, watch, how, most
        self._workspace = workspace
        self._adapter = (adapter_id, app.adapter_folder(adapter_id))
        self._child = ChildAnswerer(app.base, app.settings, log_file, at_once=1)

    def __enter__(self) -> "Former":
        self._child.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._child.__exit__()

    def answer(self, cases: list[Case]) -> list[str]:
        """One answer per case, its messages rendered as that base reads them."""
        return self._child.answer(
            [self._app.tokenizer.render(list(case.messages)) for case in cases],
            adapter=self._adapter,
            max_tokens=self._most,
            how=self._how,
            approved=_approved(self._app, cases),
            decoding=decodings(self._workspace, cases),
            cancelled=self._watch.cancelled,
        )


def answer_tokens(app: App, workspace: Workspace, wanted: Iterable[str]) -> int:
    """Tokens of an evaluated answer at most: room for the longest that is wanted and served."""
    longest = max((len(app.tokenizer.completion_ids(text)) for text in wanted), default=0)
    return max(ANSWER_TOKENS, min(longest, workspace.settings.max_tokens))


def opposing_rows(serving_id: int | None, cases: Sequence[Case]) -> dict[str, int | None]:
    """Every row with its adapter; without examples too where the prompts as served have some."""
    rows: dict[str, int | None] = {"candidate": CANDIDATE, "serving": serving_id, "base": None}
    if any(case.few_shot_ids for case in cases):
        rows["few_shot"] = None
    if any(case.bare_ids for case in cases):
        rows |= {"candidate_alone": CANDIDATE, "serving_alone": serving_id, "base_alone": None}
    return rows


class Opponents:
    """Answers for the evaluation by each opponent, from a child that starts when first asked."""

    def __init__(
        self,
        app: App,
        workspace: Workspace,
        folder: Path,
        watch: Watch,
        total: int,
        how: Weighing,
        most: int,
    ) -> None:
        self._app, self._workspace, self._folder, self._watch = app, workspace, folder, watch
        self._how, self._most = how, most
        self._total, self._done = max(total, 1), 0
        self._child: ChildAnswerer | None = None

    def __enter__(self) -> "Opponents":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._child is not None:
            self._child.__exit__()

    def answer(self, cases: list[Case], adapter_id: int | None) -> list[str]:
        """One answer per case by this adapter (None: the base), as service would give it."""
        child = self._started()
        done_before = self._done

        def told(done: int) -> None:
            self._done = done_before + done
            total = max(self._total, self._done)  # what was learned is asked after the verdict
            share = 0.75 + 0.25 * self._done / total
            self._watch.say(share, f"evaluating: {self._done} of {total} answers")

        return child.answer(
            [case.prompt_ids for case in cases],
            adapter=None if adapter_id is None else (adapter_id, self._folder_of(adapter_id)),
            max_tokens=self._most,
            how=self._how,
            approved=_approved(self._app, cases),
            decoding=decodings(self._workspace, cases),
            on_answer=told,
            cancelled=self._watch.cancelled,
        )

    def prove(self) -> dict[str, Any] | None:
        """What the engine says by the candidate; None when it tells no probabilities."""
        prompts = probe_prompts(self._app, self._workspace.instructions)
        return self._started().probe(prompts, (CANDIDATE, self._folder_of(CANDIDATE)))

    def _started(self) -> ChildAnswerer:
        if self._child is None:
            log_file = self._folder / "answers.log"
            # One at a time: how many rows share a computation changes the last bits of its sums,
            # and now and then the likeliest token. So the same bundle is evaluated the same.
            self._child = ChildAnswerer(
                self._app.base, self._app.settings, log_file, at_once=1
            ).__enter__()
        return self._child

    def _folder_of(self, adapter_id: int) -> Path:
        if adapter_id == CANDIDATE:
            return self._folder / "out" / "adapter"
        return self._app.adapter_folder(adapter_id)


def _approved(app: App, cases: Sequence[Case]) -> list[Approved]:
    """Of each case the answers that are weighed, in this base's tokens."""
    return [as_ids(app, case.approved) for case in cases]
