"""What a step computes: every pair once an epoch, packed so that nothing is lost."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.tuning.small import COMPARED, PAIRS, RAFT, RECOMBINED, REPLAY, THUMBS, VARIANTS, row
from tuning import batches
from tuning.batches import Pass, mismatched, one_pass, parts
from tuning.config import RoundConfig


def config(**dials):
    return RoundConfig(**{"epochs": 6, "batch_size": 4, "replay_share": 0.2, **dials})


def epochs(rows, dials):
    """The rows of each step of each epoch."""
    for epoch in batches.epochs(rows, dials):
        yield [[rows[place] for place in step] for step in epoch]


def test_each_pair_comes_once_an_epoch_in_one_wording():
    for epoch in epochs([*PAIRS, *VARIANTS, *REPLAY], config()):
        chosen = [one for step in epoch for one in step]
        pairs = Counter(one.of or one.id for one in chosen if one.kind != "replay")
        assert pairs == Counter(pair.id for pair in PAIRS)
        assert sum(one.kind == "replay" for one in chosen) == 2


def test_own_words_and_variants_take_turns():
    seen = {pair.id: [] for pair in PAIRS}
    for epoch in epochs([*PAIRS, *VARIANTS], config(variant_share=0.5)):
        for one in (one for step in epoch for one in step):
            seen[one.of or one.id].append(one.kind)
    for kinds in seen.values():
        assert kinds[::2] == [kinds[0]] * 3 and kinds[1::2] == [kinds[1]] * 3
        assert set(kinds) == {"correction", "variant"}


@pytest.mark.parametrize("share, varied", [(0.0, 0), (0.5, 30), (1.0, 60), (0.25, 15)])
def test_the_share_of_varied_turns_is_as_asked(share, varied):
    kinds = [
        one.kind
        for epoch in epochs([*PAIRS, *VARIANTS], config(variant_share=share))
        for step in epoch
        for one in step
    ]
    assert abs(kinds.count("variant") - varied) <= 5


def test_all_replay_rows_come_round():
    used = Counter(
        one.id
        for epoch in epochs([*PAIRS, *REPLAY], config())
        for step in epoch
        for one in step
        if one.kind == "replay"
    )
    assert used == Counter({replay.id: 2 for replay in REPLAY})


@pytest.mark.parametrize("pairs, batch, replay, steps", [(10, 4, 0.2, 3), (10, 20, 0.0, 1)])
def test_the_count_of_steps_is_right(pairs, batch, replay, steps):
    dials = config(batch_size=batch, replay_share=replay)
    rows = [*PAIRS[:pairs], *REPLAY]
    assert one_pass(rows, dials).steps(dials) == steps
    for epoch in epochs(rows, dials):
        assert len(epoch) == steps
        assert max(map(len, epoch)) - min(map(len, epoch)) <= 1


def test_the_same_seed_gives_the_same_course():
    rows = [*PAIRS, *VARIANTS, *REPLAY]
    assert list(epochs(rows, config())) == list(epochs(rows, config()))
    assert list(epochs(rows, config())) != list(epochs(rows, config(seed=8)))


def test_a_common_beginning_is_held_once():
    (part,) = parts(PAIRS[:3], 1000)
    assert part.ids == (1, 2, 3, 10, 90, 11, 90, 12, 90)
    assert part.positions == (0, 1, 2, 3, 4, 3, 4, 3, 4)
    assert part.segments == (0, 0, 0, 1, 1, 2, 2, 3, 3)
    assert part.label_at == (3, 4, 5, 6, 7, 8)
    assert part.labels == (90, 91) * 3
    assert part.label_rows == (0, 0, 1, 1, 2, 2)


@pytest.mark.parametrize("most", [1, 6, 9, 1000])
def test_every_row_can_be_read_back_from_its_part(most):
    rows = [*PAIRS, *REPLAY, row("one", (5,), (6, 7, 8)), row("same", (1, 2, 3), (4,))]
    found = {}
    for part in parts(rows, most):
        assert len(part.rows) == 1 or len(part.ids) <= most
        for number, one in enumerate(part.rows):
            mine = [
                (position, token)
                for position, token, segment in zip(
                    part.positions, part.ids, part.segments, strict=True
                )
                if segment in (0, number + 1)
            ]
            assert [position for position, _ in mine] == list(range(len(mine)))
            labels = [
                label
                for label, place in zip(part.labels, part.label_rows, strict=True)
                if place == number
            ]
            found[one.id] = (tuple(token for _, token in mine) + one.completion_ids[-1:], labels)
    assert found.keys() == {one.id for one in rows}
    for one in rows:
        assert found[one.id] == ((*one.prompt_ids, *one.completion_ids), list(one.completion_ids))


def test_replay_rows_have_parts_of_their_own():
    found = parts([*PAIRS[:3], *REPLAY[:2]], 1000)
    assert [(part.is_replay, len(part.rows)) for part in found] == [(False, 3), (True, 2)]


def test_identical_prompts_keep_a_token_to_answer_from():
    (part,) = parts([row("a", (1, 2)), row("b", (1, 2), (95,))], 1000)
    assert part.segments.count(0) == 1
    assert len(part.label_at) == len(set(part.label_at)) == 3


@pytest.mark.parametrize(
    ("size", "asked", "expected"),
    [
        (Pass(4, 2), 0, 156),
        (Pass(62, 31, wordings=62 / 13), 0, 13),
        (Pass(400), 0, 13),
        (Pass(400, wordings=1.6), 0, 17),
        (Pass(40, 20, wordings=1.0), 0, 26),
        (Pass(40, 20, recombined=40, wordings=1.0), 0, 26),
        (Pass(20, 20, recombined=400), 0, 32),
        (Pass(4, wordings=1.0), 2, 2),
    ],
)
def test_few_pairs_and_few_wordings_get_more_passes_unless_told_otherwise(size, asked, expected):
    assert size.times(RoundConfig(epochs=asked)) == expected


def test_a_need_counts_by_its_corrections():
    rows = [replace(one, group=f"need {place // 4}") for place, one in enumerate(PAIRS)]
    found = one_pass([*rows, *VARIANTS, *THUMBS, *REPLAY, *RECOMBINED], config())
    assert found == Pass(17, replay=6, recombined=9, wordings=10 / 3)
    assert one_pass(THUMBS, config()).wordings == 0.0


@pytest.mark.parametrize("share, count, replayed", [(0.0, 0, 2), (0.35, 4, 3), (1.0, 9, 4)])
def test_recombined_rows_go_round_beside_the_pairs_with_their_share_of_replay(
    share, count, replayed
):
    dials = config(recombined_share=share, epochs=9)
    rows = [*PAIRS, *RECOMBINED, *REPLAY]
    used = Counter()
    for epoch in epochs(rows, dials):
        chosen = [one for step in epoch for one in step]
        assert len(chosen) == 10 + count + replayed and len(epoch) == one_pass(rows, dials).steps(
            dials
        )
        assert {one.id for one in PAIRS} <= {one.id for one in chosen}
        used.update(one.id for one in chosen if one.kind == "recombined")
    assert used == (Counter({one.id: count for one in RECOMBINED}) if count else Counter())


def test_recombined_rows_share_parts_with_corrections():
    (part,) = parts([PAIRS[0], RECOMBINED[0]], 1000)
    assert not part.is_replay and [one.kind for one in part.rows] == ["correction", "recombined"]


def test_pairs_with_passages_are_shown_otherwise_now_and_then():
    dials = config(epochs=20, raft_share=0.2, variant_share=0.5)
    kinds = {pair.id: Counter() for pair in PAIRS}
    for epoch in epochs([*PAIRS, *VARIANTS, *RAFT], dials):
        for one in (one for step in epoch for one in step):
            kinds[one.of or one.id][one.kind] += 1
    for number, pair in enumerate(PAIRS):
        assert kinds[pair.id].total() == 20
        assert kinds[pair.id]["raft"] == (4 if number < 5 else 0)
        assert kinds[pair.id]["correction"] >= 6


@pytest.mark.parametrize("batch", [1, 2, 4, 20])
def test_thumbs_are_never_alone_in_a_step(batch):
    rows = [*PAIRS, *THUMBS, *REPLAY]
    for epoch in epochs(rows, config(batch_size=batch, epochs=3)):
        counts = [sum(one.kind == "thumb" for one in step) for step in epoch]
        assert sum(counts) == len(THUMBS) and 1 not in counts
        assert sum(map(len, epoch)) == len(PAIRS) + len(THUMBS) + 4


def test_thumbs_alone_make_steps_too():
    assert one_pass(THUMBS, config()).steps(config()) == 2
    assert all(len(step) >= 2 for epoch in epochs(THUMBS, config()) for step in epoch)


def test_thumbs_have_parts_of_their_own():
    found = parts([*PAIRS[:3], *THUMBS, *REPLAY[:2]], 1000)
    assert [(part.is_thumb, part.is_replay, len(part.rows)) for part in found] == [
        *((False, False, 3), (True, False, 7), (False, True, 2))
    ]


def test_a_completion_is_put_behind_another_prompt():
    found = mismatched(THUMBS)
    assert [one.prompt_ids for one in found] == [one.prompt_ids for one in THUMBS]
    assert [one.completion_ids for one in found] == [
        one.completion_ids for one in (*THUMBS[1:], THUMBS[0])
    ]
    same = [row("a", (1, 2), (7,)), row("b", (1, 2), (8,)), row("c", (1, 3), (9,))]
    assert [one.completion_ids for one in mismatched(same)] == [(9,), (9,), (7,)]
    assert [one.completion_ids for one in mismatched(same[:2])] == [(8,), (7,)]


def test_the_two_answers_of_a_pair_share_its_prompt():
    (part,) = parts(COMPARED[:2], 1000, compare=True)
    assert [one.kind for one in part.rows] == ["correction", "rejected"] * 2
    assert [one.of for one in part.rows] == [None, "c0", None, "c1"]
    # the last token of a prompt is each row's own: it is what the row answers from
    assert part.ids == (1, 2, 3, 10, 4, 5, 90, 5, 11, 4, 5, 90, 5, 41)
    assert part.segments == (0, 0, 0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6, 6)
    assert part.above == (0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 4, 4, 4, 4)
    assert part.positions == (0, 1, 2, 3, 4, 5, 6, 5, 3, 4, 5, 6, 5, 6)
    assert part.labels == (90, 91, 40, 90, 91, 41, 41)


@pytest.mark.parametrize("most", [1, 10, 12, 15, 1000])
def test_every_answer_can_be_read_back_behind_its_prompt(most):
    rows = [*COMPARED, row("bare", (1, 9), (3,))]
    seen = []
    for part in parts(rows, most, compare=True):
        assert len(part.rows) <= 2 or len(part.ids) <= most
        for number, one in enumerate(part.rows):
            if one.kind == "rejected":
                assert part.rows[number - 1].id == one.of
            at = [
                i
                for i, place in zip(part.label_at, part.label_rows, strict=True)
                if place == number
            ]
            own, above = part.segments[at[0]], part.above[at[0]]
            mine = [
                (position, token)
                for position, token, segment in zip(
                    part.positions, part.ids, part.segments, strict=True
                )
                if segment in (0, own, above)
            ]
            assert [position for position, _ in mine] == list(range(len(mine)))
            read = tuple(token for _, token in mine) + one.completion_ids[-1:]
            assert read == (*one.prompt_ids, *one.completion_ids)
            seen.append(one.id)
    assert sorted(seen) == sorted(
        [one.id for one in rows] + [f"{one.id}|rejected" for one in COMPARED]
    )


def test_nothing_is_compared_unless_asked():
    assert all(one.kind == "correction" for part in parts(COMPARED, 1000) for one in part.rows)
