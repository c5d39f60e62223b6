"""Pages to measure with: made up by a seed, or real text, with facts in them that can be asked for.

A needle is a sentence with a code that stands on one page alone; the question for it says it in
other words.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

EVERY = 50
"""One page of so many has a needle."""
REAL_PAGE = 1800
"""Characters of a page of real text at most, about what is printed on one."""
_WORDS = {
    "subject": "pump,valve,boiler,crane,ferry,kiln,loom,press,turbine,winch,organ,lathe,mill,"
    "dryer,mixer,conveyor,chiller,burner,filter,gauge,rotor,stator,gearbox,coupling,bearing,compressor",
    "town": "Aachen,Bergen,Cork,Delft,Essen,Faro,Ghent,Hamar,Izmir,Jena,Kiel,Lyon,Malmo,Nantes,"
    "Oulu,Porto,Riga,Siena,Turku,Ulm,Varna,Worms,Ypres,Zadar",
    "part": "seal,shaft,belt,nozzle,sensor,panel,spring,flange,cable,switch,lever,wheel,hose,cover",
    "act": "checked,replaced,cleaned,measured,greased,tested,adjusted,painted,weighed",
    "when": "every week,each month,twice a year,after each shift,before the winter,on demand",
    "who": "the foreman,the night shift,an outside firm,the apprentice,two fitters,the owner",
    "why": "because dust gathers there,as the maker asks,so that the warranty holds,"
    "for the insurer,or the alarm sounds,since the flood of that spring,to keep the noise down",
    "colour": "amber,blue,coral,dark,grey,green,ivory,jade,olive,plum,red,silver,teal,white",
}
_LISTS = {kind: words.split(",") for kind, words in _WORDS.items()}


@dataclass(frozen=True)
class Needle:
    """What is asked, and the page that answers."""

    question: str
    document: str


def write_pages(folder: Path, count: int, seed: int = 1) -> list[Needle]:
    """`count` made-up pages of 15 to 60 words as files in `folder`, a thousand in each folder."""
    chance, needles = random.Random(seed), []
    for number in range(count):
        name = f"{number // 1000:03}/{number:06}.txt"
        text = " ".join(_sentence(chance) for _ in range(chance.randint(1, 2)))
        if number % EVERY == 0:
            fact, question = _fact(chance, number)
            text += " " + fact
            needles.append(Needle(question, name))
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return needles


def write_real(folder: Path, source: Path, seed: int = 2) -> list[Needle]:
    """The text of `source` as pages: .txt, .md, and the field `text` of each line of .jsonl."""
    chance, needles = random.Random(seed), []
    folder.mkdir(parents=True, exist_ok=True)
    for number, page in enumerate(_real_pages(source)):
        name = f"{number:06}.txt"
        if number % EVERY == 0:
            fact, question = _fact(chance, number)
            page += f"\n\n{fact}"
            needles.append(Needle(question, name))
        (folder / name).write_text(page)
    return needles


def _real_pages(source: Path) -> Iterator[str]:
    for file in sorted(source.rglob("*")):
        if file.suffix in (".txt", ".md"):
            yield from _cut(file.read_text(errors="ignore"))
        elif file.suffix == ".jsonl":
            for line in file.read_text().splitlines():
                said = json.loads(line)
                if isinstance(said, dict) and isinstance(said.get("text"), str):
                    yield from _cut(said["text"])


def _cut(text: str) -> Iterator[str]:
    """Pages that end with a word."""
    words, page = text.replace("\0", "").split(" "), ""
    for word in words:
        if page and len(page) + len(word) > REAL_PAGE:
            yield page
            page = ""
        page += f"{word} "
    if page.strip():
        yield page


def _sentence(chance: random.Random) -> str:
    one = {kind: chance.choice(words) for kind, words in _LISTS.items()}
    return (
        f"The {one['part']} of the {one['subject']} in {one['town']} is {one['act']} "
        f"{one['when']} by {one['who']}, {one['why']}."
    )


def _fact(chance: random.Random, number: int) -> tuple[str, str]:
    """A sentence and the question for it; the number makes it the only one of its kind."""
    colour, subject, town = (chance.choice(_LISTS[kind]) for kind in ("colour", "subject", "town"))
    hall, code = number + 11, chance.randint(10_000, 99_999)
    fact = f"In hall {hall} the {colour} {subject} from {town} opens with the code {code}."
    return fact, f"Which code does one need for the {colour} {subject} in hall {hall}?"
