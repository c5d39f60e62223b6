"""Two kinds of summaries: clauses in plain words, and a doctor's notes of what was said.

Data: TLDRLegal (Manor and Li 2019, "Plain English Summarization of Contracts") and MTS-Dialog (Ben
Abacha et al. 2023). Texts are taken up to a length, so that minutes of training on a CPU show each
some ten times.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.grounding import claims, found_in, held_words
from tests.benchmarks.rouge import rouge_l, rouge_n, words
from tests.benchmarks.skill import (
    Cases,
    Item,
    Reply,
    Score,
    Scores,
    Skill,
    draw,
    in_folder,
    mean,
    read_rows,
)

LEGAL_FILE = "legal_summary_tldrlegal.jsonl"
LEGAL_CHARACTERS = 2100
"""Of a clause at most, some 400 tokens: 66 of the 83."""
LEGAL_ASKED = 24
LEGAL_INSTRUCTIONS = (
    "You explain clauses of contracts and terms of service. Sum up the text that you are given in "
    "one or two short sentences of plain words, for somebody who is no lawyer. Say only what the "
    "text says."
)
MEDICAL_FILE = "medical_summary_train.jsonl"
MEDICAL_CHARACTERS = 900
"""Of a dialogue at most, some 240 tokens: 4 of 5."""
MEDICAL_TAUGHT, MEDICAL_ASKED = 80, 40
MEDICAL_INSTRUCTIONS = (
    "You write the notes of visits to the doctor. The first line names the section of the note, "
    "below it stands what was said. Write this section, short and factual, and nothing else. Leave "
    "out what was not said."
)
SECTIONS: Mapping[str, str] = {
    "FAM/SOCHX": "family and social history",
    "GENHX": "history of the present illness",
    "PASTMEDICALHX": "past medical history",
    "CC": "chief complaint",
    "MEDICATIONS": "medications",
    "ALLERGY": "allergies",
    "PASTSURGICAL": "past surgery",
    "ROS": "review of systems",
    "ASSESSMENT": "assessment",
    "EXAM": "examination",
    "DIAGNOSIS": "diagnosis",
    "DISPOSITION": "disposition",
    "EDCOURSE": "course in the emergency department",
    "PLAN": "plan",
    "GYNHX": "gynaecological history",
    "IMMUNIZATIONS": "immunizations",
    "OTHER_HISTORY": "other history",
    "LABS": "laboratory results",
    "IMAGING": "imaging",
    "PROCEDURES": "procedures",
}


def read_legal(folder: Path | None) -> Cases:
    """LEGAL_FILE: the shorter clauses, LEGAL_ASKED of them asked, the rest taught."""
    rows = draw(read_rows(in_folder(folder, LEGAL_FILE)), "original_text")
    items = tuple(
        Item(row["original_text"], row["reference_summary"])
        for row in rows
        if len(row["original_text"]) <= LEGAL_CHARACTERS
    )
    return Cases(items[LEGAL_ASKED:], items[:LEGAL_ASKED])


def read_medical(folder: Path | None) -> Cases:
    """MEDICAL_FILE: the shorter dialogues, under the name of the section that is wanted."""
    rows = draw(read_rows(in_folder(folder, MEDICAL_FILE)), "dialogue")
    items = tuple(
        Item(f"Section: {SECTIONS[row['section']]}\n{_lines(row['dialogue'])}", row["summary"])
        for row in rows
        if len(row["dialogue"]) <= MEDICAL_CHARACTERS
    )
    return Cases(items[:MEDICAL_TAUGHT], items[MEDICAL_TAUGHT : MEDICAL_TAUGHT + MEDICAL_ASKED])


def _lines(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def measure_summaries(cases: Cases, replies: Sequence[Reply]) -> Scores:
    """ROUGE F1 against the reference, words for its words, and what the text itself holds."""
    pairs = [(item.answer, reply.answer) for item, reply in zip(cases.asked, replies, strict=True)]
    said = [claims(answer) for _, answer in pairs]
    held = [found_in(item.question, one) for item, one in zip(cases.asked, said, strict=True)]
    return {
        "ROUGE-1": mean([rouge_n(*pair, 1) for pair in pairs]),
        "ROUGE-2": mean([rouge_n(*pair, 2) for pair in pairs]),
        "ROUGE-L": mean([rouge_l(*pair) for pair in pairs]),
        "length": length_ratio(pairs),
        "words in the text": mean([held_words(*pair) for pair in _with_texts(cases, replies)]),
        "figures and names in the text": _of(sum(map(len, held)), sum(map(len, said))),
    }


def _with_texts(cases: Cases, replies: Sequence[Reply]) -> list[tuple[str, str]]:
    return [(item.question, reply.answer) for item, reply in zip(cases.asked, replies, strict=True)]


def length_ratio(pairs: Sequence[tuple[str, str]]) -> Score:
    """Words of all answers for each word of their references."""
    value = sum(len(words(answer)) for _, answer in pairs) / max(
        1, sum(len(words(reference)) for reference, _ in pairs)
    )
    return Score(value, f"{value:.2f}")


def _of(some: int, every: int) -> Score:
    return Score(some / every if every else 1.0, f"{some} of {every}")


LEGAL = Skill(
    name="legal",
    instructions=LEGAL_INSTRUCTIONS,
    checks=[{"type": "regex", "pattern": r"(?s)\A.{10,500}\Z"}],
    read=read_legal,
    measure=measure_summaries,
    judged_by="ROUGE-L",
    minutes=12.0,
    max_tokens=100,
    example_tokens=800,
)
MEDICAL = Skill(
    name="medical",
    instructions=MEDICAL_INSTRUCTIONS,
    checks=[{"type": "regex", "pattern": r"(?s)\A.{3,900}\Z"}],
    read=read_medical,
    measure=measure_summaries,
    judged_by="ROUGE-L",
    minutes=15.0,
    max_tokens=160,
    example_tokens=800,
)
