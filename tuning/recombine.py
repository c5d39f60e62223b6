"""New queries made of taught ones, so that a round teaches more than the sentences it was told.

Parts of queries over the same tables are put together anew: the columns of one with the condition
of another, other values of the database, turned comparisons, other aggregates, parts left out. All
is done on the text of the clauses: what is not changed stays as its author wrote it.

Method: queries written by a grammar or by parts and questions then asked to them are how Jia and
Liang 2016 (arXiv:1606.03622, data recombination) and Wang et al. 2021 (arXiv:2104.05829) widen
semantic parsing; here the parts are those of the taught queries themselves.
"""

import random
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlglot import exp
from sqlglot.tokens import Token, TokenType

from tuning.client_values import ClientValues
from tuning.json_check import bare
from tuning.query_sense import has_sense, literals, printed, same_query, select_of
from tuning.query_text import QueryText, count_of, query_text, replaced, tokens_of

MOST_A_PAIR = 5
"""New queries for each taught one at most."""
MOST = 400
"""And in all: each is asked for by the model, which takes about half a second."""
TRIES = 30
"""Draws for one new query; most give one that is known or finds nothing."""

Rng = random.Random
_TURNED = {">": "<", "<": ">", ">=": "<=", "<=": ">="}
_AGGREGATES = ("max", "min", "avg", "sum")
_NUMERIC = ("avg", "sum")
_BETWEEN_COLUMN_AND_VALUE = {
    TokenType.EQ,
    TokenType.NEQ,
    TokenType.GT,
    TokenType.GTE,
    TokenType.LT,
    TokenType.LTE,
    TokenType.LIKE,
    TokenType.NOT,
    TokenType.IN,
    TokenType.BETWEEN,
    TokenType.AND,
    TokenType.L_PAREN,
    TokenType.COMMA,
    TokenType.STRING,
    TokenType.NUMBER,
}


@dataclass(frozen=True)
class _Source:
    """What new queries are made from, beside the taught ones."""

    values: ClientValues
    rng: Rng
    count: str | None
    """`count(*)` as the taught queries write it."""


Operation = Callable[[_Source, QueryText, QueryText], QueryText]


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
    Texts of the database come into them only as `ClientValues` says.
    """
    over = _by_tables(taught)
    parts = [(one, tables) for tables, some in over.items() for one in some]
    known = {same_query(query) for query in (*taught, *avoid)}
    named = {value for query in taught for value in literals(query)}
    rng, values = random.Random(seed), ClientValues(database, named)
    source = _Source(values, rng, count_of(taught))
    wanted, found = min(most, MOST_A_PAIR * len(parts)), list[str]()
    for _ in range(wanted * TRIES):
        if len(found) == wanted or stop():
            break
        one, tables = rng.choice(parts)
        query = _changed(source, one, rng.choice(over[tables])).text
        key = same_query(query)
        if key not in known:
            known.add(key)
            tree = select_of(query)
            if tree is not None and has_sense(tree) and values.found_by(query):
                found.append(query)
    return found


def _by_tables(taught: Sequence[str]) -> dict[str, list[QueryText]]:
    """The queries by what they read from: parts of queries over the same fit each other."""
    over: dict[str, list[QueryText]] = {}
    for query in taught:
        tree, text = select_of(query), query_text(bare(query))
        if tree is not None and text is not None:
            over.setdefault(_tables(tree), []).append(text)
    return over


def _tables(tree: exp.Select) -> str:
    source, joins = tree.args.get("from_"), tree.args.get("joins") or []
    return " ".join(printed(part) or "" for part in (source, *joins) if part).casefold()


def _changed(source: _Source, one: QueryText, other: QueryText) -> QueryText:
    """`one` with one or two changes, `other` giving parts."""
    for operation in source.rng.sample(_OPERATIONS, source.rng.choice((1, 1, 2))):
        one = operation(source, one, other)
    return one


def _same_group(one: QueryText, other: QueryText) -> bool:
    return (one.get("group") or "").casefold() == (other.get("group") or "").casefold()


def _take_columns(_: _Source, one: QueryText, other: QueryText) -> QueryText:
    return one.with_clauses(select=other.get("select")) if _same_group(one, other) else one


def _take_condition(_: _Source, one: QueryText, other: QueryText) -> QueryText:
    return one.with_clauses(where=other.get("where") or one.get("where"))


def _add_condition(_: _Source, one: QueryText, other: QueryText) -> QueryText:
    """Both conditions at once; where one has an OR, brackets would be needed."""
    first, second = one.get("where"), other.get("where")
    if not first or not second or re.search(r"\bor\b", first + second, re.IGNORECASE):
        return one
    return one.with_clauses(where=f"{first} {one.cased('and')} {second[len('where') :].strip()}")


def _take_order(_: _Source, one: QueryText, other: QueryText) -> QueryText:
    """The order of another with its limit: "the oldest", "the five largest"."""
    if not other.get("order") or not _same_group(one, other):
        return one
    return one.with_clauses(order=other.get("order"), limit=other.get("limit"))


def _count(source: _Source, one: QueryText, _: QueryText) -> QueryText:
    """How many there are, in place of a list of them."""
    if one.get("group"):
        return one
    count = source.count or f"{one.cased('count')}(*)"
    return one.with_clauses(select=f"{one.clauses['select'][:6]} {count}", order=None, limit=None)


def _distinct(_: _Source, one: QueryText, __: QueryText) -> QueryText:
    """Without repetition where it was with, and the other way round."""
    select = one.clauses["select"]
    found = re.match(r"(select)(\s+distinct)?\b", select, re.IGNORECASE)
    if found is None:
        return one
    word = "" if found[2] else f" {one.cased('distinct')}"
    return one.with_clauses(select=found[1] + word + select[found.end() :])


def _leave_out(source: _Source, one: QueryText, _: QueryText) -> QueryText:
    """The condition or the order; of a query without both, a column."""
    for part in source.rng.sample(("where", "order"), 2):
        if one.get(part):
            return one.with_clauses(
                **{part: None}, limit=None if part == "order" else one.get("limit")
            )
    select = one.clauses["select"]
    head, items = select[: len("select")], _items(select[len("select") :])
    if len(items) < 2:
        return one
    gone = source.rng.randrange(len(items))
    kept = [item for place, item in enumerate(items) if place != gone]
    comma = " , " if " ," in select else ", "
    return one.with_clauses(select=f"{head} {comma.join(kept)}")


def _items(text: str) -> list[str]:
    """The parts of a list between its own commas."""
    depth, cuts = 0, [-1]
    for token in tokens_of(text):
        depth += (token.token_type is TokenType.L_PAREN) - (token.token_type is TokenType.R_PAREN)
        if not depth and token.token_type is TokenType.COMMA:
            cuts.append(token.start)
    pairs = zip(cuts, [*cuts[1:], len(text)], strict=True)
    return [text[start + 1 : end].strip() for start, end in pairs]


def _turn(source: _Source, one: QueryText, _: QueryText) -> QueryText:
    """Greater becomes less, and the other way round."""
    name = source.rng.choice(("where", "having"))
    text = one.get(name) or ""
    places = [token for token in tokens_of(text) if text[token.start : token.end + 1] in _TURNED]
    if not places:
        return one
    place = source.rng.choice(places)
    turned = _TURNED[text[place.start : place.end + 1]]
    return one.with_clauses(**{name: replaced(text, place, turned)})


def _other_aggregate(source: _Source, one: QueryText, _: QueryText) -> QueryText:
    """Another of MAX, MIN, AVG and SUM; the last two only of what is numbers throughout."""
    select = one.clauses["select"]
    tokens = tokens_of(select)
    pairs = zip(tokens, tokens[1:], strict=False)
    places = [
        token
        for token, after in pairs
        if token.text.lower() in _AGGREGATES and after.token_type is TokenType.L_PAREN
    ]
    if not places:
        return one
    place, new = source.rng.choice(places), source.rng.choice(_AGGREGATES)
    inside = tokens[tokens.index(place) + 2 :]
    names = [token.text for token in inside[: _closing(inside)]]
    tree = select_of(one.text)
    if new in _NUMERIC and (tree is None or not source.values.are_numbers(tree, names)):
        return one
    return one.with_clauses(select=replaced(select, place, _like(new, place.text)))


def _closing(tokens: Sequence[Token]) -> int:
    kinds = [token.token_type for token in tokens]
    return kinds.index(TokenType.R_PAREN) if TokenType.R_PAREN in kinds else len(kinds)


def _like(word: str, model: str) -> str:
    return word if model.islower() else word.upper() if model.isupper() else word.capitalize()


def _other_value(source: _Source, one: QueryText, _: QueryText) -> QueryText:
    """Another value of the same column in place of one that is compared with."""
    where, tree = one.get("where") or "", select_of(one.text)
    tokens = tokens_of(where)
    places = [place for place in range(len(tokens)) if _is_value(source, tokens, place)]
    if not places or tree is None:
        return one
    place = source.rng.choice(places)
    column = _column_before(tokens, place)
    if column is None:
        return one
    values = source.values.of(tree, tokens[column].text, _qualifier(tokens, column))
    new = _written(source, where, tokens, place, values)
    return one.with_clauses(where=replaced(where, tokens[place], new)) if new else one


def _is_value(source: _Source, tokens: Sequence[Token], place: int) -> bool:
    """A text or number; a name in double quotes that is no column is a text to SQLite."""
    token = tokens[place]
    if token.token_type is not TokenType.IDENTIFIER:
        return token.token_type in (TokenType.STRING, TokenType.NUMBER)
    beside = [one.token_type for one in tokens[max(0, place - 1) : place + 2]]
    return TokenType.DOT not in beside and not source.values.is_column(token.text)


def _column_before(tokens: Sequence[Token], place: int) -> int | None:
    """The place of the column that a value is compared with."""
    for at in range(place - 1, 0, -1):
        if tokens[at].token_type not in _BETWEEN_COLUMN_AND_VALUE:
            return at if at < place - 1 else None
    return None


def _qualifier(tokens: Sequence[Token], column: int) -> str:
    dotted = column > 1 and tokens[column - 1].token_type is TokenType.DOT
    return tokens[column - 2].text if dotted else ""


def _written(
    source: _Source,
    where: str,
    tokens: Sequence[Token],
    place: int,
    values: Sequence[int | float | str],
) -> str | None:
    """One of the values, quoted as the one at `place` is; None where none fits."""
    old = tokens[place]
    is_number = old.token_type is TokenType.NUMBER
    values = [one for one in values if isinstance(one, str) != is_number]
    if not values:
        return None
    new = str(source.rng.choice(values))
    if is_number:
        return new
    if tokens[place - 1].token_type is TokenType.LIKE:
        stem = old.text.strip("%")
        new = old.text.replace(stem, new[: len(stem)]) if stem else old.text
    quote = where[old.start]
    return quote + new.replace(quote, quote * 2) + quote


_OPERATIONS: tuple[Operation, ...] = (
    _take_columns,
    _take_condition,
    _add_condition,
    _take_order,
    _count,
    _distinct,
    _other_value,
    _turn,
    _leave_out,
    _other_aggregate,
)
