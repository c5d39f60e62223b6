"""A query cut into clauses is put together again as it was written."""

import json
from importlib.resources import files

import pytest

from tuning.query_text import count_of, own_words, query_text, tokens_of

TYPICAL = [
    "select name , city from staff where city = 'Lyon'",
    "SELECT count(*) FROM staff;",
    "select COUNT(*) from staff t1 where t1.age != 5 ;",
    "SELECT T1.a, T2.b FROM t AS T1 JOIN u AS T2 ON T1.id = T2.id",
    "SELECT a FROM t T1 INNER JOIN u T2 USING (id) WHERE a <> 3",
    "select a from t where b not in ('x', 'y') and c not like '%z%'",
    "SELECT a FROM t WHERE b NOT IN (SELECT b FROM u WHERE c == 2 ORDER BY d LIMIT 1)",
    'select a from t where b = "Rome" and c is not null',
    "SELECT avg(a), Max(b) c FROM t GROUP BY d HAVING count(*) >= 2",
    "SELECT a AS x FROM t ORDER BY x ASC LIMIT 5, 10",
    "select distinct a from t order by a desc limit 1",
    "SELECT CAST(a AS FLOAT) FROM t WHERE substr(b, 1, 4) = '2008'",
    "SELECT strftime('%Y', d) FROM t WHERE d BETWEEN '2008-01-01' AND '2008-12-31'",
    "SELECT ifnull(a, 0) FROM t, u WHERE t.id = u.id",
    "select case when a > 1 then 'x' else 'y' end from t",
    "SELECT `a b`, [c d] FROM t LEFT OUTER JOIN u ON t.x = u.x",
    "SELECT a FROM t WHERE b = 'it''s; -- no comment'",
    "SELECT a\nFROM t\nWHERE b = 1\nORDER BY c",
    "SELECT count( * ) FROM t WHERE a || 'x' = 'yx'",
    "SELECT T1.* FROM t AS T1 WHERE EXISTS (SELECT 1 FROM u WHERE u.id = T1.id)",
    "SELECT größe FROM maße WHERE straße = 'Köln 🙂' LIMIT 3",
]


def taught():
    """The queries of the sample company."""
    lines = (files("assistant") / "sample" / "corrections.jsonl").read_text().splitlines()
    texts = [json.loads(line) for line in lines]
    return [one for row in texts for one in row.values() if str(one).startswith("SELECT")]


def test_it_is_given_back_as_it_was_written():
    queries = taught()
    assert len(queries) > 20
    for query in [*TYPICAL, *queries]:
        cut = query_text(query)
        assert cut is not None and cut.text.split() == query.split(), query


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a FROM t UNION SELECT b FROM u",
        "WITH x AS (SELECT 1) SELECT a FROM x",
        "SELECT a FROM t -- the first\nWHERE b = 1",
        "SELECT a FROM t; SELECT b FROM u",
        "SELECT 1",
        "DELETE FROM t",
        "SELECT 'a FROM t",
        "",
    ],
)
def test_what_is_no_plain_select_is_not_cut(query):
    assert query_text(query) is None


def test_clauses_are_left_out_and_put_in_place():
    cut = query_text("select a\nfrom t\nwhere b = 1 ;")
    assert cut is not None and cut.cased("AND") == "and"
    other = cut.with_clauses(where=None, limit="limit 1", order="order by b")
    assert other.text == "select a\nfrom t\norder by b\nlimit 1 ;"


def test_own_words_are_no_words_of_sql():
    query = "SELECT COUNT(*), name FROM staff WHERE city = 'New York' AND age > 30 ORDER BY name"
    assert own_words(query) == ["name", "staff", "city", "New York", "age", "30", "name"]
    assert own_words("'") == [] and tokens_of("x" * 30_000) == []


def test_the_way_of_counting():
    assert count_of(["SELECT a FROM t", "select Count ( * ) from t"]) == "Count ( * )"
    assert count_of(["SELECT count(a) FROM t"]) is None
