"""What a query says, told from its tree."""

import pytest

from tuning.query_sense import has_sense, literals, same_query, select_of


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT T1.a FROM t AS T1 WHERE T1.b LIKE '%Wood%' LIMIT 3", ["Wood", "3"]),
        ('SELECT "t"."a b" FROM "t" WHERE c = "Rome"', ["Rome"]),
        ("SELECT a FROM t WHERE b LIKE '%'", []),
        ("SELECT a FROM t WHERE b = 7 ORDER BY c DESC LIMIT 1", ["7"]),
        ("SELECT a, b FROM t ORDER BY 2", []),
        ("SELECT count(1) FROM t WHERE strftime('%Y', d) = '2008'", ["2008"]),
        ("SELECT a FROM t WHERE b > 1", ["1"]),
        ("no query at all (", []),
        (f"SELECT {'(' * 200}1{')' * 200}", []),
    ],
)
def test_the_values_that_a_question_names(query, expected):
    assert sorted(literals(query)) == sorted(expected)


def test_case_and_spacing_make_no_other_query():
    assert same_query("select  A from T where b != 1 ;") == same_query("SELECT a FROM t WHERE b<>1")
    assert same_query("select a from t") != same_query("select b from t")
    assert same_query(f"SELECT {'(' * 200}1") == f"select {'(' * 200}1"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT MIN(x), MIN(x) FROM t",
        "SELECT x, X FROM t",
        "SELECT x, MAX(y) FROM t",
        "SELECT x FROM t GROUP BY x",
        "SELECT x FROM t ORDER BY COUNT(*) DESC LIMIT 1",
        "SELECT x FROM t LIMIT 1",
        "SELECT COUNT(*) FROM t ORDER BY x LIMIT 1",
        "SELECT DISTINCT COUNT(*) FROM t",
        "SELECT DISTINCT x, COUNT(*) FROM t GROUP BY x",
        "SELECT DISTINCT * FROM t",
        "SELECT DISTINCT x FROM t ORDER BY y LIMIT 1",
        "SELECT COUNT(*), MAX(x) FROM t GROUP BY y",
        "SELECT x FROM t WHERE y > 1 AND y > 1",
        "SELECT x FROM t HAVING COUNT(*) > 1",
    ],
)
def test_nonsense_is_known_by_its_form(query):
    tree = select_of(query)
    assert tree is not None and not has_sense(tree)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT MIN(x), MAX(x) FROM t",
        "SELECT x, MAX(y) FROM t GROUP BY x",
        "SELECT x FROM t GROUP BY x ORDER BY COUNT(*) DESC LIMIT 1",
        "SELECT x FROM t GROUP BY x HAVING COUNT(*) > 1",
        "SELECT x FROM t ORDER BY y DESC LIMIT 1",
        "SELECT x FROM t WHERE y > (SELECT AVG(y) FROM t)",
        "SELECT x, MAX(y, z) FROM t",
        "SELECT x, SUM(y) OVER (ORDER BY z) FROM t",
        "SELECT DISTINCT x FROM t ORDER BY x",
        "SELECT COUNT(DISTINCT x) FROM t WHERE y > 1 AND z > 1",
        "SELECT SUM(x) / COUNT(*) FROM t",
    ],
)
def test_what_somebody_may_ask_for_has_sense(query):
    tree = select_of(query)
    assert tree is not None and has_sense(tree)
