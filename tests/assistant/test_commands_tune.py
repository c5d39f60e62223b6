"""A round as typed: what it would do, what it did, and who stops it."""

import time

import pytest

from assistant.engines.choose import has_cuda
from assistant.verbs import run_here
from storage.errors import ApprenticeError, BadInput, Refused
from storage.rounds import list_rounds
from tests.assistant.command_line import run_verb, write_rows

KEYS = {
    "round",
    "verdict",
    "reasons",
    "adapter",
    "pairs",
    "scores",
    "sentinel",
    "seconds",
    "peak_rss_bytes",
}
QUICK = {"method": "lora", "dials": ["epochs=1", "rank=2", "replay_share=0"]}
LONG = {"method": "lora", "dials": ["epochs=10000", "learned_loss=0", "learning_rate=1e-6"]}


@pytest.fixture
def taught(app, tmp_path):
    """The app with four needs of three wordings each."""
    rows = [
        {
            "question": f"{ask} number {need}?",
            "correction": f"Answer {need}.",
            "group": f"need {need}",
        }
        for need in range(4)
        for ask in ("What is", "Tell me about", "Please explain")
    ]
    path = write_rows(tmp_path / "rows.jsonl", *rows)
    run_verb(app, "feedback import", workspace="default", file=str(path), approve=True)
    return app


def states(app):
    with app.db() as db:
        return [item.state for item in list_rounds(db, 1)]


def test_dry_run_says_what_would_be_done_and_does_nothing(taught):
    (plan,), code = run_verb(taught, "tune", workspace="default", dry_run=True, **QUICK)
    assert code == 0
    assert plan["pairs"]["train"] + plan["pairs"]["held_out"] == 12
    assert plan["needs"] == 4 and plan["minutes"] > 0 and plan["memory_bytes"] > 0
    assert plan["config"]["method"] == "lora" and plan["config"]["rank"] == 2
    assert plan["advice"]
    assert (plan["runner"], plan["trained_by"]) == ("local", "trains in a process of this machine")
    assert states(taught) == []


@pytest.mark.skipif(has_cuda(), reason="counts processes of a CPU")
def test_dry_run_names_the_runner_and_where_it_trains(taught, monkeypatch):
    def planned(**options):
        (plan,), _ = run_verb(taught, "tune", workspace="default", dry_run=True, **options)
        return plan["runner"], plan["trained_by"].split(" of ")[0]

    two = ("accelerate", "trains on 2 processes on the CPU")
    assert planned(runner="accelerate") == two
    monkeypatch.setattr(
        taught, "settings", taught.settings.model_copy(update={"runner": "accelerate"})
    )
    assert planned() == two and planned(runner="local")[0] == "local"


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(
    ("runner", "named"),
    [
        ("slurm", "take local, accelerate, hf-jobs, ray"),
        ("hf-jobs", "APPRENTICE_HF_JOBS_TOKEN"),
        ("ray", "APPRENTICE_RAY_ADDRESS"),
    ],
)
def test_a_runner_that_cannot_be_is_refused_before_anything_starts(
    taught, monkeypatch, dry_run, runner, named
):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(ApprenticeError, match=named):
        run_verb(taught, "tune", workspace="default", dry_run=dry_run, runner=runner)
    assert states(taught) == []


@pytest.mark.skipif(has_cuda(), reason="a GPU serves by torch")
def test_dry_run_names_the_method_and_the_engine_that_will_serve(taught):
    def planned(method):
        (plan,), _ = run_verb(taught, "tune", workspace="default", dry_run=True, method=method)
        return plan["method"], plan["served_by"].split(";")[0], plan["config"]["learning_rate"]

    assert [planned(method) for method in ("lora", "rslora", "dora", "ia3", "bottleneck")] == [
        ("lora", "llamacpp", 1e-3),
        ("rslora", "llamacpp", 2.5e-4),
        ("dora", "torch_peft beside llamacpp", 1e-3),
        ("ia3", "torch_peft beside llamacpp", 1e-2),
        ("bottleneck", "torch_peft beside llamacpp", 3e-3),
    ]


def test_a_method_that_the_engine_cannot_serve_is_refused_before_it_trains(taught, monkeypatch):
    alone = taught.settings.model_copy(update={"engine": "llamacpp"})
    monkeypatch.setattr(taught, "settings", alone)
    with pytest.raises(BadInput, match="llamacpp cannot serve what the method bottleneck makes"):
        run_verb(taught, "tune", workspace="default", method="bottleneck")
    assert states(taught) == []


@pytest.mark.skipif(has_cuda(), reason="a GPU serves in nf4")
def test_it_trains_over_what_serves_unless_memory_is_short(taught, monkeypatch):
    def chosen(**options):
        (plan,), _ = run_verb(taught, "tune", workspace="default", dry_run=True, **options)
        return plan["config"]["method"], plan["memory_bytes"]

    assert chosen()[0] == "lora"
    assert chosen(method="qlora")[0] == "qlora"
    assert chosen(method="qlora")[1] < chosen()[1], "4 bits took no less memory"
    monkeypatch.setattr("tuning.memory.SHARE", 0.0)
    assert chosen()[0] == "qlora"


def test_round_ends_with_a_verdict(taught):
    (result,), code = run_verb(taught, "tune", workspace="default", **QUICK)
    assert result.keys() >= KEYS and "error" not in result
    assert result["verdict"] in ("promote", "reject", "not enough evidence")
    assert code == (0 if result["verdict"] == "promote" else 1)
    assert result["reasons"] and result["seconds"] > 0 and result["peak_rss_bytes"] > 0
    assert {"train", "held_out", "replay"} <= result["pairs"].keys()
    assert result["scores"].keys() == {"candidate", "serving", "base", "few_shot"}
    assert {"before", "after"} <= result["sentinel"].keys()
    (shown,), _ = run_verb(taught, "rounds show", id=result["round"])
    assert shown["config"]["runner"] == "local"
    (adapter,), _ = run_verb(taught, "adapters list", workspace="default")
    assert (adapter["id"], adapter["round_id"]) == (result["adapter"], result["round"])
    asked = {"workspace": "default", "question": "What is number 1?", "no_overrides": True}
    answer = run_verb(taught, "ask", **asked, adapter=str(adapter["id"]), max_tokens=4)[0][0]
    assert answer["adapter"] == adapter["id"]
    assert len(run_verb(taught, "lineage", id=adapter["id"])[0]) == 12


def started(app, **options):
    """The events of a round that is under way."""
    events = run_here(app, "tune", {"workspace": "default", **LONG, **options})
    for event in events:
        if "running" in states(app):
            return events, event
    raise AssertionError("the round ended at once")


def test_round_is_cancelled_when_its_caller_leaves(taught):
    events, _ = started(taught)
    with pytest.raises(Refused, match="round 1"):
        run_verb(taught, "tune", workspace="default", **QUICK)
    events.close()
    assert states(taught) == ["cancelled"]


def test_detached_round_goes_on_until_it_is_cancelled(taught):
    events, _ = started(taught, detached=True)
    events.close()
    assert states(taught) == ["running"]
    run_verb(taught, "rounds cancel", id=1)
    deadline = time.monotonic() + 120
    while states(taught) == ["running"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert states(taught) == ["cancelled"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"dials": ["epochs"]}, "KEY=VALUE"),
        ({"dials": ["colour=red"]}, "colour"),
        ({"dials": ["epochs=many"]}, "many"),
        ({"method": "magic"}, "magic"),
        ({}, "0 approved"),
    ],
)
def test_round_that_cannot_start(app, options, named):
    with pytest.raises(BadInput, match=named):
        run_verb(app, "tune", workspace="default", **options)
    assert states(app) == []
