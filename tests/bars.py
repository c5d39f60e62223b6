"""The bars of reliability: what is promised, and the table of what was tried in a run.

A test records three properties, for each bar that it is for: `bar`, then `trials` and `failures`.
They travel with its reports, from
the workers of pytest-xdist too.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pytest

PROMISES = {
    "B1": "a writer is killed: no acknowledged feedback is lost or there twice",
    "B2": "the server is killed under its clients: the same, and it answers again",
    "B3": "a crash at any call of the file system: old or new, never neither",
    "B4": "the power fails: what was acknowledged is there",
    "B5": "a training is killed: it goes on from a whole checkpoint to a valid adapter",
    "B6": "a damaged or foreign adapter never answers",
    "B7": "no reply mixes two adapters",
    "B8": "many writers at once: none is turned away, none waits long",
    "B9": "one server owns a data directory, and a killed one leaves no lock",
    "B10": "of many triggers one round runs",
    "B11": "the disk is full: nothing torn, nothing said that is not so, then it goes on",
    "B12": "memory runs out in a round: the server answers, the job says why and what to do",
    "B13": "a damaged database is found at the start, a flipped bit in feedback too",
    "B14": "the index is lost or damaged: served again, and what is found is the same",
    "B15": "what was deleted is in no reply that begins afterwards",
    "B16": "a copy made under load can be restored; an older or moved directory is served",
    "B17": "no request makes a server error",
    "B18": "no file harms the server",
    "B19": "any text comes back as it was written",
    "B20": "under load everybody is answered or told to wait",
    "B21": "slow clients hold nobody up",
    "B22": "limits hold, whoever asks",
    "B23": "nobody does what only another may, and a refusal leaves no trace",
    "B24": "no other website acts for its visitor",
    "B25": "no text runs as a script or loads anything",
    "B26": "no path and no address leads out",
    "B27": "no word of one workspace is in another",
    "B28": "strangers teach it nothing",
    "B29": "no code comes with an adapter or data",
    "B30": "no dangerous call in the code, no known hole in what it stands on",
    "B31": "nothing connects to the outside",
    "B32": "model servers die and return: no reply is lost, none is by other weights",
}


@dataclass
class Bar:
    """What was tried for one promise."""

    trials: int = 0
    failures: int = 0
    tests: list[str] = field(default_factory=list)


def counted(reports: Iterable[pytest.TestReport]) -> dict[str, Bar]:
    """Trials and failures by bar; a test that failed counts as a failure at least."""
    noted: dict[str, list[tuple[str, int, int]]] = {}
    failed: set[str] = set()
    for report in reports:
        if said := list(_said(report.user_properties)):
            noted[report.nodeid] = said  # of a test's reports the last one has all
        if report.failed:
            failed.add(report.nodeid)
    found: dict[str, Bar] = {}
    for test, several in noted.items():
        for name, trials, failures in several:
            assert name in PROMISES, f"{test}: {name!r} is no bar"
            bar = found.setdefault(name, Bar())
            bar.trials += trials
            bar.failures += max(failures, test in failed)
            bar.tests.append(test)
    return found


def _said(properties: Iterable[tuple[str, object]]) -> Iterator[tuple[str, int, int]]:
    """Bar, trials and failures: each `bar` begins another one."""
    several: list[dict[str, object]] = []
    for name, value in properties:
        if name == "bar":
            several.append({})
        if several:
            several[-1][name] = value
    for said in several:
        trials, failures = (int(str(said.get(*one))) for one in (("trials", 1), ("failures", 0)))
        yield str(said["bar"]), trials, failures


def table(found: dict[str, Bar]) -> list[str]:
    """The lines of the table, in the order of the bars."""
    lines = [
        f"{name:<4} {promise:<80} {found[name].trials:>7} {found[name].failures:>8}"
        for name, promise in PROMISES.items()
        if name in found
    ]
    return [f"{'bar':<4} {'promise':<80} {'trials':>7} {'failures':>8}", *lines]
