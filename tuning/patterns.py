"""Regular expressions that cannot hang: searched within a stated time.

Python's `re` has no time limit, and a pattern such as `(a+)+$` takes minutes on 40 characters. The
`regex` package reads the same patterns and stops.
"""

import regex

SEARCH_SECONDS = 1.0
"""A search that takes longer has found nothing."""


class PatternTooSlow(ValueError):
    """The search was stopped."""


def find(pattern: str, text: str) -> bool:
    """Whether `pattern` is found in `text`.

    Raises `regex.error` for what is no pattern and PatternTooSlow after SEARCH_SECONDS.
    """
    try:
        # concurrent: the interpreter's lock is let go, so that a chat beside it goes on
        return regex.search(pattern, text, timeout=SEARCH_SECONDS, concurrent=True) is not None
    except TimeoutError:
        raise PatternTooSlow(f"the pattern takes longer than {SEARCH_SECONDS:g} s") from None


def pattern_fault(pattern: object) -> str | None:
    """What is wrong with a pattern, in words; None when it can be searched for."""
    if not isinstance(pattern, str) or not pattern:
        return "is no text"
    try:
        regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError) as error:
        return f"is no regular expression ({error})"
    return None
