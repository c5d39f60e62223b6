"""What a query says, by its parsed tree: its values, whether it is another, if it has sense."""

import re
from collections import Counter

from sqlglot import exp

from tuning.json_check import bare
from tuning.sql_check import parsed

_FORMAT = re.compile(r"(?:%[A-Za-z]\W?)+")
"""`%Y-%m`, which no question names."""


def select_of(query: str) -> exp.Select | None:
    """The tree of one SELECT that reads from something; None for all else."""
    statements = parsed(bare(query))
    found = statements[0] if len(statements) == 1 else None
    return found if isinstance(found, exp.Select) else None


def same_query(query: str) -> str:
    """The query without what does not tell: case, spacing, quotes as sqlglot writes them."""
    tree = select_of(query)
    text = printed(tree) if tree is not None else None
    return " ".join((text or bare(query)).rstrip("; \n").split()).casefold()


def printed(tree: exp.Expr) -> str | None:
    """The tree as sqlglot writes it; None where it is too deep for Python's stack."""
    try:
        return tree.sql("sqlite")
    except RecursionError:
        return None


def literals(query: str) -> list[str]:
    """Every text and number that a question to the query has to name, those in double quotes too.

    The % of a pattern is left out, and what is no value of the question: the 1 of `LIMIT 1` ("the
    oldest"), a column by its number, the 1 of `count(1)`, a format of dates.
    """
    tree = select_of(query)
    if tree is None:
        return []
    # SQLite takes an unknown name in double quotes for a text
    bare_names = [one for one in tree.find_all(exp.Column) if not one.table]
    quoted = [one.name for one in bare_names if one.this.args.get("quoted")]
    names = [one.name for one in tree.find_all(exp.Literal) if _is_named(one)] + quoted
    return [name.strip("%") for name in names if name.strip("%")]


def _is_named(literal: exp.Literal) -> bool:
    if isinstance(literal.parent, exp.Limit):
        return literal.name != "1"
    if isinstance(literal.parent, exp.Like):
        return True
    beside = isinstance(literal.parent, exp.Ordered | exp.Count)
    return not beside and not _FORMAT.fullmatch(literal.name)


def has_sense(tree: exp.Select) -> bool:
    """Whether somebody may ask for it, as far as its form tells.

    Without sense are: the same column or condition twice, an aggregate beside bare columns or in
    the order without a group, a group without an aggregate or that is not shown, a LIMIT without
    an order, an order of what is one row anyway, and DISTINCT of that, of groups, of * or with a
    LIMIT.
    """
    shown = [one.unalias() for one in tree.expressions]
    grouped, order, limit = (tree.args.get(name) for name in ("group", "order", "limit"))
    made = [bool(aggregates(one)) for one in shown]
    if _twice(shown) or _twice(_conditions(tree)) or (limit and not order):
        return False
    if tree.args.get("distinct") and (grouped or limit or any(made)):
        return False
    if grouped:
        having = tree.args.get("having")
        beside = [part for part in (having, order) if part and aggregates(part)]
        return (any(made) or bool(beside)) and not all(made)
    if tree.args.get("having") or (order and aggregates(order)):
        return False
    if any(made):
        return all(made) and not order and not limit
    return not (tree.args.get("distinct") and any(isinstance(one, exp.Star) for one in shown))


def aggregates(tree: exp.Expr) -> list[exp.Expr]:
    """The aggregates of a part of a query, those of queries within it left out.

    MIN and MAX of several values are none, nor is what looks through a window.
    """
    found = [tree, *tree.find_all(exp.AggFunc)] if isinstance(tree, exp.AggFunc) else []
    found = found or list(tree.find_all(exp.AggFunc))
    own = [one for one in found if one.find_ancestor(exp.Select) is tree.find_ancestor(exp.Select)]
    return [one for one in own if not one.args.get("expressions") and not _is_window(one)]


def _is_window(one: exp.Expr) -> bool:
    return isinstance(one.parent, exp.Window)


def _conditions(tree: exp.Select) -> list[exp.Expr]:
    where = tree.args.get("where")
    found = where.this if where else None
    return list(found.flatten()) if isinstance(found, exp.And) else []


def _twice(parts: list[exp.Expr]) -> bool:
    texts = Counter((printed(one) or "").casefold() for one in parts)
    return any(count > 1 for count in texts.values())
