"""A query is one SELECT, whatever its quotes and comments hide."""

from __future__ import annotations

import pytest

from config.sql_query import query_parameters, query_problem, with_text_escaped


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "  select a from t -- ; drop table t\n where b = ';'  ; ",
        "/* it's */ WITH x AS (SELECT 1) SELECT * FROM x",
        "SELECT 'DELETE FROM t; it''s', \"update\", `into`, $$ ; insert $$ FROM t",
        "SELECT t.update, coalesce(replace(a, 'x', 'y'), '') FROM t",
        "SELECT a::date FROM t WHERE b >= :since",
    ],
)
def test_one_select(query: str) -> None:
    assert query_problem(query) is None


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("", "begins with 'nothing'"),
        ("INSERT INTO t VALUES (1)", "begins with 'insert'"),
        ("-- SELECT\nDELETE FROM t", "begins with 'delete'"),
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", "DELETE in it writes"),
        ("WITH x AS MATERIALIZED (INSERT INTO t SELECT 1) SELECT 1", "writes"),
        ("WITH x AS (SELECT 1) UPDATE t SET a = 1", "UPDATE in it writes"),
        ("SELECT * INTO copy FROM t", "INTO writes"),
        ("SELECT * FROM t FOR UPDATE", "locks rows"),
        ("SELECT * FROM t FOR NO KEY UPDATE", "locks rows"),
        ("SELECT 'open", "do not pair"),
        ("SELECT 1 /* open", "do not pair"),
        (r"SELECT '\'; DROP TABLE t; --'", "a backslash before a quote"),
        ("SELECT 1 /*! ; DROP TABLE t */", "a backslash before a quote, or /*!"),
        ("COPY t TO '/tmp/x'", "begins with 'copy'"),
        ("CALL f()", "begins with 'call'"),
    ],
)
def test_anything_else(query: str, why: str) -> None:
    assert why in (query_problem(query) or "")


def test_parameters() -> None:
    query = "SELECT a::date, ':no', x[1:2] FROM t WHERE b > :since OR c = :since AND d < :until"
    assert query_parameters(query) == {"since", "until"}
    assert with_text_escaped("SELECT ':no', a::date -- :no\n, :since") == (
        "SELECT '\\:no', a::date -- \\:no\n, :since"
    )
