"""New queries made of taught ones, so that a round teaches more than the sentences it was told.

Parts of queries over the same tables are put together anew: the columns of one with the condition
of another, other values of the database, turned comparisons, other aggregates, parts left out.

Method: queries written by a grammar or by parts and questions then asked to them are how Jia and
Liang 2016 (arXiv:1606.03622, data recombination) and Wang et al. 2021 (arXiv:2104.05829) widen
semantic parsing; here the parts are those of the taught queries themselves.
"""

import random
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tuning.json_check import bare
from tuning.sql_check import QueryFailed, run_query, schema_of

MOST_A_PAIR = 5
"""New queries for each taught one at most."""
MOST = 400
"""And in all: each is asked for by the model, which takes about half a second."""
TRIES = 30
"""Draws for one new query; most give one that is known or finds nothing."""
VALUES = 200
"""Values of a column that are drawn from."""
LONGEST_VALUE = 30
"""Characters of a value: a question names names and numbers, not paragraphs."""

Rng = random.Random
Operation = Callable[["_Database", exp.Select, exp.Select, Rng], None]
_TURNED: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.GT: exp.LT,
    exp.LT: exp.GT,
    exp.GTE: exp.LTE,
    exp.LTE: exp.GTE,
}
_AGGREGATES = (exp.Max, exp.Min, exp.Avg, exp.Sum)


def recombined(
    taught: Sequence[str],
    database: Path,
    *,
    seed: int,
    avoid: Collection[str] = (),
    most: int = MOST,
    stop: Callable[[], bool] = lambda: False,
) -> list[str]:
    """Up to MOST_A_PAIR queries a taught one, each of which finds something in the SQLite file.

    None is a taught query or one of `avoid`, by `same_query`. Taught answers that are no SELECT
    are passed over. The same arguments give the same queries; `stop` is asked before each draw.
    """
    trees = [tree for tree in map(_select, taught) if tree is not None]
    over: dict[str, list[exp.Select]] = {}
    for tree in trees:
        over.setdefault(_tables(tree), []).append(tree)
    known = {same_query(query) for query in (*taught, *avoid)}
    rng, source = random.Random(seed), _Database(database)
    wanted, found = min(most, MOST_A_PAIR * len(trees)), list[str]()
    for _ in range(wanted * TRIES):
        if len(found) == wanted or stop():
            break
        one = rng.choice(trees)
        query = _changed(source, one, rng.choice(over[_tables(one)]), rng)
        key = same_query(query)
        if key not in known:
            known.add(key)
            if source.finds(query):
                found.append(query)
    return [written_alike(query, taught) for query in found]


def same_query(query: str) -> str:
    """The query without what does not tell: case, spacing, quotes as sqlglot writes them."""
    tree = _select(query)
    text = tree.sql("sqlite") if tree is not None else bare(query)
    return " ".join(text.rstrip("; \n").split()).casefold()


def literals(query: str) -> list[str]:
    """Every text and number of a query, those in double quotes too; % of a pattern is left out."""
    tree = _select(query)
    if tree is None:
        return []
    # SQLite takes an unknown name in double quotes for a text
    bare_names = [one for one in tree.find_all(exp.Column) if not one.table]
    quoted = [one.name for one in bare_names if one.this.args.get("quoted")]
    names = [one.name for one in tree.find_all(exp.Literal)] + quoted
    return [name.strip("%") for name in names if name.strip("%")]


def written_alike(query: str, taught: Sequence[str]) -> str:
    """The query with its commas and its end as most of the taught ones have them."""
    spaced = sum(" ," in one for one in taught)
    closed = sum(one.rstrip().endswith(";") for one in taught)
    if spaced * 2 > sum("," in one for one in taught):
        outside = re.split(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")""", query)
        outside[::2] = [text.replace(", ", " , ") for text in outside[::2]]
        query = "".join(outside)
    return query + ";" if closed * 2 > len(taught) else query


def _select(query: str) -> exp.Select | None:
    try:
        tree = sqlglot.parse_one(bare(query), dialect="sqlite")
    except SqlglotError:
        return None
    return tree if isinstance(tree, exp.Select) else None


def _tables(tree: exp.Select) -> str:
    """What a query reads from: parts of queries over the same fit each other."""
    source, joins = tree.args.get("from_"), tree.args.get("joins") or []
    return " ".join(part.sql("sqlite") for part in (source, *joins) if part).casefold()


def _changed(source: "_Database", one: exp.Select, other: exp.Select, rng: Rng) -> str:
    """A copy of `one` with one or two changes, `other` giving parts."""
    tree = one.copy()
    for operation in rng.sample(_OPERATIONS, rng.choice((1, 1, 2))):
        operation(source, tree, other, rng)
    return tree.sql("sqlite")


def _take_columns(_: "_Database", tree: exp.Select, other: exp.Select, rng: Rng) -> None:
    if not tree.args.get("group") and not other.args.get("group"):
        tree.set("expressions", [one.copy() for one in other.expressions])


def _take_condition(_: "_Database", tree: exp.Select, other: exp.Select, rng: Rng) -> None:
    where = other.args.get("where")
    if where and not other.args.get("group"):
        tree.set("where", where.copy())


def _take_order(_: "_Database", tree: exp.Select, other: exp.Select, rng: Rng) -> None:
    order = other.args.get("order")
    if order and not tree.args.get("group"):
        tree.set("order", order.copy())


def _other_value(source: "_Database", tree: exp.Select, _: exp.Select, rng: Rng) -> None:
    """Another value of the same column in place of one that is compared with."""
    places = [one for one in tree.find_all(exp.Literal) if _column_beside(one)]
    if not places:
        return
    place = rng.choice(places)
    column = _column_beside(place)
    values = source.values(tree, column) if column is not None else []
    if not values:
        return
    value = rng.choice(values)
    if isinstance(place.parent, exp.Like):
        if stem := place.name.strip("%"):
            place.replace(exp.Literal.string(place.name.replace(stem, str(value)[: len(stem)])))
    elif place.is_string:
        place.replace(exp.Literal.string(str(value)))
    elif isinstance(value, int | float):
        place.replace(exp.Literal.number(value))


def _column_beside(literal: exp.Literal) -> exp.Column | None:
    """The column that a value is compared with."""
    parent = literal.parent
    compared = isinstance(parent, exp.Binary | exp.Between | exp.In)
    return parent.find(exp.Column) if parent is not None and compared else None


def _turn(_: "_Database", tree: exp.Select, __: exp.Select, rng: Rng) -> None:
    """Greater becomes less, and the other way round."""
    if places := list(tree.find_all(*_TURNED)):
        place = rng.choice(places)
        turned = _TURNED[type(place)]
        place.replace(turned(this=place.this.copy(), expression=place.expression.copy()))


def _leave_out(_: "_Database", tree: exp.Select, __: exp.Select, rng: Rng) -> None:
    """The condition or the order; of a query without both, a column."""
    for part in rng.sample(("where", "order"), 2):
        if tree.args.get(part):
            tree.set(part, None)
            return
    if len(tree.expressions) > 1:
        kept = rng.sample(range(len(tree.expressions)), len(tree.expressions) - 1)
        tree.set("expressions", [tree.expressions[place] for place in sorted(kept)])


def _other_aggregate(_: "_Database", tree: exp.Select, __: exp.Select, rng: Rng) -> None:
    if places := list(tree.find_all(*_AGGREGATES)):
        place = rng.choice(places)
        place.replace(rng.choice(_AGGREGATES)(this=place.this.copy()))


_OPERATIONS: tuple[Operation, ...] = (
    _take_columns,
    _take_condition,
    _take_order,
    _other_value,
    _turn,
    _leave_out,
    _other_aggregate,
)


class _Database:
    """The file that queries are tried on; what was read of it is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._schema = schema_of(path)
        self._values: dict[tuple[str, str], list[Any]] = {}

    def finds(self, query: str) -> bool:
        """Whether it runs and gives a row with something in it."""
        try:
            rows = run_query(self._path, query)
        except QueryFailed:
            return False
        return any(value is not None for row in rows for value in row)

    def values(self, tree: exp.Select, column: exp.Column) -> list[Any]:
        """Values of a column of one of the query's tables, in order; [] where there is none."""
        tables = sorted(tree.find_all(exp.Table), key=lambda one: one.alias != column.table)
        name = column.name.casefold()
        for table in tables:
            if name in self._schema.get(table.name.casefold(), ()):
                return self._of(table.name, column.name)
        return []

    def _of(self, table: str, column: str) -> list[Any]:
        key = table.casefold(), column.casefold()
        if key not in self._values:
            self._values[key] = self._read(table, column)
        return self._values[key]

    def _read(self, table: str, column: str) -> list[Any]:
        named = exp.column(column, quoted=True)
        query = exp.select(named).distinct().from_(exp.to_table(table)).limit(VALUES)
        try:
            rows = run_query(self._path, query.sql("sqlite", identify=True))
        except QueryFailed:
            return []
        known = [value for (value,) in rows if isinstance(value, int | float | str)]
        return sorted((one for one in known if 0 < len(str(one)) <= LONGEST_VALUE), key=str)
