"""What `bench_answers` counts."""

import json

from tests.benchmarks.bench_answers import QUESTIONS, citations, pages, right

SOURCES = [{"text": "Goods may be returned within 45 days."}, {"text": "Open from Tuesday on."}]


def reply(answer, *, declined=False):
    return {"answer": answer, "declined": declined, "sources": SOURCES}


def test_each_part_must_be_said_in_one_of_its_ways():
    row = {"answer": [["Tuesday"], ["9:00", "nine"]]}
    assert right(row, reply("From tuesday at Nine."))
    assert not right(row, reply("From Tuesday."))
    assert not right(row, reply("Tuesday, nine", declined=True))


def test_a_citation_holds_where_its_source_has_names_and_numbers():
    assert citations(reply("Goods may be returned within 45 days. Come in!")) == [True]
    assert citations(reply("Come in!")) == []


def test_the_questions_are_as_many_as_the_aims_speak_of():
    for name, answerable, others in (("sample", 100, 50), ("docs_dify", 50, 50)):
        text = (QUESTIONS / f"{name}_questions.jsonl").read_text(encoding="utf-8")
        rows = [json.loads(line) for line in text.splitlines()]
        assert sum("answer" in row for row in rows) == answerable
        assert sum("answer" not in row for row in rows) == others


def test_a_corpus_becomes_pages(tmp_path):
    file = tmp_path / "corpus.jsonl"
    file.write_text(json.dumps({"doc_id": "en/a.mdx", "text": "# A"}) + "\n")
    assert (pages(file, tmp_path / "pages") / "en" / "a.md").read_text() == "# A"
