"""What can be compared between two sentences: numbers, dates, amounts, addresses. Pure.

A figure has a kind, and only figures of one kind can contradict each other: "30 days" and
"45 days", not "30 days" and "30 euros".
"""

import re

Figures = dict[str, set[str]]
"""The figures of a text by kind, each written in one way."""

_SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_WORDS = {word: str(number) for number, word in enumerate(_SMALL)}
_WORDS |= {word: str(number * 10) for number, word in enumerate(_TENS, start=2)}
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]

_NUMBER = r"\d+(?:[.,]\d+)*"
_MONTH = rf"(?:{'|'.join(_MONTHS)})[a-z]*\.?"
_CURRENCIES = r"€|\$|£|euros?\b|eur\b|dollars?\b|usd\b|pounds?\b|gbp\b|francs?\b|chf\b"
_KINDS = (
    ("address", re.compile(r"https?://[^\s<>\"')]+|www\.[^\s<>\"')]+")),
    ("mail", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    ("date", re.compile(r"\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b")),
    ("date", re.compile(rf"\b\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}(?:\s+\d{{4}})?\b")),
    ("date", re.compile(rf"\b{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\s+\d{{4}})?")),
    ("time", re.compile(r"\b\d{1,2}:\d{2}(?:\s?[ap]m\b)?|\b\d{1,2}\s?[ap]m\b")),
    ("phone", re.compile(r"\+\d[\d ()/-]{6,}\d|\b0\d[\d ()/-]{6,}\d")),
    ("amount", re.compile(rf"(?:{_CURRENCIES})\s?{_NUMBER}|{_NUMBER}\s?(?:{_CURRENCIES})")),
    ("percent", re.compile(rf"{_NUMBER}\s?(?:%|percent\b|per cent\b)")),
)
_COUNT = re.compile(rf"(?<![\w.,-])({_NUMBER}|{'|'.join(_WORDS)})\b(?:[\s-]+([a-z]+))?")
_ANY_NUMBER = re.compile(rf"(?<![\w.,]){_NUMBER}|\b(?:{'|'.join(_WORDS)})\b")
_ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th)\b")


def figures(text: str) -> Figures:
    """The figures of `text` by kind; a number's kind is the word after it, `number of day`."""
    found: Figures = {}
    rest = " ".join(text.split()).casefold()
    for kind, pattern in _KINDS:
        for match in pattern.finditer(rest):
            found.setdefault(kind, set()).add(_plain(kind, match.group().rstrip(".,;")))
        # a date is no number besides
        rest = pattern.sub(" | ", rest)
    for number, unit in _COUNT.findall(rest):
        found.setdefault(f"number of {_singular(unit)}", set()).add(_number(number))
    return found


def numbers(text: str) -> set[str]:
    """Every number of `text`, in digits or as a word up to twelve and in tens, written one way."""
    return {_number(found) for found in _ANY_NUMBER.findall(text.casefold())}


def _plain(kind: str, text: str) -> str:
    if kind in ("amount", "percent"):
        return _number(re.findall(_NUMBER, text)[0])
    if kind == "phone":
        return re.sub(r"[^\d+]", "", text)
    if kind == "date":
        text = _ORDINAL.sub("", text)
        month = re.search(_MONTH, text)
        if month:
            numbers = re.findall(r"\d+", text)
            return " ".join([month.group()[:3], *(number.lstrip("0") for number in numbers)])
    if kind == "time":
        return text.replace(" ", "").replace(":00", "")
    return text


def _number(text: str) -> str:
    """`1,000` and `1000`, `4.50` and `4.5` are the same; a comma before other than three is a
    decimal one."""
    text = _WORDS.get(text, text)
    text = re.sub(r"[.,](?=\d{3}(?:\D|$))", "", text).replace(",", ".")
    return text.rstrip("0").rstrip(".") if text.count(".") == 1 else text


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") else word
