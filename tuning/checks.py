"""Is an answer right? A check is a small dict, `{"type": "sql", "database": "shop.sqlite"}`.

| type | right when | a correction's own fault |
|---|---|---|
| `exact` | the texts are equal but for white space at the ends and its amount within | none |
| `json` | both parse as JSON and are equal, and the answer fits `schema` if there is one; with
  `"keys": true` only the keys must be equal | no JSON, or not by the schema |
| `sql` | both run on the read-only SQLite file `database` and give the same rows | not one SELECT
  that runs there |
| `regex` | `pattern` (or the expected text) is found in the answer | it is not found in it |
| `contains` | the expected text, or each of `all`, or one of `any`, stands in the answer as words |
  they do not stand in it |
| `style` | it is as like the author's other texts as most of those are; made by the round itself,
  see `tuning.style` | none |
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import regex

from storage.errors import BadInput
from tuning.json_check import bare, parse, schema_fault, shape, typed, value_fault
from tuning.patterns import PatternTooSlow, find, pattern_fault
from tuning.sql_check import QueryFailed, looks_like_sql, query_fault, run_query
from tuning.style import likeness

LONGEST_ANSWER = 20_000
"""Characters of an answer that are looked at."""

Check = Mapping[str, Any]
EXACT: Check = {"type": "exact"}


def judge(check: Check, expected: str, answer: str) -> bool:
    """Whether `answer` is right by `check`.

    A bad answer is False, never an error. Raises BadInput when the check or the expected text
    itself cannot be used (unknown type, missing database, expected SQL that does not run).
    """
    return _CHECKS[_kind(check)](check, expected, answer[:LONGEST_ANSWER])


def fault(check: Check, text: str) -> str | None:
    """Why `text` cannot be taught under its own check, in words; None when it can.

    Raises BadInput when the check itself cannot be used.
    """
    kind = _kind(check)
    if kind == "sql":
        return query_fault(_database(check), bare(text))
    if kind == "json":
        return _json_fault(check, text)
    if kind == "regex" and "pattern" in check:
        found = judge(check, text, text)
        return None if found else f"the pattern {check['pattern']!r} is not found in it"
    if kind == "contains" and ("all" in check or "any" in check):
        wanted = ", ".join(map(repr, [*check.get("all", ()), *check.get("any", ())]))
        return None if judge(check, text, text) else f"it does not contain what it must ({wanted})"
    return None


def check_for(expected: str, checks: Sequence[Check]) -> Check:
    """The first declared check that applies to this text; exact text otherwise.

    `sql` applies to an SQL statement, `json` to an object or a list; a check with `match` applies
    where that word occurs in the expected text.
    """
    return next((check for check in checks if _applies(check, expected)), EXACT)


def usable_check(expected: str, checks: Sequence[Check]) -> Check:
    """As `check_for`; exact text for one that was approved although it fails its own check."""
    check = check_for(expected, checks)
    return EXACT if fault(check, expected) else check


def declared(check: Check) -> dict[str, Any]:
    """The check as a workspace may declare it, its database's path made absolute.

    Raises BadInput for an unknown type and for a missing or broken database, pattern or schema.
    """
    kind, made = _kind(check), dict(check)
    if kind == "style":
        raise BadInput("A style check is made by the round itself: use `apprentice style import`.")
    if kind == "sql":
        made["database"] = str(_database(check).absolute())
    if kind == "json" and "schema" in check and (wrong := schema_fault(check["schema"])):
        raise BadInput(f"The schema of the json check {wrong}: correct it.")
    if kind == "regex" and (wrong := pattern_fault(check.get("pattern"))):
        raise BadInput(f"The regex check's pattern {check.get('pattern')!r} {wrong}: correct it.")
    for name in ("all", "any"):
        texts = check.get(name, ["x"])
        if not (isinstance(texts, list) and texts and all(isinstance(one, str) for one in texts)):
            raise BadInput(f"{name!r} of the {kind} check is no list of texts: correct it.")
    return made


def _kind(check: Check) -> str:
    kind = check.get("type", "exact")
    if kind not in _CHECKS:
        raise BadInput(f"There is no check {kind!r}; there are {', '.join(_CHECKS)}.")
    return str(kind)


def _applies(check: Check, expected: str) -> bool:
    if check.get("match") is not None:
        return str(check["match"]) in expected
    if check.get("type") == "sql":
        return looks_like_sql(bare(expected))
    if check.get("type") == "json":
        return bare(expected)[:1] in ("{", "[")
    return True


def _exact(check: Check, expected: str, answer: str) -> bool:
    return " ".join(expected.split()) == " ".join(answer.split())


def _style(check: Check, expected: str, answer: str) -> bool:
    return likeness(frozenset(check["grams"]), answer) >= check["floor"]


def _contains(check: Check, expected: str, answer: str) -> bool:
    wanted = list(check.get("all", ())) or ([] if "any" in check else [expected])
    alternatives = list(check.get("any", ()))
    plain = _plain(answer)
    found = [_has_words(plain, text) for text in alternatives]
    return all(_has_words(plain, text) for text in wanted) and (not found or any(found))


def _has_words(plain: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(_plain(text))}(?!\w)", plain) is not None


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _regex(check: Check, expected: str, answer: str) -> bool:
    pattern = check.get("pattern", expected)
    try:
        return find(pattern, answer)
    except PatternTooSlow:
        return False
    except (regex.error, TypeError) as error:
        raise BadInput(f"The pattern {pattern!r} is no regular expression: {error}.") from None


def _json(check: Check, expected: str, answer: str) -> bool:
    try:
        wanted = parse(expected)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"The expected text {expected[:80]!r} is not JSON: {error}.") from None
    try:
        given = parse(answer)
    except (ValueError, RecursionError):
        return False
    if "schema" in check and value_fault(check["schema"], given):
        return False
    if check.get("keys"):
        return bool(shape(wanted) == shape(given))
    return bool(typed(wanted) == typed(given))


def _json_fault(check: Check, text: str) -> str | None:
    try:
        value = parse(text)
    except (ValueError, RecursionError) as error:
        return f"it is not JSON ({error})"
    wrong = value_fault(check["schema"], value) if "schema" in check else None
    return f"it does not fit the schema ({wrong})" if wrong else None


def _database(check: Check) -> Path:
    path = Path(str(check.get("database", ""))).expanduser()
    if not path.is_file():
        raise BadInput(f"The check's database {str(path)!r} is not a file; name an SQLite file.")
    return path


def _sql(check: Check, expected: str, answer: str) -> bool:
    path = _database(check)
    try:
        wanted = run_query(path, bare(expected))
    except QueryFailed as error:
        raise BadInput(f"The expected SQL {expected[:80]!r} does not run: {error}.") from None
    try:
        given = run_query(path, bare(answer))
    except QueryFailed:
        return False
    if not wanted:  # any wrong query may find nothing too, so nothing proves nothing
        return not given and _sql_text(expected) == _sql_text(answer)
    if re.search(r"\border\s+by\b", expected, re.IGNORECASE):
        return wanted == given
    return Counter(wanted) == Counter(given)


def _sql_text(query: str) -> str:
    return " ".join(bare(query).rstrip("; \n").split()).casefold()


_CHECKS: dict[str, Callable[[Check, str, str], bool]] = {
    "exact": _exact,
    "json": _json,
    "sql": _sql,
    "regex": _regex,
    "contains": _contains,
    "style": _style,
}
