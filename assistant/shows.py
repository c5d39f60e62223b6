"""What the results of each verb look like to a person."""

from assistant.printing import Row, Show, as_json, fields, plain, table
from assistant.website import COUNTED

DONE = Show(text=fields)


def _line(template: str) -> Show:
    """Each result as one line made from its values."""
    return Show(text=lambda row: template.format(**row))


def _ingested(row: Row) -> str:
    if "site" in row:
        counts = ", ".join(f"{row[name]} {name}" for name in COUNTED if row[name]) or "nothing"
        left = f"; {row['unvisited']} addresses were not visited" if row["unvisited"] else ""
        return f"{row['site']}: {counts}{left}."
    if row.get("error"):
        return f"{row['status']:<10} {row['document']}: {row['error']}"
    return f"{row['status']:<10} {row['document']} ({row['chunks']} chunks)"


def _answer(row: Row) -> str:
    """One answer of a batch, under its question."""
    said = row.get("answer", f"(no answer: {row.get('error')})")
    below = _below(row) if "answer" in row else ""
    return f"> {row['question']}\n{said}\n{below}"


def _below(row: Row) -> str:
    """Sources and notices, as they stand under a reply: those that it rests on, or else all."""
    rests = any(source["used"] for source in row["sources"])
    lines = ["  (no sentence was found in these passages)"] * bool(row["sources"] and not rests)
    lines += [
        f"  [{number}] {source['document']}: {_short(source['text'])}"
        for number, source in enumerate(row["sources"], start=1)
        if source["used"] or not rests
    ]
    return "\n".join(lines + [f"  ({notice})" for notice in row["notices"]])


def _new_key(row: Row) -> str:
    again = "" if row["kind"] == "embed" else " It is shown only this once."
    return f"{row['key']}\nThis is the key {row['name']}.{again}"


def _passage(row: Row) -> str:
    return f"{row['score']:.4f}  {row['document']}  #{row['chunk_id']}\n    {_short(row['text'])}"


def _chunk(row: Row) -> str:
    """A passage of a document, under its heading."""
    return f"#{row['id']}  {plain(row['heading'])}\n{plain(row['text'])}\n"


def _short(text: str) -> str:
    text = " ".join(plain(text).split())
    return text if len(text) <= 160 else text[:157] + "..."


def _stale(row: Row) -> str:
    """A stale correction, with what its document says now."""
    where = f"{row['document']} {'is gone' if row['removed'] else 'has changed'}"
    return (
        f"#{row['feedback']} {_short(row['question'])}\n  taught: {_short(row['correction'] or '')}"
        f"\n  {where}:\n    {plain(row['diff'])}"
    )


def _topic(row: Row) -> str:
    """Questions of one kind that were not answered well."""
    why = ", ".join(f"{row[name]} {name}" for name in ("declined", "disliked") if row[name])
    first, *others = map(_short, row["questions"])
    said = f"{row['asked']}x {first}{f' ({why})' if why else ''}"
    return "\n    ".join([said, *others])


def _round(row: Row) -> str:
    """The end of a round: verdict first, then why, then the numbers."""
    if "verdict" not in row:
        return fields(row)
    if "error" in row:
        return f"round {row['round']} has no verdict: {row['error']}"
    changes = [f"  - {change}" for change in row.get("changes", [])]
    lines = [*_judged(row), *["what changed:"] * bool(changes), *changes]
    rest = {key: row[key] for key in ("adapter", "pairs", "sentinel", "seconds", "peak_rss_bytes")}
    return "\n".join([*lines, *_measured(row["scores"]), fields(rest)])


def _round_shown(row: Row) -> str:
    """A round from the record: how it ended and why, who had how many right, then the rest."""
    found = dict(row["scores"])
    said = [*_judged(row), *_measured(found.pop("scores", {}))]
    rest = {
        name: value for name, value in row.items() if name not in ("verdict", "reasons", "notes")
    }
    return "\n".join([*said, fields({**rest, "scores": found})])


def _imported(row: Row) -> str:
    """What the gate said of an imported adapter, and what a person can do now."""
    said = "\n".join(f"  - {one}" for one in row["reasons"])
    reason = "" if row["verdict"] == "promote" else " --reason TEXT"
    return (
        f"Adapter {row['adapter']} is here. The gate said {row['verdict']}:\n{said}\n"
        f"`apprentice adapters promote {row['adapter']}{reason}` lets it serve."
    )


def _judged(row: Row) -> list[str]:
    """The verdict with its reasons, a line each."""
    head = row["verdict"] or row.get("state") or "no verdict"
    said = [*row["reasons"], *row.get("notes", [])]
    return [f"round {row['round']}: {head}", *(f"  - {one}" for one in said)]


def _measured(scores: Row) -> list[str]:
    """Who had how many right of what, a line each."""
    measured = {name: had for name, had in scores.items() if had}
    slices = list(dict.fromkeys(name for had in measured.values() for name in had))
    lines = [
        {"right": row.replace("_", " ")}
        | {name: f"{count['right']} of {count['total']}" for name, count in had.items()}
        for row, had in measured.items()
    ]
    return [table(lines, ("right", *slices))] if lines else []


def _approved(row: Row) -> str:
    if row["status"] != "approved":
        return f"Feedback {row['feedback']} has a first yes and waits for a second reviewer."
    follows = "it answers at once" if row["answers"] else "the next round may learn from the thumb"
    return f"Feedback {row['feedback']} is approved; {follows}."


def _style(row: Row) -> str:
    lines = [f"{row['imported']} texts taken in ({row['from']}), {row['approved']} approved."]
    if row["to_review"]:
        lines.append(
            f"{row['to_review']} wait for a review of their request: `apprentice feedback list "
            "--status new`, then `apprentice feedback approve ID`."
        )
    return "\n".join(lines)


def _exported(row: Row) -> str:
    if row["folder"] is None:
        return (
            f"Adapter {row['adapter']} was not exported: what was written is not the same.\n"
            f"{row['said']}\n"
            "--anyway REASON keeps it."
        )
    return f"Adapter {row['adapter']} is in {row['folder']}.\n{row['said']}"


def _rebased(row: Row) -> str:
    if "said" in row:
        return str(row["said"])
    lines = [f"{row['workspace']}: round {row['round']}: {row['verdict']}"]
    return "\n".join([*lines, *(f"  - {reason}" for reason in row["reasons"])])


def _check(row: Row) -> str:
    line = f"{row['state']:<5} {row['check']}: {row['detail']}"
    return f"{line}\n      {row['remedy']}" if row["remedy"] else line


def _scores(row: Row) -> str:
    if "check" not in row:
        return fields(row)
    return (
        f"{row['check']:<10} {row['right']} of {row['cases']} right "
        f"({row['score']:.0%}, 95% between {row['low']:.0%} and {row['high']:.0%})"
    )


def _erased(row: Row) -> str:
    """A certificate, or a request that waits."""
    if "text" in row:
        return f"{row['text']}\nThis certificate is kept in {row['file']}."
    if row["state"] == "pending":
        what = f"{row['kind']} {row['subject']}, asked by {row['requester']}, {row['created_at']}"
        return f"request {row['id']}: {what}"
    return f"Request {row['id']} is {row['state']}."


def _moved(row: Row) -> str:
    if row["state"] == "cancelled":
        return f"The move of {row['workspace']} is called off: the cell {row['to']} has it."
    said = (
        f"{row['workspace']} is in the cell {row['to']}, with {row['rows']} rows as they were in "
        f"{row['from']}; it stood still for {row['still_ms']} ms."
    )
    return "\n".join(filter(None, (said, row["trouble"])))


def _backup(row: Row) -> str:
    if "found" in row:
        said = {"deleted": "deleted", "gone": "was gone already"}
        left = "another file lies there now; it was left alone"
        return f"{row['file']}: {said.get(row['found'], left)}"
    return f"{row['file']} holds everything ({row['size']:,} bytes), verified."


SHOWS: dict[str, Show] = {
    "workspaces list": Show(columns=("name", "access", "instructions", "documents", "serving")),
    "workspaces show": Show(),
    "workspaces create": DONE,
    "workspaces set": DONE,
    "workspaces delete": _line("The workspace {workspace} is deleted."),
    "users list": Show(
        columns=("name", "role", "workspaces"),
        empty="There is no user yet: `apprentice users create NAME --role admin` makes one.",
    ),
    "users create": DONE,
    "users set": DONE,
    "users delete": _line("The user {user} is deleted."),
    "keys create": Show(text=_new_key),
    "keys list": Show(
        columns=("name", "kind", "shown", "workspace", "scopes", "last_used_at", "state"),
        empty="There is no key yet: `apprentice keys create NAME` makes one.",
    ),
    "keys revoke": _line("The key {name} is revoked."),
    "ingest": Show(text=_ingested),
    "documents list": Show(
        columns=("name", "media_type", "chunks", "updated_at"),
        empty="There is no document yet: `apprentice ingest PATH` takes some in.",
    ),
    "documents show": Show(text=_chunk),
    "documents remove": _line("{document} is removed ({chunks} chunks)."),
    "documents reindex": _line("The index holds {chunks} chunks again."),
    "search": Show(text=_passage, array=True),
    "ask": Show(text=_answer, after=_below),
    "feedback import": DONE,
    "feedback list": Show(
        columns=(
            *("id", "status", "rating", "question", "answer", "correction", "contributor"),
            "flags",
        ),
        empty="There is no such feedback.",
    ),
    "feedback show": DONE,
    "feedback approve": Show(text=_approved),
    "feedback stale": Show(text=_stale),
    "feedback gaps": Show(text=_topic, empty="No question is open."),
    "feedback set": Show(
        text=lambda row: f"#{row['feedback']}: {', '.join(row['review_reasons']) or 'no reason'}."
    ),
    "feedback keep": _line("Feedback {feedback} is kept as it is."),
    "feedback reject": _line("Feedback {feedback} is rejected."),
    "feedback retract": _line("Your yes to feedback {feedback} is taken back."),
    "feedback sites": Show(
        columns=("name", "site", "new", "quarantined", "approved", "rejected"),
        empty="No feedback came by a key or from another installation.",
    ),
    "feedback unmask": _line("Feedback {feedback} {said}."),
    "feedback paraphrase": _line("Paraphrase {paraphrase} of feedback {feedback}: {status}."),
    "feedback paraphrases": Show(
        columns=("paraphrase", "feedback", "question", "author", "created_at"),
        empty="There is no paraphrase: `apprentice feedback paraphrase ID QUESTION` adds one.",
    ),
    # JSON lines for a person too: they are made to be piped into a file.
    "feedback verdicts": DONE,
    "feedback export": Show(text=lambda row: fields(row) if "file" in row else as_json(row)),
    "style import": Show(text=_style),
    "overrides list": Show(
        columns=("id", "question", "answer", "feedback_id", "answers"),
        empty="There is no override.",
    ),
    "overrides retire": _line("Override {override} is retired."),
    "tune": Show(text=_round),
    "rounds list": Show(
        columns=("round", "state", "done", "verdict", "start", "created_at"),
        empty="There is no round yet: `apprentice tune` runs one.",
    ),
    "rounds show": Show(text=_round_shown),
    "rounds cancel": _line("Round {round} stops at its next step."),
    "rounds import": Show(text=_round),
    "rounds blame": Show(text=_round),
    "rounds resume": Show(text=_round),
    "rounds export": _line("The bundle of round {round} is in {folder}."),
    "adapters list": Show(
        columns=("id", "status", "method", "round_id", "created_at"),
        empty="There is no adapter yet: the base model serves.",
    ),
    "adapters show": DONE,
    "adapters compare": Show(
        columns=("question", "left", "left_right", "right", "right_right"),
        empty="No question judged them both.",
    ),
    "adapters promote": _line("Adapter {adapter} serves."),
    "adapters rollback": _line("Now serving in {workspace}: {serving}."),
    "adapters sign": _line("Adapter {adapter} is verified and signed."),
    "adapters delete": _line("Adapter {adapter} is deleted."),
    "adapters import": Show(text=_imported),
    "adapters push": _line("Adapter {adapter} is at {place}."),
    "adapters export": Show(text=_exported),
    "conversations list": Show(
        columns=("id", "title", "created_at"), empty="There is no such conversation."
    ),
    "conversations show": Show(text=lambda row: plain(row["text"])),
    "conversations rename": _line("The conversation {id} is now called {title!r}."),
    "conversations choose": _line("{conversation} goes on with {chosen}."),
    "jobs list": Show(
        columns=("job", "kind", "state", "done", "note", "created_at"),
        empty="There was no long work yet.",
    ),
    "jobs cancel": _line("Job {job} stops at its next step."),
    "rebase": Show(text=_rebased),
    "evaluate": Show(text=_scores),
    "lineage": Show(
        columns=(
            *("round", "kind", "split", "feedback", "erased", "question", "taught", "rating"),
            *("documents", "pair_hash"),
        ),
        empty="This adapter learned from nothing on record.",
    ),
    "erase": Show(text=_erased),
    "overview": DONE,
    "plot": _line("The plot {plot} is in {file}."),
    "audit list": Show(
        columns=("id", "at", "actor", "action", "subject", "detail"),
        empty="Nobody did such a thing.",
    ),
    "audit verify": _line("The audit: {said}."),
    "backup": Show(text=_backup),
    "restore": Show(text=fields),
    "doctor": Show(text=_check),
    "cells add": _line("{cell} is a cell: {data} at {address}. `apprentice serve --cell {cell}`."),
    "cells list": Show(
        columns=("cell", "address", "data", "workspaces", "moving"), empty="There is no cell."
    ),
    "cells config": Show(text=lambda row: row["config"] or f"Written to {row['file']}."),
    "cells move": Show(text=_moved),
    "space check": Show(text=_check),
    "space build": _line(
        "The Space is in {folder}: {files} files, {bytes} bytes, {requirements} requirements. Its "
        "README.md says what to set; upload it with `hf upload NAME/SPACE {folder} --repo-type "
        "space`."
    ),
}
