"""What a command asks the person at the terminal before it starts: passwords and consent."""

import getpass
import sys
from typing import Any

from storage.errors import BadInput, Refused


def ask_person(verb: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with what had to be asked for; options that only steer the asking are gone."""
    if verb == "users create":
        return _with_password(arguments, wanted=True)
    if verb == "users set":
        return _with_password(arguments, wanted=arguments.pop("password"))
    if verb == "workspaces delete":
        return _with_consent(arguments)
    if verb == "backup":
        return _with_yes(arguments)
    return arguments


def _with_password(arguments: dict[str, Any], *, wanted: bool) -> dict[str, Any]:
    """`password_hash` in place of `password_stdin`: a password goes no further than here."""
    from_stdin = arguments.pop("password_stdin")
    password_hash = None
    if from_stdin or wanted:
        from assistant.security import hash_password

        password_hash = hash_password(_read_password(arguments["name"], from_stdin=from_stdin))
    return {**arguments, "password_hash": password_hash}


def _read_password(name: str, *, from_stdin: bool) -> str:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif not sys.stdin.isatty():
        raise BadInput("There is no terminal to ask for a password: use --password-stdin.")
    else:
        password = getpass.getpass(f"Password for {name}: ")
        if getpass.getpass("The same again: ") != password:
            raise BadInput("The two passwords differ; nothing was changed.")
    return password


def _with_consent(arguments: dict[str, Any]) -> dict[str, Any]:
    if not arguments.pop("yes"):
        name = arguments["name"]
        if not sys.stdin.isatty():
            raise Refused(f"Deleting {name!r} takes everything in it along: confirm with --yes.")
        print(f"This deletes {name!r} with its documents, conversations and adapters.")
        if input("Type its name to go on: ").strip() != name:
            raise Refused(f"{name!r} was not deleted.")
    return arguments


def _with_yes(arguments: dict[str, Any]) -> dict[str, Any]:
    """Consent to deleting copies; making one needs none."""
    if not arguments.pop("yes") and arguments["file"] == "purge":
        if not sys.stdin.isatty():
            raise Refused("Purging deletes the backups from before an erasure: confirm with --yes.")
        if input("Delete the backups made before the last erasure? [y/N] ").strip().lower() != "y":
            raise Refused("No backup was deleted.")
    return arguments
