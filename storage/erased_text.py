"""The words of what is erased: which of them are nobody else's, and where they still stand.

Rows are deleted by their ids. But words travel: into group names, answers that an override gave,
judged answers, release notes, other people's prompts as examples. So the words themselves are
looked for, in every column and in every file, and replaced by a mark with their hash.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from storage.database import rows, write
from storage.feedback_seals import seal
from storage.file_search import count_in_files
from storage.overrides import normalise
from storage.text import clean, to_json

SHORTEST = 10
"""Characters below which words are nobody's own ("Yes, sure"): they go with their rows only."""
WHOLE = 200
"""Characters up to which a text is looked for as a whole; of a longer one, lines of it."""
PIECES = 5
"""Lines of a long text that are looked for, the longest."""
SOUGHT = 80
"""Texts at most that files are searched for."""
_TELLING = re.compile(r"(?=[\w@.+-]*[\d@])\w[\w@.+-]{6,}\w")
_DATE = re.compile(r"[\d:.+-]*\d{4}-\d\d-\d\d[\dTZ:.+-]*|\d{1,8}|[\d.]+")
"""Dates and plain figures, which stand in many places that have nothing to do with a person."""
_TECHNICAL = re.compile(r"(.*_)?(at|id|ids|hash|fingerprint)|state|status|process")
"""Columns without words."""
_KEPT = ("audit", "erasures", "chunks", "documents", "_sqlite_migrations")
"""Tables left as they are: audit and erasures hold no words, the others those of documents."""

_PEOPLE = (
    "select content from messages where role != 'assistant'",
    "select correction from feedback",
    "select approved_correction from feedback",
    "select text from first_yeses",
    "select comment from feedback",
    "select reasons from feedback",
    "select question from paraphrases",
    "select text from chunks",
    "select text from attachment_chunks",
    "select name from attachments",
    "select text from instructions_versions",
    "select name from workspaces",
    # a word of the schema is one that a column may have to hold ("not enough evidence")
    "select sql from sqlite_schema",
)
_MACHINE = (
    "select content from messages where role = 'assistant'",
    "select answer from evaluations",
)

Encode = Callable[[str], Sequence[int]]


def mark(text: str) -> str:
    """What stands where `text` stood; who has the text can show that it was this one."""
    return f"[erased:{digest(text)[:16]}]"


def digest(text: str) -> str:
    """sha256 of the text, in hex."""
    return hashlib.sha256(clean(text).encode()).hexdigest()


def pieces(texts: Iterable[str]) -> list[str]:
    """What to look for: the texts, lines of long ones, and each as a question is normalised.

    And single words that tell somebody apart: addresses and numbers with eight characters or more.
    The longest first, each once; of the rest none shorter than SHORTEST.
    """
    found: dict[str, None] = {}
    telling: set[str] = set()
    for text in texts:
        telling |= {word for word in _TELLING.findall(text) if not _DATE.fullmatch(word)}
        lines = [text] if len(text) <= WHOLE else [text, *_longest_lines(text)]
        for line in lines:
            same = normalise(line)
            for one in (line.strip(), " ".join(line.split()), same, same[:WHOLE]):
                found[one] = None
    long = {one for one in found if len(one) >= SHORTEST}
    return sorted(long | telling, key=lambda one: (-len(one), one))


def own_words(db: Database, texts: Sequence[str], *, machine_made: bool = False) -> list[str]:
    """Those of `texts` that nobody else has said and no document holds, once the rows are gone.

    What two people wrote in the same words stays with the other one; what the assistant says by
    itself (`machine_made`) stays where it said it to somebody else too. Compared as normalised,
    so that a capital letter makes no difference.
    """
    unsaid = {text: normalise(text) for text in texts}
    for said in _said_by_others(db, _PEOPLE + _MACHINE if machine_made else _PEOPLE):
        unsaid = {text: same for text, same in unsaid.items() if same not in said}
    return list(unsaid)


def _said_by_others(db: Database, sources: Sequence[str]) -> Iterator[str]:
    """What everybody wrote, normalised, a thousand texts at a time."""
    held: list[str] = []
    for sql in sources:
        for row in db.conn.execute(sql):
            held.append(normalise(row[0] or ""))
            if len(held) == 1000:
                yield "\n".join(held)
                held = []
    yield "\n".join(held)


def rewrite(db: Database, texts: Sequence[str]) -> int:
    """Replace `texts` by their marks in every text column; returns how many values changed.

    A reply whose stored inputs change loses its sent token ids: they are the same words.
    """
    changed = 0
    for table in _tables(db):
        keys = db.table(table).pks
        for column in db.table(table).columns:
            if column.type != "TEXT" or _TECHNICAL.fullmatch(column.name):
                continue
            if column.name not in keys:
                changed += _rewrite_column(db, table, column.name, keys, texts)
    return changed


def _tables(db: Database) -> list[str]:
    found = rows(
        db,
        """select name from pragma_table_list
        where schema = 'main' and type = 'table' and name not like 'sqlite%'""",
    )
    return sorted(row["name"] for row in found if row["name"] not in _KEPT)


def _rewrite_column(
    db: Database, table: str, column: str, keys: Sequence[str], texts: Sequence[str]
) -> int:
    where = " and ".join(f'"{key}" = ?' for key in keys)
    names = ", ".join(f'"{key}"' for key in keys)
    touched: dict[tuple[Any, ...], str] = {}
    for text in texts:
        for form in _forms(text):
            sql = f'select {names}, "{column}" from "{table}" where instr("{column}", ?)'
            for row in db.conn.execute(sql, (form,)).fetchall():
                touched[tuple(row[:-1])] = row[-1]
    for key, value in touched.items():
        write(db, f'update "{table}" set "{column}" = ? where {where}', without(value, texts), *key)
        if (table, column) == ("messages", "inputs"):
            write(db, "update messages set sent_ids = null where id = ?", *key)
        if table == "feedback":
            seal(db, int(key[0]))
    return len(touched)


def without(value: str, texts: Sequence[str]) -> str:
    """`value` with marks instead of `texts`; in JSON only its strings are touched."""
    if value[:1] in ("{", "["):
        try:
            return to_json(_replaced(json.loads(value), texts))
        except ValueError:
            pass
    return str(_replaced(value, texts))


def _replaced(value: Any, texts: Sequence[str]) -> Any:
    if isinstance(value, str):
        for text in texts:
            if text in value:
                value = value.replace(text, mark(text))
        return value
    if isinstance(value, list):
        return [_replaced(item, texts) for item in value]
    if isinstance(value, dict):
        return {_replaced(key, texts): _replaced(item, texts) for key, item in value.items()}
    return value


def _forms(text: str) -> set[str]:
    """The text as it is and as JSON writes it, with and without other scripts escaped."""
    return {
        text,
        json.dumps(text, ensure_ascii=False)[1:-1],
        json.dumps(text, ensure_ascii=True)[1:-1],
    }


def find_in_files(
    root: Path, texts: Sequence[str], *, skip: Sequence[Path] = (), encode: Encode | None = None
) -> dict[str, int]:
    """The files under `root` that hold one of `texts`, with how many of them; `skip` is left out.

    Bytes are compared, whatever a file is: UTF-8, JSON's escapes, and, given the tokenizer's
    `encode`, the token ids written as a JSON list.
    """
    return count_in_files(root, [_byte_forms(text, encode) for text in chosen(texts)], skip)


def chosen(texts: Sequence[str]) -> list[str]:
    """At most SOUGHT of the texts: the longest, and half of the places for single words."""
    words = [text for text in texts if " " not in text]
    others = [text for text in texts if " " in text]
    kept = others[: max(SOUGHT // 2, SOUGHT - len(words))]
    return kept + words[: SOUGHT - len(kept)]


def _byte_forms(text: str, encode: Encode | None) -> set[bytes]:
    forms = {form.encode() for form in _forms(text)}
    # the first and the last token may merge with what stands beside them
    ids = [str(number) for number in encode(text)[1:-1]] if encode else []
    if len(ids) >= 6:
        forms |= {glue.join(ids).encode() for glue in (",", ", ")}
    return forms


def _longest_lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    pieces = [line[start : start + WHOLE] for line in lines for start in range(0, len(line), WHOLE)]
    return sorted(pieces, key=len, reverse=True)[:PIECES]
