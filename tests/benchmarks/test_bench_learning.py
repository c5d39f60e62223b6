"""How a database is cut into what is taught and what judges, and what counts as a miss."""

import json

import pytest

from tests.benchmarks.bench_learning import NEW, UNTAUGHT, misses, read_task, table

NEEDS = 8
WAYS = (
    "base",
    "base with examples",
    "ours alone",
    "ours as shipped",
    "nearest correction",
    "plain TRL LoRA",
)


@pytest.fixture
def cases(tmp_path):
    """Eight needs of three wordings each, and one whose query finds nothing."""
    rows = [
        {
            "question": f"need {need}, wording {nth}",
            "gold_sql": f"SELECT {need}",
            "gold_rows": [] if need == NEEDS else [[need]],
            "sql_group": need,
        }
        for need in range(NEEDS + 1)
        for nth in range(3)
    ]
    (tmp_path / "shop.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def needs(questions):
    return {one.need for one in questions}


def test_a_quarter_is_never_taught_and_of_the_others_one_wording(cases):
    task = read_task(cases, "shop:1")
    assert task.database == (cases / "shop.sqlite").resolve()
    assert len(task.taught) == len(needs(task.taught)) == 6
    assert len(task.asked[NEW]) == 12 and needs(task.asked[NEW]) == needs(task.taught)
    assert len(task.asked[UNTAUGHT]) == 6
    assert needs(task.asked[UNTAUGHT]) == set(range(NEEDS)) - needs(task.taught)
    asked = [one.question for part in task.asked.values() for one in part]
    assert not {one.question for one in task.taught} & set(asked)
    assert all(one.sql == f"SELECT {one.need}" for one in (*task.taught, *task.asked[NEW]))


def test_a_seed_gives_the_same_cut_each_time_and_another_one_another(cases):
    assert read_task(cases, "shop:1") == read_task(cases, "shop:1")
    cuts = {tuple(one.question for one in read_task(cases, f"shop:{n}").taught) for n in range(4)}
    assert len(cuts) > 1


def result(**right):
    """20 new wordings and 20 untaught needs; of each way so many right of both."""
    given = {way: right.get(way.replace(" ", "_"), (0, 0)) for way in WAYS}
    return {
        "right": {
            way: {
                NEW: [n < new for n in range(20)],
                UNTAUGHT: [n < untaught for n in range(20)],
            }
            for way, (new, untaught) in given.items()
        }
    }


GOOD = {"ours_alone": (17, 5), "ours_as_shipped": (18, 5), "nearest_correction": (17, 0)}


def test_the_table_adds_up_the_databases():
    lines = table([result(**GOOD), result(**GOOD)]).splitlines()
    assert "| ours as shipped | 36 of 40 | 10 of 40 |" in lines
    assert "| base | 0 of 40 | 0 of 40 |" in lines
    assert len(lines) == 2 + len(WAYS)


def test_aims_that_are_met_exactly_are_met():
    assert misses([result(**GOOD)]) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ours_alone": (16, 5), "nearest_correction": (16, 0)}, ["alone 16 of 20 new", "85%"]),
        ({"nearest_correction": (18, 0)}, ["alone 17, the look-up 18"]),
        ({"ours_as_shipped": (17, 5)}, ["as shipped 17, the look-up 17"]),
        ({"plain_TRL_LoRA": (0, 1)}, ["untaught needs 5, plain TRL LoRA 1"]),
        ({"base": (0, 5)}, ["untaught needs 5, base 5"]),
    ],
)
def test_each_aim_that_is_missed_is_named(change, said):
    found = misses([result(**{**GOOD, **change})])
    assert found and all(part in found[0] for part in said), found


def test_untaught_needs_are_pooled_over_the_databases():
    """Four more in each are too few for five more or for chance; of two together they are not."""
    few = {**GOOD, "ours_as_shipped": (18, 4)}
    assert len(misses([result(**few)])) == 4
    assert misses([result(**few), result(**few)]) == []
