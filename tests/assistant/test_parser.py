"""What may be typed, and that help and README name every verb."""

import argparse
import re
from pathlib import Path

import pytest

from assistant.parser import arguments_of, build_parser, complete
from assistant.shows import SHOWS
from assistant.verbs import VERBS

ROOT = Path(__file__).parent.parent.parent


def leaves(parser, words=()):
    """(typed words, parser) of every verb."""
    groups = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not groups:
        yield " ".join(words), parser
    for group in groups:
        for name, child in group.choices.items():
            yield from leaves(child, (*words, name))


def readme_verbs():
    """`apprentice noun a|b` in the README names two verbs (a table writes the bar as \\|)."""
    text = (ROOT / "README.md").read_text().replace("\\|", "|")
    for noun, rest in re.findall(r"apprentice ([a-z]+)((?: [a-z|]+)?)", text):
        yield noun
        yield from (f"{noun} {verb}" for verb in rest.strip().split("|"))


README_VERBS = set(readme_verbs())
LEAVES = dict(leaves(build_parser()))
OWN_WAY = {"serve", "demo", "doctor", "restore", "space build", "space check"}
OWN_WAY |= {"cells add", "cells list", "cells config", "cells move"}


def test_every_verb_is_in_the_parser_and_has_a_look():
    offered = set(LEAVES) - OWN_WAY
    assert offered == set(VERBS) - {"doctor index"}
    assert set(SHOWS) == offered | OWN_WAY - {"serve", "demo"}
    assert {parser.get_default("verb") for parser in LEAVES.values()} == set(LEAVES)


@pytest.mark.parametrize("words", sorted(LEAVES))
def test_verb_has_help_and_stands_in_the_readme(words):
    parser = LEAVES[words]
    assert parser.description
    for action in parser._actions:
        assert action.help or action.metavar, (words, action.dest)
    assert words in README_VERBS


def parsed(*words):
    return complete(build_parser(), list(words))


def test_common_options_stand_before_and_after_the_verb():
    common = ("--data", "d", "--workspace", "w", "--json")
    for words in ((*common, "feedback", "list"), ("feedback", "list", *common)):
        given = parsed(*words)
        assert (given.data, given.workspace, given.json) == (Path("d"), "w", True)
    between = parsed("--data", "d", "feedback", "--json", "list", "--workspace", "w")
    assert (between.data, between.workspace, between.json) == (Path("d"), "w", True)


def test_common_options_have_defaults():
    given = parsed("documents", "list")
    assert (given.data, given.workspace, given.json) == (None, "default", False)


def test_arguments_are_the_verbs_own_with_absolute_paths(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    given = arguments_of(parsed("ingest", "a.md", "/b", "--workspace", "w"))
    assert given["paths"] == [str(tmp_path / "a.md"), "/b"]
    told = {"paths", "site", "max_pages", "hosts", "runner", "workers", "workspace"}
    assert given.keys() == told
    assert arguments_of(parsed("rounds", "show", "7", "--json")) == {"id": 7}


def test_shortened_options_are_refused(capsys):
    """`--app` must not come to mean `--approve` one day and something else the next."""
    with pytest.raises(SystemExit) as end:
        parsed("feedback", "import", "f.jsonl", "--app")
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
