"""Fuzzers that others wrote, for the long run: the API by its own document, parsers by coverage.

They come with the extra `fuzz`, which `make soak` installs; without it these are left out.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given

from tests.faults.besieged import Fort, fort
from tests.faults.test_endpoint_fuzz import LEFT_OUT, LONGEST_S, fuzzed

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SECONDS = 40
"""Of each parser."""
TARGETS = ("markdown", "html", "page", "address", "shown", "answer", "private")


@pytest.fixture(scope="module")
def besieged(tmp_path_factory, tiny_base) -> Iterator[Fort]:
    folder = tmp_path_factory.mktemp("schema")
    with fort(folder, tiny_base.folder, requests_per_second=0) as made:
        yield made


def told(record, bar, trials, failures):
    record("bar", bar)
    record("trials", trials)
    record("failures", len(failures))
    assert not failures, failures[:3]


def test_the_api_by_its_own_document(besieged, record_property):
    """Schemathesis makes requests that fit the document and some that do not: never a 5xx."""
    schemathesis = pytest.importorskip("schemathesis")
    document = besieged.send("GET", "/v1/openapi.json", {}).json()
    schema = schemathesis.openapi.from_dict(document)
    base = f"{besieged.client.base_url}/v1"
    tried, failures = [], []
    for operation in schema.get_all_operations():

        @fuzzed(150)
        @given(case=operation.ok().as_strategy())
        def attack(case):
            begun = time.monotonic()
            key = besieged.keys["team"] if len(tried) % 5 else "none"
            got = case.call(base_url=base, headers={"authorization": f"Bearer {key}"})
            tried.append(got.status_code)
            late = time.monotonic() - begun > LONGEST_S
            quoted = [one for one in LEFT_OUT if one in got.text]
            if got.status_code >= 500 or late or quoted:
                failures.append((case.path, case.body, got.status_code, got.text[:200]))

        attack()
    assert len({*tried}) > 2, "not all of it is refused in one way"
    told(record_property, "B17", len(tried), failures)


@pytest.mark.parametrize("target", TARGETS)
def test_a_parser_by_coverage(record_property, target, tmp_path):
    """What it finds lies beside the run, as libFuzzer names it."""
    pytest.importorskip("atheris")
    command = [sys.executable, str(ROOT / "tests/faults/fuzzer.py"), target]
    limits = [f"-max_total_time={SECONDS}", "-max_len=4000", "-timeout=10", "-rss_limit_mb=3000"]
    done = subprocess.run(
        [*command, *limits, "-print_final_stats=1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS + 120,
        env={"PYTHONPATH": ":".join([str(ROOT), *sys.path]), "PATH": "/usr/bin:/bin"},
    )
    said = done.stderr[-3000:]
    [units] = [line for line in said.splitlines() if "number_of_executed_units" in line] or ["0"]
    trials = int(units.split()[-1])
    told(record_property, "B18", trials, [said] if done.returncode or trials < 100 else [])
