"""A brand's voice: a small tea shop answers its customers, always in the same manner.

Written for this benchmark. What an answer says cannot be judged by a program and is not; how it is
said can: greeting, sign-off, "we", words that the shop never uses, length, and whether it takes up
what the customer wrote about.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.benchmarks.skill import (
    HERE,
    Cases,
    Item,
    Reply,
    Scores,
    Skill,
    mean,
    read_rows,
    share,
)
from tuning.checks import judge
from tuning.style import likeness, style_check

GREETING, SIGN_OFF = "Hello from the kettle,", "Warmly, Moss & Kettle"
INSTRUCTIONS = (
    "You answer the customers of Moss & Kettle, a small shop that sends its teas by post. Write as "
    f'we write. Begin with the line "{GREETING}" and end with the line "{SIGN_OFF}". In between '
    'stand two to four short sentences. Say "we" and never "I". Be warm and plain, use no '
    "exclamation mark, and never say unfortunately, policy, inconvenience or apologies."
)
BANNED = re.compile(r"!|\b(?:unfortunately|policy|policies|inconvenien\w+|apolog\w+)\b", re.I)
OURS = re.compile(r"\b(?:we|us|our|ours|ourselves)\b", re.I)
MINE = re.compile(r"\b(?:I|me|my|mine|myself)\b")
LEAST_WORDS, MOST_WORDS = 20, 70
"""Between greeting and sign-off; the taught answers have 34 to 45."""

Check = Callable[[Item, str], bool]


def read_voice(folder: Path | None) -> Cases:
    """The shop's own pairs and other messages; no folder is needed."""
    taught = [Item(row["message"], row["reply"]) for row in read_rows(HERE / "voice/taught.jsonl")]
    asked = [
        Item(row["message"], facts=tuple(row["about"]))
        for row in read_rows(HERE / "voice/asked.jsonl")
    ]
    return Cases(tuple(taught), tuple(asked))


def measure_voice(cases: Cases, replies: Sequence[Reply]) -> Scores:
    """How many pass each check and all of them, and how like the taught answers they are."""
    answers = [reply.answer for reply in replies]
    passed = {
        name: [check(item, text) for item, text in zip(cases.asked, answers, strict=True)]
        for name, check in VOICE_CHECKS.items()
    }
    written = [item.answer for item in cases.taught]
    style = style_check(written)
    return {
        "every check": share([all(each) for each in zip(*passed.values(), strict=True)]),
        **{name: share(found) for name, found in passed.items()},
        "no taught answer again": share([text not in written for text in answers]),
        "as like us as our own": share([judge(style, "", text) for text in answers]),
        "likeness": mean([likeness(style["grams"], text) for text in answers]),
    }


def _greets(item: Item, text: str) -> bool:
    return text.startswith(f"{GREETING}\n") and text.count(GREETING) == 1


def _signs(item: Item, text: str) -> bool:
    return text.endswith(f"\n{SIGN_OFF}") and text.count(SIGN_OFF) == 1


def _says_we(item: Item, text: str) -> bool:
    return bool(OURS.search(body(text))) and not MINE.search(text)


def _bans_nothing(item: Item, text: str) -> bool:
    return not BANNED.search(text)


def _is_short(item: Item, text: str) -> bool:
    return LEAST_WORDS <= len(body(text).split()) <= MOST_WORDS


def _takes_up(item: Item, text: str) -> bool:
    """One of the words that the message is about, as a word's beginning: `box` in "boxes"."""
    return any(re.search(rf"\b{re.escape(word)}", body(text), re.IGNORECASE) for word in item.facts)


def body(text: str) -> str:
    """What stands between greeting and sign-off."""
    return text.replace(GREETING, "").replace(SIGN_OFF, "").strip()


VOICE_CHECKS: Mapping[str, Check] = {
    "greeting": _greets,
    "sign-off": _signs,
    '"we"': _says_we,
    "words": _bans_nothing,
    "length": _is_short,
    "on the matter": _takes_up,
}
VOICE = Skill(
    name="voice",
    instructions=INSTRUCTIONS,
    checks=[
        {"type": "regex", "pattern": rf"(?s)\A{GREETING}\n(?!.*\bI\b)[^!]*\n{SIGN_OFF}\Z"},
    ],
    read=read_voice,
    measure=measure_voice,
    judged_by="every check",
    minutes=10.0,
    max_tokens=140,
    example_tokens=400,
    ceiling=False,
)
