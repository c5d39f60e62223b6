"""A query as the text of its clauses: what is not changed stays as its author wrote it.

Printed by sqlglot, `count(*)` becomes `COUNT(*)`, `!=` becomes `<>`, `x NOT IN` becomes `NOT x IN`
and `t T1` becomes `t AS T1`; a model taught such queries no longer writes like its company.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from sqlglot.dialects.sqlite import SQLite
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType

from tuning.sql_check import SQL_CHARACTERS

_CLAUSES = {
    TokenType.SELECT: "select",
    TokenType.FROM: "from",
    TokenType.WHERE: "where",
    TokenType.GROUP_BY: "group",
    TokenType.HAVING: "having",
    TokenType.ORDER_BY: "order",
    TokenType.LIMIT: "limit",
    TokenType.SEMICOLON: "end",
}
_ORDER = tuple(_CLAUSES.values())
_NOT_CUT = {TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT, TokenType.WINDOW}
_NAMES = {TokenType.VAR, TokenType.IDENTIFIER, TokenType.STRING, TokenType.NUMBER}


@dataclass(frozen=True)
class QueryText:
    """One SELECT, cut at its own clauses; those of queries within it are not looked for."""

    clauses: Mapping[str, str]
    """By name (select, from, where, group, having, order, limit, end): its text, keyword first."""
    gap: str = " "
    """The white space between two of them."""
    end_gap: str = ""
    """The white space before the semicolon."""

    @property
    def text(self) -> str:
        """The whole query."""
        parts = [self.clauses[name] for name in _ORDER[:-1] if name in self.clauses]
        end = self.clauses.get("end")
        return self.gap.join(parts) + (self.end_gap + end if end else "")

    def get(self, name: str) -> str | None:
        """The text of a clause, None where there is none."""
        return self.clauses.get(name)

    def with_clauses(self, **changes: str | None) -> "QueryText":
        """The query with other clauses; None leaves one out."""
        changed = {**self.clauses, **changes}
        kept = {name: text for name, text in changed.items() if text}
        return replace(self, clauses=MappingProxyType(kept))

    def cased(self, word: str) -> str:
        """A word of SQL in the case of the query's own first word."""
        return word.lower() if self.clauses["select"][:6].islower() else word.upper()


def query_text(query: str) -> QueryText | None:
    """The clauses of `query`; None for one with a comment, a union, or that is no SELECT."""
    query = query.strip()
    tokens = tokens_of(query)
    starts = _starts(tokens)
    names = [name for name, _ in starts]
    wanted = sorted(set(names), key=_ORDER.index)
    if names[:2] != ["select", "from"] or names != wanted or any(one.comments for one in tokens):
        return None
    if starts[0][1] != 0 or names[-1] == "end" and query[starts[-1][1] :] != ";":
        return None
    ends = [start for _, start in starts[1:]] + [len(query)]
    cut = {name: query[start:end] for (name, start), end in zip(starts, ends, strict=True)}
    last = cut[names[-2]] if names[-1] == "end" else ""
    return QueryText(
        MappingProxyType({name: text.strip() for name, text in cut.items()}),
        gap=cut["select"][len(cut["select"].rstrip()) :] or " ",
        end_gap=last[len(last.rstrip()) :],
    )


def tokens_of(text: str) -> list[Token]:
    """The tokens of SQL, with their places in the text; none where it cannot be read."""
    if len(text) > SQL_CHARACTERS:
        return []
    try:
        return list(SQLite().tokenize(text))
    except SqlglotError:
        return []


def replaced(text: str, token: Token, new: str) -> str:
    """The text with `new` in the place of one of its tokens."""
    return text[: token.start] + new + text[token.end + 1 :]


def own_words(query: str) -> list[str]:
    """The names and values of a query: all but the words of SQL itself and its functions."""
    tokens = tokens_of(query)
    following = [one.token_type for one in tokens[1:]] + [TokenType.SEMICOLON]
    return [
        one.text
        for one, after in zip(tokens, following, strict=False)
        if one.token_type in _NAMES and after is not TokenType.L_PAREN
    ]


def count_of(queries: Sequence[str]) -> str | None:
    """How these queries write `count(*)`; None where none does."""
    found = re.search(r"count\s*\(\s*\*\s*\)", "\n".join(queries), re.IGNORECASE)
    return found[0] if found else None


def _starts(tokens: Sequence[Token]) -> list[tuple[str, int]]:
    """(name, place) of each clause, in order; none for what is not cut into clauses."""
    depth, starts = 0, []
    for token in tokens:
        depth += (token.token_type is TokenType.L_PAREN) - (token.token_type is TokenType.R_PAREN)
        if depth:
            continue
        if token.token_type in _NOT_CUT:
            return []
        if token.token_type in _CLAUSES:
            starts.append((_CLAUSES[token.token_type], token.start))
    return starts
