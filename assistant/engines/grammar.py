"""A JSON Schema as a grammar, by which no token is taken that would leave it.

llama.cpp has the same library inside (llguidance), so both engines hold a reply to the same texts.
It refuses a schema with a keyword that it cannot enforce, where llama.cpp would go on without any.
"""

import json
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from llguidance import LLMatcher, LLTokenizer

from assistant.engines.protocol import EngineFailed

STYLES = {"compact": (",", ":"), "spaced": (", ", ": ")}
"""As JavaScript and as Python write it. Any white space at all, and a model may write it for ever:
a tiny one of random weights did."""
LAST_SCHEMAS = 32
"""Compiled grammars that are kept."""


@lru_cache(LAST_SCHEMAS)
def schema_fault(schema: str) -> str | None:
    """Why replies cannot be held to a JSON Schema (as text), in words; None when they can be."""
    # options of its own that a schema may carry do not reach an engine
    grammar = LLMatcher.grammar_from_json_schema(
        schema, overrides={"lenient": False, "coerce_one_of": False}
    )
    return " ".join(LLMatcher.validate_grammar(grammar).split()) or None


def lark(schema: str) -> str:
    """The grammar of the texts that fit a JSON Schema, written in one of the `STYLES`."""
    styles = [
        f"{name}: %json {json.dumps({**json.loads(schema), 'x-guidance': _style(*between)})}"
        for name, between in STYLES.items()
    ]
    return "\n".join([f"start: {' | '.join(STYLES)}", *styles])


def _style(item: str, key: str) -> dict[str, str | bool]:
    return {"whitespace_flexible": False, "item_separator": item, "key_separator": key}


class Grammar:
    """What may follow in one reply. `Grammars.of` makes it."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher

    def allowed(self) -> bytes:
        """Of each token id whether it may be next: a byte, 0 for no.

        Raises EngineFailed where the grammar has grown beyond the library's limits.
        """
        if self._matcher.is_error():
            raise EngineFailed(
                f"The reply could not be held to its schema ({self._matcher.get_error()[:200]}): "
                "make the schema simpler."
            )
        return self._matcher.compute_logit_bias()

    def take(self, token: int) -> None:
        """The token was taken; the end of a turn too, once."""
        self._matcher.consume_token(token)


class Grammars:
    """Grammars over the tokens of one base model. Safe for many threads."""

    def __init__(self, folder: Path, end_ids: Collection[int]) -> None:
        """`folder` has the tokenizer.json; `end_ids` end a reply.

        Raises EngineFailed for a kind of tokenizer that the library does not know.
        """
        path = folder / "tokenizer.json"
        try:
            self._tokenizer = LLTokenizer(str(path), eos_token=sorted(end_ids))
        except ValueError as error:
            raise EngineFailed(
                f"Replies of this base model cannot be held to a schema ({error}): set "
                "strict_format=false for the workspace."
            ) from error
        self._first = lru_cache(LAST_SCHEMAS)(self._compiled)

    def of(self, schema: str) -> Grammar:
        """The grammar of a schema at its beginning. EngineFailed where it cannot be enforced."""
        return Grammar(self._first(schema).deep_copy())

    def _compiled(self, schema: str) -> LLMatcher:
        matcher = LLMatcher(self._tokenizer, lark(schema), log_level=0)
        if matcher.is_error():
            raise EngineFailed(f"A reply cannot be held to its schema: {matcher.get_error()[:200]}")
        return matcher
