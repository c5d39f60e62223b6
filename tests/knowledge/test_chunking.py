from hypothesis import given
from hypothesis import strategies as st

from knowledge.chunking import split_into_chunks
from knowledge.sections import Section


def words(text: str) -> int:
    return len(text.split())


def chunks(*sections: Section, max_tokens: int = 12, overlap: int = 0) -> list[tuple[str, str]]:
    return split_into_chunks(sections, count_tokens=words, max_tokens=max_tokens, overlap=overlap)


def test_a_short_section_is_one_chunk_under_its_heading():
    assert chunks(Section("Returns", "Within 30 days.")) == [("Returns", "Within 30 days.")]


def test_a_chunk_never_spans_two_sections():
    found = chunks(Section("A", "one two"), Section("B", "three"))
    assert found == [("A", "one two"), ("B", "three")]


def test_a_long_section_is_cut_at_paragraphs_then_sentences():
    text = "One two three. Four five six.\n\nSeven eight nine ten eleven twelve thirteen fourteen."
    assert chunks(Section("", text), max_tokens=8) == [
        ("", "One two three. Four five six."),
        ("", "Seven eight nine ten eleven twelve thirteen fourteen."),
    ]
    assert chunks(Section("", text), max_tokens=4)[:2] == [
        ("", "One two three."),
        ("", "Four five six."),
    ]


def test_neighbours_overlap():
    text = " ".join(f"w{number}" for number in range(30))
    found = [piece.split() for _, piece in chunks(Section("", text), max_tokens=10, overlap=3)]
    assert all(before[-3:] == after[:3] for before, after in zip(found, found[1:], strict=False))


def test_the_heading_counts_into_the_size():
    text = " ".join(f"w{number}" for number in range(30))
    found = chunks(Section("Four words of heading", text))
    assert all(words(heading) + words(piece) <= 12 for heading, piece in found)
    assert {heading for heading, _ in found} == {"Four words of heading"}


def test_a_heading_longer_than_half_a_chunk_becomes_text():
    heading = " ".join(f"h{number}" for number in range(20))
    found = chunks(Section(heading, "body"))
    assert {kept for kept, _ in found} == {""}
    assert " ".join(piece for _, piece in found).split() == [*heading.split(), "body"]


def test_a_heading_alone_becomes_text():
    assert chunks(Section("A > B", "")) == [("", "A > B")]


def test_a_cut_does_not_part_what_belongs_together():
    text = "See code ERR-4711, file a/b/c.txt or http://x.y/z?q=1#e and so on " * 9
    found = chunks(Section("", text), max_tokens=7, overlap=2)
    assert {word for _, piece in found for word in piece.split()} == set(text.split())


def test_a_word_longer_than_a_chunk_is_cut():
    found = split_into_chunks([Section("", "x" * 50)], count_tokens=len, max_tokens=8, overlap=0)
    assert "".join(piece for _, piece in found) == "x" * 50
    assert all(len(piece) <= 8 for _, piece in found)


# text of many scripts, and the spaces and punctuation that splitters stumble over
texts = st.text(st.sampled_from("abcäß中文字🙂e\u0301 .,!?\n\t-–\"'()#>|\u200d"), max_size=200)
sizes = {"max_tokens": st.integers(1, 20), "overlap": st.integers(0, 30)}


@given(heading=texts, text=texts, **sizes)
def test_without_overlap_every_character_is_there_once_and_in_order(
    heading, text, max_tokens, overlap
):
    found = split_into_chunks(
        [Section(heading, text)], count_tokens=len, max_tokens=max_tokens, overlap=0
    )
    kept = heading if found and found[0][0] else ""
    pieces = "".join(piece for _, piece in found)
    assert "".join((kept + pieces).split()) == "".join((heading + text).split())


@given(text=texts, **sizes)
def test_no_chunk_is_too_long_whatever_its_words(text, max_tokens, overlap):
    found = split_into_chunks(
        [Section("", text)], count_tokens=len, max_tokens=max_tokens, overlap=overlap
    )
    assert all(len(piece) <= max_tokens for _, piece in found)
    kept = "".join(piece for _, piece in found)
    assert set(text.split()) <= set(kept.split()) or set("".join(text.split())) <= set(kept)


@given(sections=st.lists(st.tuples(texts, texts), max_size=4), **sizes)
def test_every_word_of_the_input_is_in_some_chunk(sections, max_tokens, overlap):
    found = split_into_chunks(
        [Section(*section) for section in sections],
        count_tokens=words,
        max_tokens=max_tokens,
        overlap=overlap,
    )
    kept = {word for heading, text in found for word in f"{heading} {text}".split()}
    assert kept == {word for heading, text in sections for word in f"{heading} {text}".split()}
    assert all(words(heading) + words(text) <= max_tokens for heading, text in found)
    assert all(text.strip() for _, text in found)


def test_with_the_real_tokenizer_no_chunk_is_too_long(embedder):
    text = "The gauge reads 3.5 bar; see §4(b), größer als ERR-4711.\n" * 60
    found = split_into_chunks([Section("Pumps > Gauges", text)], count_tokens=embedder.count_tokens)
    assert max(embedder.count_tokens(f"{heading}\n{piece}") for heading, piece in found) <= 96
    assert min(embedder.count_tokens(piece) for _, piece in found[:-1]) >= 44
