"""The pages of the benchmark of a large corpus."""

import json

from tests.benchmarks.corpus import EVERY, REAL_PAGE, write_pages, write_real


def test_pages_are_the_same_each_time_and_a_needle_stands_on_one_alone(tmp_path):
    needles = write_pages(tmp_path / "one", 1201)
    assert needles == write_pages(tmp_path / "other", 1201) and len(needles) == 1201 // EVERY + 1
    pages = {path.relative_to(tmp_path / "one").as_posix(): path for path in files(tmp_path, "one")}
    texts = {name: path.read_text() for name, path in pages.items()}
    assert len(texts) == len(set(texts.values())) == 1201
    for needle in needles:
        hall = needle.question.rpartition(" ")[2].rstrip("?")
        assert [name for name, text in texts.items() if f"hall {hall} " in text] == [
            needle.document
        ]


def files(folder, name):
    return (folder / name).rglob("*.txt")


def test_real_text_is_cut_into_pages_without_losing_a_word(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    text = " ".join(f"word{number}" for number in range(900))
    (source / "a.md").write_text(text)
    (source / "b.jsonl").write_text(json.dumps({"text": "Only this."}) + "\n" + json.dumps([1]))
    (source / "c.pdf").write_bytes(b"not read")
    needles = write_real(tmp_path / "real", source)
    pages = [path.read_text() for path in sorted(files(tmp_path, "real"))]
    assert len(needles) == 1 and "opens with the code" in pages[0]
    assert pages[-1].split() == ["Only", "this."]
    assert all(len(page) <= REAL_PAGE + 120 for page in pages)
    joined = " ".join(pages).split()
    assert [word for word in joined if word.startswith("word")] == text.split()
