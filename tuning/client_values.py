"""Values of a client's database that may stand in new queries, and whether a query finds any."""

from collections.abc import Collection, Sequence
from pathlib import Path

from sqlglot import exp

from tuning.sql_check import QueryFailed, Rows, run_query, schema_of

VALUES = 200
"""Values of a column that are drawn from."""
LONGEST_VALUE = 30
"""Characters of a value: a question names names and numbers, not paragraphs."""
LEAST_ROWS = 3
"""Rows of a column that a text must stand in."""

Value = int | float | str


class ClientValues:
    """The file that queries are tried on; what was read of it is kept.

    A text is given out only when it stands in LEAST_ROWS rows of its column or in a taught query
    (`named`). What is drawn is learned by an adapter, which may be exported: a city or a status is
    what a question names, a customer's name or mail address is nobody's to teach. Numbers are
    given out as they are.
    """

    def __init__(self, path: Path, named: Collection[str] = ()) -> None:
        self._path = path
        self._schema = schema_of(path)
        self._columns = set().union(*self._schema.values())
        self._named = sorted(named)
        self._values: dict[tuple[str, str], list[Value]] = {}
        self._numbers: dict[tuple[str, str], bool] = {}

    def found_by(self, query: str) -> bool:
        """Whether it runs and gives a row with something in it; a count of 0 is nothing."""
        try:
            rows = run_query(self._path, query)
        except QueryFailed:
            return False
        return any(value not in (None, 0) for row in rows for value in row)

    def is_column(self, name: str) -> bool:
        """Whether a table of the file has such a column."""
        return name.casefold() in self._columns

    def of(self, tree: exp.Select, column: str, alias: str = "") -> list[Value]:
        """Values of a column of one of the query's tables, in order; [] where there is none."""
        key = self._table_of(tree, column, alias), column.casefold()
        if not key[0]:
            return []
        if key not in self._values:
            self._values[key] = self._read(*key)
        return self._values[key]

    def are_numbers(self, tree: exp.Select, names: Sequence[str]) -> bool:
        """Whether every column among `names` (an aggregate's tokens) holds numbers alone."""
        columns = [name for name in names if self._table_of(tree, name, "")]
        keys = [(self._table_of(tree, name, ""), name.casefold()) for name in columns]
        for key in keys:
            if key not in self._numbers:
                self._numbers[key] = self._are_numbers(*key)
        return bool(keys) and all(self._numbers[key] for key in keys)

    def _table_of(self, tree: exp.Select, column: str, alias: str) -> str:
        """The table that holds the column, the one with that alias first; '' for none."""
        tables = sorted(tree.find_all(exp.Table), key=lambda one: one.alias_or_name != alias)
        holding = [
            one.name.casefold()
            for one in tables
            if column.casefold() in self._schema.get(one.name.casefold(), ())
        ]
        return holding[0] if holding else ""

    def _read(self, table: str, column: str) -> list[Value]:
        named = exp.column(column, quoted=True)
        common: exp.Expr = exp.func("typeof", named).neq(exp.Literal.string("text"))
        common = exp.or_(common, exp.Count(this=exp.Star()) >= LEAST_ROWS)
        if self._named:
            common = exp.or_(common, named.isin(*map(exp.Literal.string, self._named)))
        query = exp.select(named).from_(exp.Table(this=exp.to_identifier(table)))
        rows = self._rows(query.group_by(named).having(common).limit(VALUES))
        known = [value for (value,) in rows if isinstance(value, int | float | str)]
        return sorted((one for one in known if 0 < len(str(one)) <= LONGEST_VALUE), key=str)

    def _are_numbers(self, table: str, column: str) -> bool:
        kind = exp.func("typeof", exp.column(column, quoted=True))
        query = exp.select(kind).distinct().from_(exp.Table(this=exp.to_identifier(table)))
        return {kind for (kind,) in self._rows(query)} <= {"integer", "real", "null"}

    def _rows(self, query: exp.Select) -> Rows:
        try:
            return run_query(self._path, query.sql("sqlite", identify=True))
        except QueryFailed:
            return []
