"""Every verb's function takes what the parser hands it."""

import importlib
import inspect

import pytest

from assistant.parser import arguments_of, build_parser, complete
from assistant.verbs import VERBS

TYPED = {
    "workspaces list": "",
    "workspaces show": "a",
    "workspaces create": "a --access public --instructions x",
    "workspaces set": "a top_k=1",
    "users list": "",
    "users delete": "a",
    "keys create": "a --scope chat --all-workspaces --per-minute 3 --per-day 4 --embed "
    "--origin https://a.b --per-visitor 5",
    "keys list": "",
    "keys revoke": "a",
    "ingest": "a b --site u --max-pages 3 --host h --host i",
    "documents list": "",
    "documents show": "a",
    "documents remove": "a b",
    "documents reindex": "",
    "search": "a --top-k 3",
    "ask": "a --no-overrides --no-examples --no-documents --adapter base --max-tokens 3",
    "feedback import": "a --approve --ask --strict --skip-bad",
    "feedback list": "--status new --limit 3 --reason wrong_tone --search late --flagged --half "
    "--mine --site south",
    "feedback set": "1 2 --reason wrong --reason wrong_tone --none",
    "feedback show": "1",
    "feedback stale": "",
    "feedback gaps": "--days 7",
    "feedback keep": "1 2",
    "feedback approve": "1 2 --group g --seen m",
    "feedback reject": "1 --seen m",
    "feedback retract": "1 2",
    "feedback sites": "",
    "feedback verdicts": "f --from north",
    "feedback unmask": "1 --value a@b.c --value x --again",
    "feedback paraphrase": "1 question --remove 2",
    "feedback paraphrases": "",
    "feedback export": "--format queue --site south --to f",
    "style import": "p --author a@b.c --approve",
    "overrides list": "",
    "overrides retire": "1",
    "tune": "--method lora --runner local --set epochs=1 --set rank=2 --dry-run --sweep --trials 3 "
    "--minutes 2.5 --try rank=4,8",
    "rounds list": "",
    "rounds show": "1",
    "rounds cancel": "1",
    "rounds resume": "1",
    "rounds export": "1 d",
    "rounds import": "d",
    "rounds blame": "1 --contributor v1",
    "adapters sign": "1 2",
    "adapters list": "",
    "adapters show": "1",
    "adapters compare": "1 base",
    "adapters promote": "1 --reason r",
    "adapters rollback": "",
    "adapters delete": "1",
    "adapters export": "1 --to d --format gguf --quantization q8_0 --least 0.9 --anyway r",
    "adapters import": "d",
    "adapters push": "1 a/b --public",
    "rebase": "--base-model m --method lora --set epochs=1",
    "evaluate": "--file f --adapter 1 --no-examples",
    "lineage": "1",
    "overview": "",
    "plot": "loss --round 1 --to f.svg",
    "audit list": "--actor user:1 --action a --subject adapter:1 --before 9 --limit 3",
    "conversations list": "ada --holding x --limit 3",
    "conversations show": "1",
    "conversations rename": "1 Parcels",
    "conversations choose": "1",
    "jobs list": "--limit 3",
    "jobs cancel": "1",
    "audit verify": "--head a",
    "erase": "--feedback 1 --retrain --set epochs=1",
}
# What is asked at the terminal changes their arguments; tests of users and workspaces type them.
ASKED = {"users create", "users set", "workspaces delete", "backup"}


def test_every_verb_is_tried():
    assert set(TYPED) | ASKED | {"doctor index"} == set(VERBS)


@pytest.mark.parametrize("name", sorted(VERBS))
def test_function_takes_what_was_typed(name):
    module, function = VERBS[name].function.split(":")
    signature = inspect.signature(
        getattr(importlib.import_module(f"assistant.commands.{module}"), function)
    )
    assert VERBS[name].outlives == ("detached" in signature.parameters)
    if name in TYPED:
        typed = complete(build_parser(), [*name.split(), *TYPED[name].split()])
        assert typed.verb == name
        signature.bind(None, **arguments_of(typed))
