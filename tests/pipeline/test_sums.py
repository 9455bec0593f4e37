"""Sums and quotients to the last bit."""

from __future__ import annotations

import polars as pl

from pipeline.sums import quotient, total

DAYS_30_US = 30 * 86_400_000_000


def test_a_quotient_does_not_depend_on_how_the_rows_came_about() -> None:
    one = pl.LazyFrame({"whole": [DAYS_30_US]})
    exploded = one.with_columns(part=pl.int_ranges(0, 2880)).explode("part")
    plain = pl.LazyFrame({"whole": [DAYS_30_US] * 2880, "part": list(range(2880))})
    parts = pl.col("part") * 7919
    found = [
        frame.select(quotient(parts, pl.col("whole")).alias("x")).collect()["x"]
        for frame in (exploded, plain)
    ]
    assert found[0].equals(found[1])
    assert found[0].to_list() == [n * 7919 / DAYS_30_US for n in range(2880)]


def test_a_quotient_of_the_unknown_is_unknown() -> None:
    frame = pl.DataFrame({"a": [1.0, None, 3.0], "b": [4.0, 2.0, None]})
    assert frame.select(quotient(pl.col("a"), pl.col("b")))["a"].to_list() == [0.25, None, None]


def test_a_sum_does_not_depend_on_the_order() -> None:
    values = [0.1, 1e16, -1e16, 0.3, 7.7]
    sums = {
        pl.DataFrame({"v": order}).select(total("v")).item() for order in (values, values[::-1])
    }
    assert len(sums) == 1
