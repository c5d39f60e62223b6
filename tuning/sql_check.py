"""A query on a client's SQLite file: parsed, read-only, within a time and a number of rows."""

import logging
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sqlglot import exp, parse
from sqlglot.errors import SqlglotError

from tuning.sql_guard import VALUE_BYTES, guard

SQL_SECONDS = 5.0
"""A query that runs longer is wrong."""
SQL_ROWS = 10_000
"""A query that returns more rows is wrong."""
SQL_BYTES = 20_000_000
"""A query whose rows take more is wrong: 200 rows of a made-up megabyte took 430 MB."""
SQL_CHARACTERS = 20_000
"""A longer text is no query: sqlglot takes 1 s for 75,000 characters."""

Rows = list[tuple[Any, ...]]
Schema = dict[str, set[str]]
"""Column names by table or view, all in small letters."""

_ROWID = {"rowid", "oid", "_rowid_"}
_STATEMENT = re.compile(
    r"""(?:--[^\n]*+\n\s*+)*+\(*+\s*+(?:select\b|with\s+(?:recursive\s+)?\w+\s*(?:\(|as\b)|
    insert\s+(?:or\s+\w+\s+)?into\b|replace\s+into\b|delete\s+from\b|update\s+\S+\s+set\b|
    (?:create|drop|alter)\s+(?:temp\w*\s+|unique\s+|virtual\s+)?(?:table|view|index|trigger)\b|
    pragma\s+\w+|attach\s+(?:database\s+)?['"]|vacuum\b|explain\s+(?:query|select|with)\b)""",
    re.IGNORECASE | re.VERBOSE,
)


class QueryFailed(ValueError):
    """The query did not give its rows; the text says why."""


def looks_like_sql(text: str) -> bool:
    """Whether a text begins as an SQL statement does, one that writes too."""
    return _STATEMENT.match(text.lstrip()) is not None


def run_query(path: Path, query: str) -> Rows:
    """The rows of one SELECT on the file, floats rounded; nothing but reading is allowed.

    The file must not change meanwhile. Raises QueryFailed, also past one of the limits above.
    """
    if len(query) > SQL_CHARACTERS:
        raise QueryFailed(f"it is longer than {SQL_CHARACTERS:,} characters")
    with _opened(path) as connection:
        guarded = guard(connection, SQL_SECONDS)
        try:
            with guarded.watching():
                return _read(connection.execute(query))
        except (sqlite3.Error, sqlite3.Warning, ValueError, MemoryError) as error:
            if guarded.said:
                raise QueryFailed(guarded.said) from None
            if isinstance(error, sqlite3.DataError):
                raise QueryFailed(f"a value in it has more than {VALUE_BYTES:,} bytes") from None
            if isinstance(error, QueryFailed):
                raise
            raise QueryFailed(f"the database says: {error}") from None


def _read(found: sqlite3.Cursor) -> Rows:
    """All rows. Raises QueryFailed when they are too many or too big."""
    rows: Rows = []
    taken = 0
    for row in found:
        taken += sum(map(_size, row))
        if len(rows) == SQL_ROWS:
            raise QueryFailed(f"it gives more than {SQL_ROWS:,} rows")
        if taken > SQL_BYTES:
            raise QueryFailed(f"its rows have more than {SQL_BYTES:,} bytes")
        rows.append(tuple(map(_rounded, row)))
    return rows


def _size(value: Any) -> int:
    """About what a value takes in memory."""
    return 32 + (len(value) if isinstance(value, str | bytes) else 0)


def compiles(path: Path, query: str) -> bool:
    """Whether SQLite can prepare `query`, one SELECT, on the file; nothing of it runs."""
    try:
        run_query(path, f"explain {query}")
    except QueryFailed:
        return False
    return True


def query_fault(path: Path, query: str) -> str | None:
    """Why `query` is not one SELECT that runs on the file, in words; None when it is.

    What sqlglot cannot read is left to SQLite, whose grammar is the one that counts.
    """
    statements = parsed(query)
    if len(statements) > 1:
        return f"it holds {len(statements)} statements: only one SELECT may be run"
    if statements and not isinstance(statements[0], exp.Query):
        return f"it is no SELECT but {_kind(statements[0])}: only one SELECT may be run"
    try:
        run_query(path, query)
    except QueryFailed as error:
        return ", ".join(_missing(path, statements)) or str(error)
    return None


def _missing(path: Path, statements: Sequence[exp.Expr]) -> list[str]:
    try:
        return unknown_names(statements[0], schema_of(path)) if statements else []
    except sqlite3.Error:  # no database at all, as was said already
        return []


def schema_of(path: Path) -> Schema:
    """Tables and views of the file with their columns."""
    with _opened(path) as connection:
        found = connection.execute(
            """select m.name, c.name from sqlite_master m join pragma_table_xinfo(m.name) c
            where m.type in ('table', 'view')"""
        ).fetchall()
    schema: Schema = {}
    for table, column in found:
        schema.setdefault(table.casefold(), set()).add(column.casefold())
    return schema


def unknown_names(query: exp.Expr, schema: Schema) -> list[str]:
    """A phrase for each table that is not there; if all are, for each column that is not."""
    common = {found.alias_or_name.casefold() for found in query.find_all(exp.CTE)}
    used = {table.name.casefold(): table.name for table in query.find_all(exp.Table)}
    tables = [name for key, name in used.items() if key not in schema and key not in common]
    if tables:
        return [_no("table", name, schema) for name in tables]
    known = {column for key in used for column in schema.get(key, ())} | _ROWID
    named = {alias.alias.casefold() for alias in query.find_all(exp.Alias)}
    named |= {
        column.name.casefold()
        for alias in query.find_all(exp.TableAlias)
        for column in alias.columns
    }
    asked = {
        column.name.casefold(): column.name
        for column in query.find_all(exp.Column)
        # SQLite takes an unknown name in double quotes for a text
        if not column.this.args.get("quoted")
    }
    return [_no("column", name, known) for key, name in asked.items() if key not in known | named]


def _no(kind: str, name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name.casefold(), known, n=1)
    return f"there is no {kind} {name!r}" + (f" (is {near[0]!r} meant?)" if near else "")


def parsed(query: str) -> list[exp.Expr]:
    """The statements of a text as sqlglot reads them; none where it cannot.

    It goes down into brackets by itself: about 50 of them are too deep for Python's stack.
    """
    if len(query) > SQL_CHARACTERS:
        return []
    log = logging.getLogger("sqlglot")
    before = log.level
    log.setLevel(logging.ERROR)  # it warns of statements that it only knows by their first word
    try:
        return [found for found in parse(query, dialect="sqlite") if found is not None]
    except (SqlglotError, RecursionError):
        return []
    except Exception:  # noqa: BLE001  its own slips on a model's text, such as `{:}`: no query
        return []
    finally:
        log.setLevel(before)


def _kind(statement: exp.Expr) -> str:
    return str(statement.this if isinstance(statement, exp.Command) else statement.key).upper()


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        yield connection


def _rounded(value: Any) -> Any:
    """A sum may differ in its last bits by the order of its rows."""
    return float(f"{value:.9g}") if isinstance(value, float) else value
