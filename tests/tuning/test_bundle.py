"""A round as a folder: it comes back as it was, whole or not at all, and holds nothing twice."""

import dataclasses
import json
import weakref

import pytest

from storage.errors import BadInput, NotFound
from tuning.bundle import bundle_hash, read_bundle, write_bundle
from tuning.config import RoundConfig
from tuning.sentinel import Choice

CONFIG = RoundConfig(epochs=3)


def write(folder, rows, heldout=(), sentinel=(), likelihood=(), config=CONFIG):
    return write_bundle(
        folder,
        config=config,
        base_fingerprint="f" * 64,
        base_model="tiny",
        round_id=4,
        train=rows,
        heldout=heldout,
        sentinel=sentinel,
        likelihood=likelihood,
    )


def test_it_comes_back_as_it_was(tmp_path, rows, heldout, sentinel):
    written = write(tmp_path / "rounds" / "4", rows, heldout, sentinel)
    assert read_bundle(tmp_path / "rounds" / "4") == written
    assert [path.name for path in (tmp_path / "rounds").iterdir()] == ["4"]


def test_it_is_readable_lines(tmp_path, rows, heldout, sentinel):
    write(tmp_path / "b", rows, heldout, sentinel)
    first = json.loads((tmp_path / "b" / "train.jsonl").read_text().splitlines()[0])
    assert first["messages"][1]["content"] == "List the completed orders"
    assert json.loads((tmp_path / "b" / "config.json").read_text())["config"]["epochs"] == 3


def leak(words, rows, heldout, **how):
    """A training row that must not train, by the way it leaks."""
    case = heldout[0]
    if how["by"] == "id":
        return words.row(case.id, "closed", "quite other words", "x")
    if how["by"] == "prompt":
        return dataclasses.replace(rows[0], id="new", prompt_ids=case.prompt_ids)
    if how["by"] == "question":
        question = case.messages[-1]["content"].upper() + "  "
        return words.row("new", "closed", question, "x")
    if how["by"] == "replay":
        return words.row("new", "", case.messages[-1]["content"], "x", kind="replay")
    return words.row("new", "whole need", "quite other words", "x")


@pytest.mark.parametrize("by", ["id", "prompt", "question", "replay", "need"])
def test_what_judges_never_trains(tmp_path, words, rows, heldout, by):
    held = [*heldout, words.case("n", "whole need", "never taught", "x", "new needs")]
    with pytest.raises(BadInput, match="also held out"):
        write(tmp_path / "b", [*rows, leak(words, rows, heldout, by=by)], held)
    assert not (tmp_path / "b").exists()


def test_a_sentinel_question_is_not_replayed(tmp_path, words, rows, sentinel):
    replay = words.row("r", "", sentinel[0].messages[-1]["content"], "x", kind="replay")
    with pytest.raises(BadInput, match="also held out"):
        write(tmp_path / "b", [*rows, replay], (), sentinel)


def test_a_bundle_that_leaks_is_not_read_either(tmp_path, rows, heldout):
    write(tmp_path / "b", rows, heldout)
    stolen = {**json.loads((tmp_path / "b" / "train.jsonl").read_text().splitlines()[0])}
    stolen["messages"] = list(heldout[0].messages)
    stolen["id"] = "stolen"
    with (tmp_path / "b" / "train.jsonl").open("a") as file:
        file.write(json.dumps(stolen) + "\n")
    with pytest.raises(BadInput, match="stolen"):
        read_bundle(tmp_path / "b")


def test_rows_of_no_use_are_named(tmp_path, words, rows):
    with pytest.raises(BadInput, match="no corrections"):
        write(tmp_path / "b", rows[-1:])
    with pytest.raises(BadInput, match="same id"):
        write(tmp_path / "b", [rows[0], rows[0]])
    with pytest.raises(BadInput, match="'empty'"):
        write(tmp_path / "b", [dataclasses.replace(rows[0], id="empty", completion_ids=())])
    with pytest.raises(BadInput, match="'lost'"):
        lost = words.row("lost", "closed", "a b", "x", kind="variant", of="nobody")
        write(tmp_path / "b", [*rows, lost])


def test_a_taken_folder_stays_as_it_is(tmp_path, rows):
    write(tmp_path / "b", rows)
    before = (tmp_path / "b" / "train.jsonl").read_bytes()
    with pytest.raises(BadInput, match="cannot be written"):
        write(tmp_path / "b", rows[:1])
    assert (tmp_path / "b" / "train.jsonl").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_no_bundle_and_damaged_bundles_are_told_apart(tmp_path, rows):
    with pytest.raises(NotFound, match="no bundle"):
        read_bundle(tmp_path)
    write(tmp_path / "b", rows)
    config = tmp_path / "b" / "config.json"
    whole = config.read_text()
    for damage in (whole[: len(whole) // 2], whole.replace('"format": 1', '"format": 9'), "[]"):
        config.write_text(damage)
        with pytest.raises(BadInput, match="bundle in"):
            read_bundle(tmp_path / "b")
    config.write_text(whole)
    (tmp_path / "b" / "train.jsonl").write_text('{"id": "x"}\n')
    with pytest.raises(BadInput, match="damaged"):
        read_bundle(tmp_path / "b")


def test_its_hash_covers_every_byte_and_no_place(tmp_path, rows):
    write(tmp_path / "one", rows)
    write(tmp_path / "two", rows)
    assert bundle_hash(tmp_path / "one") == bundle_hash(tmp_path / "two")
    path = tmp_path / "two" / "heldout.jsonl"
    path.write_text(path.read_text() + "\n")
    assert bundle_hash(tmp_path / "one") != bundle_hash(tmp_path / "two")


def test_general_choices_come_back_and_an_older_bundle_has_none(tmp_path, rows):
    choices = (Choice("k-1", "knowledge", (1, 2), ((3,), (4, 5))),)
    folder = write(tmp_path / "b", rows, likelihood=choices).folder
    assert read_bundle(folder).likelihood == choices
    (folder / "likelihood.jsonl").unlink()
    assert read_bundle(folder).likelihood == ()


def test_a_general_choice_is_not_replayed(tmp_path, words, rows):
    replay = words.row("r", "", "Bonjour", "x", kind="replay")
    choice = Choice("k-1", "knowledge", replay.prompt_ids, ((3,), (4,)))
    with pytest.raises(BadInput, match="held out"):
        write(tmp_path / "b", [*rows, replay], likelihood=[choice])


def test_thumbs_and_wrong_answers_come_back_too(tmp_path, compared, thumbs):
    written = write(tmp_path / "b", [*compared, *thumbs])
    assert read_bundle(tmp_path / "b") == written
    assert [row.label for row in written.train if row.kind == "thumb"] == [
        *(True, False, False, True, True)
    ]


def test_a_bundle_of_thumbs_alone_can_be_taught(tmp_path, thumbs):
    assert len(write(tmp_path / "b", thumbs).train) == 5


def test_a_bundle_from_before_there_were_thumbs_is_read(tmp_path, rows):
    written = write(tmp_path / "b", rows)
    path = tmp_path / "b" / "train.jsonl"
    older = [json.loads(line) for line in path.read_text().splitlines()]
    for row in older:
        del row["rejected_ids"], row["label"]
    path.write_text("".join(json.dumps(row) + "\n" for row in older))
    assert read_bundle(tmp_path / "b") == written


def test_a_dial_that_bundles_had_once_is_passed_over(tmp_path, rows):
    written = write(tmp_path / "b", rows)
    path = tmp_path / "b" / "config.json"
    facts = json.loads(path.read_text())
    facts["config"]["held_out"] = True
    path.write_text(json.dumps(facts))
    assert read_bundle(tmp_path / "b") == written


@pytest.mark.parametrize(
    ("change", "said"),
    [({"label": None}, "has no label"), ({"kind": "rejected", "label": None}, "has no label")],
)
def test_a_thumb_points_somewhere(tmp_path, thumbs, change, said):
    odd = dataclasses.replace(thumbs[0], **change)
    with pytest.raises(BadInput, match=said):
        write(tmp_path / "b", [odd, *thumbs[1:]])


def test_losses_that_have_nothing_to_compare_are_refused(tmp_path, rows, thumbs):
    with pytest.raises(BadInput, match="one thumb"):
        write(tmp_path / "b", [*rows, thumbs[0]])
    with pytest.raises(BadInput, match="no rejected answer"):
        write(tmp_path / "b", rows, config=RoundConfig(objective="dpo"))


def test_rows_are_taken_one_by_one_and_stay_in_their_file(tmp_path, rows, heldout):
    alive = []

    def made():
        for row in rows:
            copy = dataclasses.replace(row)
            alive.append(weakref.ref(copy))
            yield copy
            del copy
            assert sum(one() is not None for one in alive) <= 1

    written = write(tmp_path / "b", made(), heldout)
    assert written.train == rows and len(written.train) == len(rows)
    assert written.train[-1] == rows[-1] and written.train[1:3] == rows[1:3]
    assert written.train != rows[1:] and written.train != [*rows[:-1], rows[0]]
    with pytest.raises(IndexError):
        written.train[len(rows)]


def test_a_generator_that_fails_leaves_nothing(tmp_path, rows):
    def broken():
        yield rows[0]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(tmp_path / "b", broken())
    assert list(tmp_path.iterdir()) == []
