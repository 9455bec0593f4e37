"""Whether the text of a query is one SELECT: the only thing that a connection of databases asks.

The server refuses writes as well, as its session is read only; this finds them before.
"""

from __future__ import annotations

import re
from itertools import pairwise

ALLOWED = "one SELECT (or WITH ... SELECT), without a semicolon inside it"
# What can stand behind a parenthesis, or behind a CTE, and change data.
_WRITING = {"insert", "update", "delete", "merge", "truncate", "drop", "alter", "create", "call"}
_SKIPPED = re.compile(
    r"""
      '(?:[^']|'')*'                  # text
    | "(?:[^"]|"")*" | `[^`]*`        # names
    | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ # dollar quotes
    | --[^\n]* | /\*.*?\*/            # comments
    """,
    re.VERBOSE | re.DOTALL,
)
_TOKEN = re.compile(r"[a-z_][\w$]*|[;()]", re.IGNORECASE)
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]\w*)", re.IGNORECASE)


def query_problem(query: str) -> str | None:
    """What keeps ``query`` from being one SELECT; None where it is one.

    >>> query_problem("SELECT 1; DROP TABLE t")
    'it holds more than one statement'
    >>> query_problem("with a as (select 1) select * from a") is None
    True
    """
    bare = _bare(query).strip().rstrip(";").lower()
    if any(mark in bare for mark in ("'", '"', "/*", "*/", "$$")):
        return "its quotes or comments do not pair"
    if "\\'" in query or "/*!" in query:
        return "a backslash before a quote, or /*!, means one thing here and another there"
    words = _TOKEN.findall(bare)
    if not words or words[0] not in ("select", "with"):
        return f"it begins with {(words[0] if words else 'nothing')!r}"
    if ";" in words:
        return "it holds more than one statement"
    for before, word in pairwise(words):
        if word == "into":
            return "SELECT ... INTO writes"
        if word in _WRITING and before in ("(", ")", "materialized"):
            return f"{word.upper()} in it writes"
        if before == "for" and word in ("update", "share", "no", "key"):
            return "SELECT ... FOR UPDATE locks rows"
    return None


def query_parameters(query: str) -> set[str]:
    """The names of its parameters, such as ``since`` of ``:since``.

    >>> query_parameters("SELECT a::date FROM t WHERE b > :since AND c = ':no'")
    {'since'}
    """
    return set(_PARAMETER.findall(_bare(query)))


def with_text_escaped(query: str) -> str:
    """The query as SQLAlchemy reads it, to which a colon inside quotes is one of a parameter."""
    return _SKIPPED.sub(lambda found: found.group().replace(":", "\\:"), query)


def _bare(query: str) -> str:
    """The query without comments, and with a name in place of each text."""
    return _SKIPPED.sub(
        lambda found: " " if found.group().startswith(("--", "/*")) else " x ", query
    )
