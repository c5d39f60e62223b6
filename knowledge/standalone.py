"""Whether a question can be understood by itself, and what to search for when it cannot.

"And for clubs?" finds nothing in any document. What it is about was said before, so that is
searched for too. No model is asked: a small one would now and then search for something nobody
said, and the words of the last question that stood by itself are what a reader would look up too.
"""

import re
from collections.abc import Sequence

from knowledge.english import SMALL
from knowledge.figures import numbers
from storage.records import ChatMessage

LOOK_BACK = 3
"""Earlier questions of the person that are looked at for one that stands by itself."""
FEWEST_WORDS = 2
"""Words that say something; with fewer a question is taken to hang on what came before."""

_GOES_ON = re.compile(
    r"^(?:and|but|or|so|then|also|or else|what about|how about|what if|why not|same for|what else"
    r"|more|another|again|no|yes|ok|okay|only)\b"
)
_POINTS_BACK = re.compile(
    r"\b(?:they|them|their|theirs|he|him|his|she|hers|its|ones|former|latter|instead|otherwise"
    r"|(?:this|that|which|each|the(?: \w+)?) ones?"
    r"|(?:the|that|this) (?:same|other|previous|last) (?:question|answer|order|thing|one)"
    r"|(?:is|was|does|do|did|about|for|of|to|with|like|after|before|than|mean by)"
    r" (?:that|those|these)"
    r"|these|those|such)\b(?! (?:days|times)\b)"
)
_IT = re.compile(
    r"\bit\b(?! (?:possible|allowed|permitted|safe|true|necessary|legal|takes? to|costs? to)\b)"
)
_ASKS = re.compile(
    r"\?\s*\Z|^\s*(?:please |can you |could you )?(?:what|when|where|which|who|whose|why|how|is|are"
    r"|was|were|do|does|did|can|could|may|must|should|will|would|has|have|list|show|give|tell|count"
    r"|find|name|explain|describe)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"\b[^\W\d_a-z]\w*")
_WORD = re.compile(r"\w+")


def stands_alone(question: str) -> bool:
    """Whether nothing in it points to what was said before.

    It knows English; in another language only a single word is taken to need what came before.
    """
    text = " ".join(question.casefold().replace("’", "'").split())
    if _GOES_ON.match(text) or _POINTS_BACK.search(text) or _IT.search(text):
        return False
    return len(set(_WORD.findall(text)) - SMALL) >= FEWEST_WORDS


def opens_anew(question: str, history: Sequence[ChatMessage]) -> bool:
    """Whether `question` asks what it would ask as the first of a conversation.

    It stands by itself, and nothing that the person said before can narrow it: each of that was a
    question too, and held no number or name that this one has not. Carefully so: "I mean the shop
    in Bristol" or "Which orders are there in May?" may well be meant to go on.
    """
    if not stands_alone(question):
        return False
    own = _figures_and_names(question)
    said = [one["content"] for one in history if one["role"] == "user"]
    return all(_ASKS.search(one) and _figures_and_names(one) <= own for one in said)


def _figures_and_names(text: str) -> set[str]:
    """Months and days count as names where they have their capital."""
    names = {found.group().casefold() for found in _NAME.finditer(text) if found.start()}
    return numbers(text) | names - {"i"}


def search_text(question: str, history: Sequence[ChatMessage]) -> str:
    """What to search the documents for: the question, after the one that it hangs on."""
    if stands_alone(question):
        return question
    asked = [one["content"] for one in history if one["role"] == "user"][-LOOK_BACK:]
    before = [one for one in asked if one != question]
    leading = next((one for one in reversed(before) if stands_alone(one)), None)
    if leading is None:
        return question
    return f"{leading}\n{question}"
