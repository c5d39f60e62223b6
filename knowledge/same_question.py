"""Whether two questions ask the same, so surely that the answer of one serves for the other.

A wrong answer from an approved correction is worse than none, so two questions are the same only
where nothing that they say is left over: the same words in their base forms, the same numbers,
the same negations, the same time, the same kind of thing asked for, before and after and more and
less around the same words, and nobody in somebody else's place. What embeddings call near ("orders
in May", "orders in June") is what this must tell apart. It knows English; of any other language it
lets only the same words through.
"""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import simplemma

from knowledge.english import (
    ALIKE,
    AMOUNTS,
    AMOUNTS_OF_MONEY,
    ASKING_FOR_YES,
    BEING,
    BINDING,
    COMPOUNDING,
    DATES,
    DEED_FIRST,
    DENYING,
    DETERMINERS,
    FRONTED,
    KINDS,
    LEADING,
    LIGHT,
    NUMBERS,
    PARTICLES,
    PASSIVES,
    PERSONS,
    PLACING,
    POLITE,
    REWRITES,
    SAME_WORDS,
    TIMES,
)

LONGEST = 400
"""Characters of a question that is compared; a longer one is a text, and only itself."""
_WORD = re.compile(
    r"(?:(?<!\w)[-−])?\w+(?:[-+.]\w+)*[+#]*"
    r"|[^\w\s.,;:!?'\"()\[\]{}…“”„’‘«»–—−`-]"
)
"""Words and numbers with what belongs to them (-5, C#), and signs that say something: < > = / @."""
_CAPITAL = re.compile(r"(?<=[\w,;)’'\"] )[A-Z][A-Za-z]*(?![\w'’])")
_FUTURE = re.compile(r"\b(?:will|shall|going to|to be \w+(?:ed|en|t))\b")
_PAST = re.compile(r"\b(?:was|were|did|had|been|could(?! you\b))\b")
_MUST = re.compile(r"\b(?:must|should|ought to|had to)\b")
_SMALL = LIGHT | DENYING | LEADING | AMOUNTS | PERSONS.keys()
_NOW = re.compile(r"\b(?:is|are|am|be|being|do|does|can|must|may(?!-))\b")
_MAY = re.compile(r"\b(?:can|may(?!-)|able|possible|allowed|permitted)\b")
_DOES = re.compile(
    r"\b(?:do|does|did) (?!not\b|i\b|we\b|you\b|he\b|she\b|it\b|they\b|.*\bhave\b)\w"
)
_WHETHER = re.compile(r"^(?:whether|if)\b")
_DATED = re.compile(
    r"\b(?:last (?:night|week|weekend|month|quarter|year|time)|ago|yesterday|(?:19|20)\d\d)\b"
)


@dataclass(frozen=True)
class Asked:
    """What a question says, its small words sorted out."""

    kind: str
    """What is asked for: "count", "when", "yes or no"; "what" where it is a thing or a list."""
    words: tuple[str, ...]
    """Base forms of the words that count, in order."""
    led_by: tuple[str, ...]
    """The preposition before each of them, or ''; "are" for any form of it."""
    leading: frozenset[tuple[str, str]]
    """(before, word): what stands before words, as in "until March"."""
    denials: int
    time: str
    """"future", "past", "now"; "open" where only participles tell; "dated" where a date does."""
    past_forms: frozenset[str]
    must: bool
    persons: tuple[str, ...]
    """Who is spoken of by pronouns, in order: "first", "second", "third"."""
    may: bool
    """Whether what may be is asked for, not what is; no matter where the answer is yes or no."""
    deed: bool | None
    """Whether it asks for a deed: "open the invoices", not "open invoices"; None: for an answer."""
    inverted: bool
    """Whether somebody is named who does it: "who does Bo coach", not "who coaches Bo"."""


@lru_cache(4096)
def read_question(text: str, active: bool = False) -> Asked:
    """The question taken apart; with `active` as if a passive had been said actively."""
    spelled = _spelled(text)
    start = POLITE.match(spelled)
    asks = bool(start and start["asks"])
    polite = bool(start and start[0].strip())
    body = spelled[start.end() :].strip() if start else spelled
    body = _active(body) if active else body
    kind, rest = _kind(body, asks=asks, polite=polite)
    said = _WORD.findall(rest)
    words, led_by, leading = _sorted_out(said, asks=asks)
    past = {base_form(word) for word in said if _is_past(word)} & set(words)
    return Asked(
        kind=_what_as_well(kind, set(words)),
        words=words,
        led_by=led_by,
        leading=leading,
        denials=sum(word in DENYING for word in _WORD.findall(spelled)),
        time=_time(spelled, rest, past_form=bool(past)),
        past_forms=frozenset(past),
        must=bool(_MUST.search(rest)),
        persons=tuple(PERSONS[word] for word in said if word in PERSONS),
        may=kind in ("what", "count") and bool(_MAY.search(rest)),
        deed=None if asks else kind == "what" and _is_deed(said),
        inverted=kind in ("what", "count") and bool(_DOES.search(rest)),
    )


def _sorted_out(
    said: list[str], *, asks: bool
) -> tuple[tuple[str, ...], tuple[str, ...], frozenset[tuple[str, str]]]:
    """`words`, `led_by` and `leading` of `Asked`."""
    light = LIGHT | PERSONS.keys() | DENYING
    words: list[str] = []
    led_by: list[str] = []
    leading: set[tuple[str, str]] = set()
    before, led = "", ""
    for at, given in enumerate(said):
        word = NUMBERS.get(given, given)
        if word in PLACING or word in LEADING:
            led = word
        elif at > 0 and word in BEING:
            led = "are"
        if word in PARTICLES:
            leading.add((word, ""))
        elif word in LEADING:
            if before:
                leading.add((before, ""))
            before = word
        elif word in AMOUNTS and asks and not words:
            continue
        elif word not in light and SAME_WORDS.get(word, word) not in light:
            words.append(base_form(word))
            led_by.append(led)
            if before:
                leading.add((before, words[-1]))
            before, led = "", ""
    if before:
        leading.add((before, ""))
    return tuple(words), tuple(led_by), frozenset(leading)


def what_differs(one: str, other: str) -> str:
    """What tells two questions apart, in a word; '' when they ask the same."""
    if one == other or (_folded(one) and _folded(one) == _folded(other)):
        return ""
    if max(len(one), len(other)) > LONGEST:
        return "words"
    differs = _differs(read_question(one), read_question(other))
    if differs in ("relation", "order", "time"):
        return _differs(read_question(one, active=True), read_question(other, active=True))
    return differs


def _differs(a: Asked, b: Asked) -> str:
    if not a.words:
        return "words"
    if a.denials != b.denials:
        return "negation"
    if a.kind != b.kind:
        return "kind"
    if Counter(a.words) != Counter(b.words):
        return "words"
    if _bound(a) != _bound(b) or _conflict(a, b):
        return "relation"
    if not _same_time(a, b) or (a.must, a.may) != (b.must, b.may):
        return "time"
    if a.persons and b.persons and not _same_persons(a.persons, b.persons):
        return "person"
    if a.inverted != b.inverted or {a.deed, b.deed} == {True, False}:
        return "order"
    return "" if _moved(a, b) else "order"


def meaning_key(question: str) -> str:
    """A hash that two different texts have in common if `same_question` is true of them.

    Not the other way round: it is for finding what is worth comparing. '' for what is like
    nothing else.
    """
    if len(question) > LONGEST:
        return ""
    asked = read_question(question)
    if not asked.words:
        return ""
    said = "\n".join((asked.kind, str(asked.denials), *sorted(asked.words)))
    return hashlib.sha256(said.encode()).hexdigest()


def same_question(one: str, other: str) -> bool:
    """Whether the answer to one may be served for the other."""
    return not what_differs(one, other)


def _folded(text: str) -> str:
    return " ".join(_named(text).casefold().replace("’", "'").split()).strip(" .?!")


def _named(text: str) -> str:
    """Small words that are names, by their capital in a sentence, are marked: IT, plan A, in May.

    Not in a text that is all capitals.
    """
    if text.isupper():
        return text
    return _CAPITAL.sub(lambda found: found[0] + ("-name" if _small(found[0]) else ""), text)


def _small(word: str) -> bool:
    folded = word.casefold()
    return word != "I" and folded in _SMALL


def _spelled(text: str) -> str:
    folded = DEED_FIRST.sub(r"how do i \g<deed>", _folded(text))
    folded = FRONTED.sub(r"\g<asks> \g<first>", folded)
    spelled = re.sub(r"[?!;:\"“”„]+|[.,](?=\s|$)", " ", folded)
    for pattern, written in REWRITES:
        spelled = pattern.sub(written, spelled)
    return " ".join(spelled.split())


def _active(body: str) -> str:
    for pattern, active in PASSIVES:
        found = pattern.match(body)
        if found and _is_past(found["done"]):
            parts = found.groupdict()
            parts["do"] = "did" if parts.get("be") in ("was", "were") else "does"
            parts["past"] = parts["done"]
            parts["done"] = simplemma.lemmatize(parts["done"], lang="en")
            return active.format(**parts)
    return body


def _kind(body: str, *, asks: bool, polite: bool) -> tuple[str, str]:
    for kind, pattern in KINDS:
        if found := pattern.search(body):
            rest = body[: found.start()] + " " + body[found.end() :]
            if kind == "cost":
                rest = re.sub(r"\b(?:cost|price)s?\b", " ", rest)
            return kind, rest
    if asks:
        return ("yes or no" if _WHETHER.match(body) else "what"), _WHETHER.sub("", body)
    first = body.split(" ", 1)[0]
    return ("yes or no" if first in ASKING_FOR_YES and not polite else "what"), body


def _what_as_well(kind: str, words: set[str]) -> str:
    """What is asked of a deadline by "when" and of a fee by "how much", "what" asks too."""
    if (kind == "when" and DATES & words) or (kind == "cost" and AMOUNTS_OF_MONEY & words):
        return "what"
    return kind


@lru_cache(65536)
def base_form(word: str) -> str:
    """The base form, its comparison kept: "older" is not "old"."""
    if word in SAME_WORDS or any(map(str.isdigit, word)):
        return SAME_WORDS.get(word, word)
    base = simplemma.lemmatize(word, lang="en").casefold()
    if base != word and word.endswith(("er", "est")):
        return f"{base}+{word[-2:]}"
    return SAME_WORDS.get(base, base)


@lru_cache(65536)
def _is_past(word: str) -> bool:
    base = simplemma.lemmatize(word, lang="en").casefold()
    return base != word and not word.endswith(("s", "ing", "er", "est"))


def _time(spelled: str, rest: str, *, past_form: bool) -> str:
    if _FUTURE.search(spelled):
        return "future"
    if _PAST.search(spelled):
        return "past"
    if _NOW.search(rest):  # without "what is the number of", which is about no time
        return "now"
    if past_form:
        return "open"
    has = re.search(r"\b(?:has|have)\b", rest)
    return "dated" if _DATED.search(spelled) and not has else "now"


def _same_time(a: Asked, b: Asked) -> bool:
    if a.time == b.time:
        return a.time not in ("now", "open") or a.past_forms == b.past_forms
    times = {a.time, b.time}
    if times == {"open", "now"}:
        return a.past_forms == b.past_forms
    return times in ({"open", "past"}, {"dated", "past"})


def _is_deed(said: list[str]) -> bool:
    """Whether a verb and its object begin: "open the invoices", "turn off the light"."""
    first = [word for word in said if word not in PARTICLES and word != "on"][:2]
    return len(first) == 2 and first[0] not in _SMALL and first[1] in DETERMINERS


def _same_persons(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    """In the same places where there are as many; else at least the same ones."""
    return a == b if len(a) == len(b) else set(a) == set(b)


def _bound(asked: Asked) -> set[tuple[str, str]]:
    both_ends = any(before == "from" for before, _ in asked.leading)
    return {one for one in asked.leading if one[0] in BINDING or (both_ends and one[0] == "to")}


def _conflict(a: Asked, b: Asked) -> bool:
    mine, others = ({word: before for before, word in one.leading} for one in (a, b))
    if any(mine[word] != others[word] for word in mine.keys() & others.keys()):
        return True
    # "units left in Leeds", "units left Leeds"
    return a.words == b.words and any(
        _other_place(x, y) and word not in TIMES
        for word, x, y in zip(a.words, a.led_by, b.led_by, strict=True)
    )


def _other_place(one: str, other: str) -> bool:
    if one and other:
        return one != other and not {one, other} <= ALIKE
    return (one or other) in ("in", "on", "at")


def _moved(a: Asked, b: Asked) -> bool:
    """Whether one order is the other but for one part that may stand elsewhere."""
    if a.words == b.words:
        return True
    pairs = list(zip(a.words, b.words, strict=True))
    start = next(at for at, (x, y) in enumerate(pairs) if x != y)
    end = len(pairs) - next(at for at, (x, y) in enumerate(pairs[::-1]) if x != y)
    x, y = a.words[start:end], b.words[start:end]
    for cut in range(1, len(x)):
        if x[cut:] + x[:cut] == y:
            here, there = start + cut, start + len(x) - cut
            in_a = a.led_by[start], a.led_by[here]
            in_b = b.led_by[start], b.led_by[there]
            return _may_move(x[cut], in_a, in_b) or _may_move(x[0], in_b, in_a)
    return False


def _may_move(word: str, behind: tuple[str, str], front: tuple[str, str]) -> bool:
    """Whether the second part of a text, from `word` on, may be the first of another one.

    It may if it says when, or with its own preposition ("in May"), or where that turns it into the
    first part of a compound ("price of the boots", "boots' price"); the tuples say what leads the
    two parts. "Does A replace B" has no such part, and in "bride of the father" the other has.
    """
    first, second = behind
    if (word in TIMES or (second and second == front[0])) and first == front[1]:
        return True
    return second in COMPOUNDING and front == (first, "")
