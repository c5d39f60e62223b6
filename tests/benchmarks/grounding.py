"""Which figures and names a text holds, and whether another text has them. Pure.

A figure is a number in digits or words; a name is a word with a capital letter that does not begin
a sentence, or up to four capitals. Crude on purpose: it knows no grammar, and what it calls missing
was perhaps inferred, so the references are measured beside the answers.
"""

import re

_TEENS = ["thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_UNITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_UNITS += ["eleven", "twelve", *_TEENS]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_VALUES = {word: number for number, word in enumerate(_UNITS)}
_VALUES |= {word: 10 * number for number, word in enumerate(_TENS, start=2)}
_SCALES = {"hundred": 100, "thousand": 1000}
_NO_NAMES = frozenset({"i", "a", "dr", "doctor", "mr", "ms", "mrs", "miss"})
_WORD = re.compile(r"\d+(?:,\d{3}(?!\d))*(?:\.\d+)?|[^\W\d_]+")
_TITLE = re.compile(r"\b(Dr|Mr|Mrs|Ms)\.")
_LIST_NUMBER = re.compile(r"(\A|\n|[.:;]\s+)\d{1,2}[.)](?=\s)")
_SENTENCE = re.compile(r"(?:[.!?:;]\s+|\n+|\A)[\s\-*\"'(\[]*")


def claims(text: str) -> set[str]:
    """The figures and names of a text. "one" says no figure: it mostly means somebody."""
    text = _TITLE.sub(r"\1", _LIST_NUMBER.sub(r"\1", text))
    figures = _figures(_WORD.findall(text), ones=False)
    begins = {match.end() for match in _SENTENCE.finditer(text)}
    names = {
        match.group().casefold()
        for match in _WORD.finditer(text)
        if _acronym(match.group()) or (_capital(match.group()) and match.start() not in begins)
    }
    return figures | (names - _NO_NAMES - set(_VALUES) - set(_SCALES))


def found_in(text: str, wanted: set[str]) -> set[str]:
    """Those of the claims that `text` holds, whatever its case."""
    written = _WORD.findall(text)
    return wanted & (_figures(written, ones=True) | {word.casefold() for word in written})


def held_words(text: str, said: str) -> float:
    """Share of the words of `said` with four letters and more that stand in the text; 1 of none."""
    long = [word for word in map(str.casefold, _WORD.findall(said)) if len(word) > 3]
    known = {word.casefold() for word in _WORD.findall(text)}
    return sum(word in known for word in long) / len(long) if long else 1.0


def _acronym(word: str) -> bool:
    return 1 < len(word) < 5 and word.isupper()


def _capital(word: str) -> bool:
    """Words of capitals alone are headings, VITAL SIGNS, but for a letter: Mr. X."""
    return word[0].isupper() and (len(word) == 1 or not word.isupper())


def _figures(written: list[str], *, ones: bool) -> set[str]:
    """Numbers in digits, and in words: "two hundred and five" is 205, "seventy-six" 76."""
    found = {_digits(word) for word in written if word[0].isdigit()}
    run: list[str] = []
    for word in [*(word.casefold() for word in written), ""]:
        if word in _VALUES or (run and (word in _SCALES or word == "and")):
            run.append(word)
        elif run:
            found |= _values(run) if ones or run != ["one"] else set()
            run = []
    return found


def _values(run: list[str]) -> set[str]:
    """The numbers that a run of number words says, one after the other."""
    found, total, last = set(), 0, 0
    for word in run:
        if word == "and":
            continue
        if word in _SCALES:
            total = (total or 1) * _SCALES[word]
            last = _SCALES[word]
            continue
        value = _VALUES[word]
        joins = value and (last >= 100 or (last >= 20 and last % 10 == 0 and value < 10))
        if total and not joins:
            found.add(str(total))
            total = 0
        total += value
        last = value
    return found | {str(total)}


def _digits(number: str) -> str:
    """`1,000` as 1000, `4.50` as 4.5."""
    number = number.replace(",", "")
    return number.rstrip("0").rstrip(".") if number.count(".") == 1 else number
