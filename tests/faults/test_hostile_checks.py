"""A model's answer as a query, and what an admin may have typed as a check: nothing runs on.

A `sql` check runs an answer on a copy of a client's database, so the answer is an attacker's text.
"""

import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from assistant.declared_checks import checks_as_declared
from assistant.rebase import full_name
from storage.errors import BadInput
from storage.workspaces import create_workspace, set_workspace
from tuning import patterns, sql_check
from tuning.checks import declared, fault
from tuning.json_check import parse, schema_fault, value_fault
from tuning.patterns import PatternTooSlow, find, pattern_fault
from tuning.sql_check import QueryFailed, run_query

BAR = "B17"
LONGEST_S = 6.0
"""Of a query that may run for one second, on a machine that does other work."""


def told(record, bar, trials, failures):
    record("bar", bar)
    record("trials", trials)
    record("failures", len(failures))
    assert not failures, failures[:5]


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("client") / "client.sqlite"
    with sqlite3.connect(path) as db:
        db.executescript("create table t (id, words, x); insert into t values (1, ' a ', 1.5)")
    db.close()
    return path


COUNT = "with recursive n(x) as (select 1 union all select x + 1 from n) "
LONG = "replace(hex(zeroblob(400000)), '0', 'a')"
HALF = "(replace(hex(zeroblob(200000)), '0', 'a') || 'b')"
ENDLESS = {
    "rows": f"{COUNT}select count(*) from n",
    "one trim": f"select length(trim({LONG}, replace(hex(zeroblob(399000)), '0', 'b') || 'a'))",
    "trims of one end": f"select ltrim({LONG}, {HALF}), rtrim({LONG}, {HALF})",
    "searches in one row": f"select {'+'.join([f'instr({LONG}, {HALF})'] * 120)}",
    "searches in many rows": f"{COUNT}select sum(instr({LONG}, {HALF})) from n",
    "replaces": f"select length({'||'.join([f'replace({LONG}, {HALF}, 1)'] * 20)})",
    "a star": "select " + "||".join(["printf('%.*c', 2147483647, 1)"] * 99),
    "a width": "select format('%.999999999c', 'x')",
    "patterns": f"select {LONG} like '{'%a' * 499}%b', {LONG} glob '{'*a' * 499}*b'",
    "the disk": f"{COUNT}select count(*) from (select randomblob(900000) b from n group by b)",
    "the disk again": f"{COUNT}select count(*) from (select distinct randomblob(900000) from n)",
}


@pytest.mark.parametrize("what", ENDLESS)
def test_no_query_runs_or_grows_without_end(client, record_property, what, monkeypatch):
    monkeypatch.setattr(sql_check, "SQL_SECONDS", 1.0)
    before, begun = Path("/proc/self/status").read_text(), time.monotonic()
    try:
        found = run_query(client, ENDLESS[what])
        assert len(found) == 1
    except QueryFailed as error:
        said = str(error)
        assert "runs longer" in said or "more than" in said or "star" in said, said
    took = time.monotonic() - begun
    grown = _megabytes(Path("/proc/self/status").read_text()) - _megabytes(before)
    told(record_property, BAR, 1, [took] * (took > LONGEST_S) + [grown] * (grown > 500))


def _megabytes(status: str) -> int:
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) >> 10


OUT = (
    *("attach 'x.sqlite' as x", "attach ':memory:' as x", "vacuum into 'x.sqlite'", "detach main"),
    *("pragma query_only = 0", "pragma writable_schema = 1", "select * from pragma_table_list"),
    *("select load_extension('x')", "select LOAD_EXTENSION('x', 'y')", "begin", "savepoint x"),
    *("insert into t values (1, 2, 3) returning id", "with x as (select 1) delete from t"),
    *("create temp table x (a)", "create temp trigger x after insert on t begin select 1; end"),
    *("select fts3_tokenizer('simple')", "select writefile('x', 'y')", "select readfile('x')"),
    *("select 1; delete from t", "update t set id = 2 returning id", "analyze"),
    *("select edit('x')", "select * from dbstat", "select eval('delete from t')"),
)


def test_no_query_writes_or_leaves_its_file(client, tmp_path, record_property, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before, failures = client.read_bytes(), []
    for query in OUT:
        try:
            failures.append((query, run_query(client, query)))
        except QueryFailed:
            continue
    failures += ["the file changed"] * (client.read_bytes() != before)
    failures += [*tmp_path.iterdir()] + [one for one in client.parent.iterdir() if one != client]
    told(record_property, "B26", len(OUT), failures)


FUNCTIONS = """
trim('  a ')|trim('xxaxx', 'x')|ltrim('xya', 'yx')|rtrim('aé', 'é')|trim(5.0, 0)|trim('a', '')
trim(null, 'a')|trim('a', null)|trim(x'6161', 'a')|trim('\u3000a\u3000')|typeof(trim(1, 2))
instr('aé', 'é')|instr(x'0102', x'02')|instr(12345, 34)|instr('a', '')|instr(null, 1)
instr(1.5, '.')|instr(1e20, 'e')|typeof(instr('a', 'a'))
replace('aXbX', 'X', 'yy')|replace('a', '', 'b')|replace(1.50, 5, 6)|replace(1, 1, null)
replace(x'6162', 'a', 'c')|replace(1e20, '0', 'x')
printf('%05d/%-5s/%.2f', 42, 'a', 1.005)|printf('%s')|printf(null)|printf('%d%%', 5.9)
format('%,d', 1234567)|printf('%q', 'it''s')|typeof(printf('%d', 1))|printf('%x', -1)
printf('%s', 1e20)
""".strip().replace("\n", "|")


@pytest.mark.parametrize("call", FUNCTIONS.split("|"))
def test_the_functions_that_are_done_here_say_what_sqlite_says(client, call):
    with sqlite3.connect(":memory:") as plain:
        wanted = plain.execute(f"select {call}").fetchall()
    plain.close()
    assert run_query(client, f"select {call}") == wanted


def test_no_pattern_hangs(record_property, monkeypatch):
    """Those of textbooks, each of which takes Python's own `re` minutes or more."""
    evil = (
        *("(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*a){20}$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(a*)*b"),
        *("(?:a?){40}a{40}b", "(\\w+\\s?)*$", "^(a+)+\\1$", "(?=(a+))*b", "([^b]+)*c", "(x+x+)+y"),
    )
    failures = []
    monkeypatch.setattr(patterns, "SEARCH_SECONDS", 0.1)
    for pattern in evil:
        assert pattern_fault(pattern) is None
        begun = time.monotonic()
        with suppress(PatternTooSlow):
            find(pattern, "a" * 5000 + "!")
        took = time.monotonic() - begun
        failures += [(pattern, took)] if took > 2 else []
    for huge in (
        "a{1,4294967295}" * 50,
        "(" * 3000 + ")" * 3000,
        "a{999999999999}",
        "[" * 9999,
        "(?R",
    ):
        begun = time.monotonic()
        pattern_fault(huge)
        took = time.monotonic() - begun
        failures += [(huge[:20], took)] if took > 2 else []
    told(record_property, BAR, len(evil) + 4, failures)


REFERENCES = (
    *("file:///etc/passwd", "http://127.0.0.1:9/x.json", "https://json-schema.org/x", "//evil/x"),
    *("../../etc/passwd", "urn:x", "#/nowhere", "ftp://a/b", "\\\\host\\x", "jar:file:x!/y"),
)


def test_no_reference_of_a_schema_is_fetched(record_property):
    """The connection would be refused at once, with another sentence."""
    failures = []
    for reference in REFERENCES:
        for schema in (
            {"$ref": reference},
            {"$dynamicRef": reference},
            {"properties": {"a": {"$ref": reference}}, "required": ["a"]},
            {"$id": reference, "$ref": "other"},
            {"properties": {"a": {"$id": reference, "$ref": "#/$defs/b"}}, "$defs": {"b": True}},
        ):
            fault = schema_fault(schema)
            if fault is None:
                try:
                    value_fault(schema, {"a": 1})
                except Exception as error:  # noqa: BLE001  a refusal in words is wanted
                    failures.append((schema, type(error).__name__))
    told(record_property, "B26", 5 * len(REFERENCES), failures)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 50_000, '{"a": 1, "a": 2}', "NaN", "[-Infinity]", "1" * 5000]
)
def test_no_json_of_an_answer_breaks_its_check(text):
    with pytest.raises((ValueError, RecursionError)):
        parse(text)
    check = declared({"type": "json", "schema": {"type": "object"}})
    assert fault(check, text)


def test_deep_json_that_an_admin_types_is_refused_in_words(app):
    with closing(app.db()) as db:
        create_workspace(db, "deep")
        for key in ("checks", "sites", "embed_origins", "starters", "dials"):
            with pytest.raises(BadInput):
                set_workspace(db, "deep", key, "[" * 100_000)
        for origin in (
            "https://bücher.example",
            "https://a b",
            "https://a;script-src *",
            "https://x,y",
        ):
            with pytest.raises(BadInput):
                set_workspace(db, "deep", "embed_origins", f'["{origin}"]')
    assert checks_as_declared(app, "[" * 100_000)


def test_a_name_that_is_no_path_is_refused_in_words():
    with pytest.raises(BadInput, match="cannot be a base model"):
        full_name("x" * 5000)
    assert full_name("a\0b") == "a\0b"  # no folder; what fetches it says so
