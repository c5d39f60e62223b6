"""Summaries: which texts are taken and what is measured of them."""

import json

import pytest

from tests.benchmarks.skill import Cases, Item, Reply
from tests.benchmarks.summaries import (
    LEGAL_ASKED,
    LEGAL_CHARACTERS,
    LEGAL_FILE,
    MEDICAL_ASKED,
    MEDICAL_FILE,
    MEDICAL_TAUGHT,
    measure_summaries,
    read_legal,
    read_medical,
)

TEXT = "Doctor: How old are you?\nPatient: I am seventy six. I live in Ohio."


def measured(wanted, answer):
    return measure_summaries(Cases((), (Item(TEXT, wanted),)), [Reply(answer)])


def test_the_wanted_answer_is_perfect():
    found = measured("The patient is 76.", "The patient is 76.")
    assert found["ROUGE-1"].value == found["ROUGE-2"].value == found["ROUGE-L"].value == 1.0
    assert found["length"].text == "1.00"
    assert found["figures and names in the text"].text == "1 of 1"
    assert found["words in the text"].value == 1.0


def test_invented_figures_and_names_are_counted():
    found = measured("A patient.", "The patient is 67 and moved from Ohio to Texas.")
    assert found["figures and names in the text"].text == "1 of 3"
    assert found["words in the text"].value == pytest.approx(2 / 5)
    assert found["length"].value == 5.0


def test_an_empty_answer_has_nothing_wrong_and_nothing_right():
    found = measured("The patient is 76.", "")
    assert found["ROUGE-L"].value == found["length"].value == 0.0
    assert found["figures and names in the text"].text == "0 of 0"


def test_legal_texts_are_those_that_fit(tmp_path):
    rows = [{"original_text": f"clause {n}", "reference_summary": f"{n}"} for n in range(30)]
    rows.append({"original_text": "x" * (LEGAL_CHARACTERS + 1), "reference_summary": "long"})
    (tmp_path / LEGAL_FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read_legal(tmp_path)
    assert (len(found.taught), len(found.asked)) == (30 - LEGAL_ASKED, LEGAL_ASKED)
    assert not set(found.taught) & set(found.asked)
    assert "long" not in {item.answer for item in (*found.taught, *found.asked)}


def test_a_dialogue_stands_under_the_name_of_its_section(tmp_path):
    rows = [
        {"section": "ALLERGY", "dialogue": f"Doctor: {n}? \r\nPatient: No.", "summary": "None."}
        for n in range(200)
    ]
    (tmp_path / MEDICAL_FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read_medical(tmp_path)
    assert (len(found.taught), len(found.asked)) == (MEDICAL_TAUGHT, MEDICAL_ASKED)
    section, doctor, patient = found.asked[0].question.split("\n")
    assert section == "Section: allergies" and patient == "Patient: No."
    assert doctor.startswith("Doctor: ") and doctor == doctor.strip()
