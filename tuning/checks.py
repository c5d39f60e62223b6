"""Is an answer right? A check is a small dict, `{"type": "sql", "database": "shop.sqlite"}`.

| type | right when |
|---|---|
| `exact` | the texts are equal but for white space at the ends and its amount within |
| `json` | both parse as JSON and are equal; with `"keys": true` only the keys must be |
| `sql` | both run on the read-only SQLite file `database` and give the same rows |
| `regex` | `pattern` (or the expected text) is found in the answer |
| `contains` | the expected text, or each of `all`, or one of `any`, stands in the answer as words |
"""

import json
import re
import sqlite3
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from storage.errors import BadInput

SQL_SECONDS = 5.0
"""A query that runs longer is wrong."""
SQL_ROWS = 10_000
"""A query that returns more rows is wrong."""
LONGEST_ANSWER = 20_000
"""Characters of an answer that are looked at; a pattern on more could take minutes."""

_SQL_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION}
_SQL_ALLOWED |= {sqlite3.SQLITE_RECURSIVE}
_FENCE = re.compile(r"\A```[\w-]*[ \t]*\n(.*?)\n?```\Z", re.DOTALL)


def judge(check: Mapping[str, Any], expected: str, answer: str) -> bool:
    """Whether `answer` is right by `check`.

    A bad answer is False, never an error. Raises BadInput when the check or the expected text
    itself cannot be used (unknown type, missing database, expected SQL that does not run).
    """
    kind = check.get("type", "exact")
    if kind not in _CHECKS:
        raise BadInput(f"There is no check {kind!r}; there are {', '.join(_CHECKS)}.")
    return _CHECKS[kind](check, expected, answer[:LONGEST_ANSWER])


def _exact(check: Mapping[str, Any], expected: str, answer: str) -> bool:
    return " ".join(expected.split()) == " ".join(answer.split())


def _contains(check: Mapping[str, Any], expected: str, answer: str) -> bool:
    wanted = list(check.get("all", ())) or ([] if "any" in check else [expected])
    alternatives = list(check.get("any", ()))
    plain = _plain(answer)
    found = [_has_words(plain, text) for text in alternatives]
    return all(_has_words(plain, text) for text in wanted) and (not found or any(found))


def _has_words(plain: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(_plain(text))}(?!\w)", plain) is not None


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _regex(check: Mapping[str, Any], expected: str, answer: str) -> bool:
    pattern = check.get("pattern", expected)
    try:
        return re.search(pattern, answer) is not None
    except re.error as error:
        raise BadInput(f"The pattern {pattern!r} is no regular expression: {error}.") from None


def _json(check: Mapping[str, Any], expected: str, answer: str) -> bool:
    try:
        wanted = _parse(expected)
    except ValueError as error:
        raise BadInput(f"The expected text {expected[:80]!r} is not JSON: {error}.") from None
    try:
        given = _parse(answer)
    except (ValueError, RecursionError):
        return False
    if check.get("keys"):
        return _shape(wanted) == _shape(given)
    return _typed(wanted) == _typed(given)


def _parse(text: str) -> Any:
    """JSON as the standard has it: no NaN, and no key twice in one object."""
    return json.loads(_bare(text), parse_constant=_no_constant, object_pairs_hook=_no_twice)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _no_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) != len(dict(pairs)):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _typed(value: Any) -> Any:
    """The value with true told from 1 (Python's == does not)."""
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    return (isinstance(value, bool), value)


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items()}
    return "list" if isinstance(value, list) else "value"


def _bare(text: str) -> str:
    """The text without white space at the ends and without a Markdown fence around all of it."""
    found = _FENCE.match(text.strip())
    return (found.group(1) if found else text).strip()


def _sql(check: Mapping[str, Any], expected: str, answer: str) -> bool:
    path = Path(str(check.get("database", "")))
    if not path.is_file():
        raise BadInput(f"The check's database {str(path)!r} is not a file; name an SQLite file.")
    try:
        wanted = _run(path, _bare(expected))
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        raise BadInput(f"The expected SQL {expected[:80]!r} does not run: {error}.") from None
    try:
        given = _run(path, _bare(answer))
    except (sqlite3.Error, sqlite3.Warning, ValueError):
        return False
    if not wanted:  # any wrong query may find nothing too, so nothing proves nothing
        return not given and _sql_text(expected) == _sql_text(answer)
    if re.search(r"\border\s+by\b", expected, re.IGNORECASE):
        return wanted == given
    return Counter(wanted) == Counter(given)


def _run(path: Path, query: str) -> list[tuple[Any, ...]]:
    """The rows of one SELECT, floats rounded; nothing but reading is allowed."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        connection.set_authorizer(_authorize)
        deadline = time.monotonic() + SQL_SECONDS
        connection.set_progress_handler(lambda: int(time.monotonic() > deadline), 1000)
        rows = connection.execute(query).fetchmany(SQL_ROWS + 1)
    finally:
        connection.close()
    if len(rows) > SQL_ROWS:
        raise ValueError(f"more than {SQL_ROWS} rows")
    return [tuple(_rounded(value) for value in row) for row in rows]


def _authorize(action: int, *names: str | None) -> int:
    # load_extension is a function, so allowing functions must not allow it
    if action not in _SQL_ALLOWED or "load_extension" in names:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _rounded(value: Any) -> Any:
    """A sum may differ in its last bits by the order of its rows."""
    return float(f"{value:.9g}") if isinstance(value, float) else value


def _sql_text(query: str) -> str:
    return " ".join(_bare(query).rstrip("; \n").split()).casefold()


_CHECKS: dict[str, Callable[[Mapping[str, Any], str, str], bool]] = {
    "exact": _exact,
    "json": _json,
    "sql": _sql,
    "regex": _regex,
    "contains": _contains,
}
