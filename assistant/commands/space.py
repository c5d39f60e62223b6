"""`apprentice space build --to DIR` and `apprentice space check`."""

from dataclasses import asdict
from pathlib import Path

from assistant.settings import Settings
from assistant.space_build import Hardware, build_space
from assistant.verbs import Events


def build(to: Path, hardware: Hardware) -> Events:
    """Write the folder of a Space."""
    made = build_space(to, hardware)
    yield {"folder": str(to), "hardware": hardware, **asdict(made)}
    return 0


def check(settings: Settings) -> Events:
    """What a Space still needs; the exit code is 1 when something is missing."""
    from assistant.space_check import check_space

    missing = False
    for found in check_space(settings):
        missing |= found.state == "fail"
        yield asdict(found)
    return 1 if missing else 0
