"""How a verb is put on the command line: its parser, its group, the options that all verbs have."""

import argparse
from pathlib import Path
from typing import Any, NoReturn

Verbs = Any  # argparse names the type of add_subparsers() only privately


class Parser(argparse.ArgumentParser):
    """argparse with one sentence for a mistake instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and where to read more; exit 2."""
        self.exit(2, f"{self.prog}: {message}; see `{self.prog} --help`.\n")


def common() -> argparse.ArgumentParser:
    """Options that may stand before and after the verb.

    SUPPRESS leaves them out when not typed: a default here would overwrite, after the verb, what
    was typed before it.
    """
    everywhere = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = everywhere.add_argument_group("options everywhere")
    group.add_argument(
        "--data", metavar="DIR", type=Path, help="data directory (APPRENTICE_DATA; default ./data)"
    )
    group.add_argument("--workspace", metavar="NAME", help="workspace (default: default)")
    group.add_argument("--json", action="store_true", help="results as JSON on standard output")
    return everywhere


def add(verbs: Verbs, name: str, words: str, help: str, *, workspace: bool = False) -> Parser:
    """A verb called `name` within `verbs`; `words` is all that is typed for it."""
    parser: Parser = verbs.add_parser(
        name, help=help, description=help, parents=[common()], allow_abbrev=False
    )
    parser.set_defaults(verb=words, wants_workspace=workspace)
    return parser


def noun(verbs: Verbs, name: str, help: str) -> Verbs:
    """Verbs that are typed after a noun; add them to what this gives."""
    parser = verbs.add_parser(
        name, help=help, description=help, parents=[common()], allow_abbrev=False
    )
    return parser.add_subparsers(metavar="VERB", dest="second", required=True, title="verbs")


def several(parser: Parser, flag: str, metavar: str, dest: str, help: str) -> None:
    """An option that may be given again, for a list."""
    parser.add_argument(
        flag, metavar=metavar, dest=dest, action="append", default=[], help=f"{help}; repeatable"
    )


def dials(parser: Parser, help: str) -> None:
    """`--set KEY=VALUE`, as every verb that runs a round takes it."""
    several(parser, "--set", "KEY=VALUE", "dials", help)


def count(text: str) -> int:
    """A whole number from 1 up."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 up")
    return number


def share(text: str) -> float:
    """A number from 0 to 1."""
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share from 0 to 1")
    return number
