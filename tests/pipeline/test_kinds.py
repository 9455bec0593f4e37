"""Counters, gauges, amounts and statements on the grid, by hand-worked round numbers."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from config.tables import STATEMENTS
from tests.pipeline.hours import at, by_period, measured, readings, rule


def column(frame: pl.DataFrame, name: str) -> list[float]:
    return [pytest.approx(value) if value is not None else None for value in frame[name]]


def test_a_counter_is_split_at_the_boundary_by_time() -> None:
    # 5 min before and 10 min after 00:15: a third of 30 kWh falls before it.
    made = measured(readings((10, 100), (25, 130)), rules=[rule("counter")])
    assert column(made.intervals, "measured") == [10, 20]
    assert column(made.intervals, "coverage_ratio") == [5 / 15, 10 / 15]
    assert made.gaps.is_empty()


def test_a_hole_is_imputed_evenly_and_exact_in_total() -> None:
    made = measured(
        readings((0, 0), (15, 10), (90, 60), (105, 70)),
        rules=[rule("counter", rated_per_h=60)],
    )
    assert column(made.intervals, "measured") == [10, 0, 0, 0, 0, 0, 10]
    assert column(made.intervals, "imputed") == [0, 10, 10, 10, 10, 10, 0]
    assert column(made.intervals, "coverage_ratio") == [1, 0, 0, 0, 0, 0, 1]
    # At 60 kW a quarter hour takes at most 15 kWh; the four others take 50 - 15 x 4 < 0 at least.
    assert column(made.intervals, "low") == [10, 0, 0, 0, 0, 0, 10]
    assert column(made.intervals, "high") == [10, 15, 15, 15, 15, 15, 10]
    assert made.gaps.select("code", "amount", "low", "high").rows() == [("counter.gap", 50, 50, 50)]


def test_a_gap_inside_a_period_is_exact_and_across_its_end_bounded() -> None:
    rules = [rule("counter", rated_per_h=60)]
    made = measured(readings((0, 0), (15, 10), (90, 60), (120, 80)), rules=rules)
    whole = by_period(made, rules, "day", 0, 120).row(0, named=True)
    assert [whole[k] for k in ("amount", "low", "high")] == pytest.approx([80, 80, 80])
    assert whole["coverage_ratio"] == pytest.approx(45 / 120)
    hours = by_period(made, rules, "hour", 0, 120)
    # 45 min of the gap lie in the first hour: 30 of 50 kWh evenly; at most 45, and 20 at least,
    # for the 30 min after it take at most 30.
    assert column(hours, "amount") == [10 + 30, 20 + 20]
    assert column(hours, "low") == [10 + 20, 20 + 5]
    assert column(hours, "high") == [10 + 45, 20 + 30]


def test_without_rated_power_unseen_time_has_no_upper_bound() -> None:
    rules = [rule("counter")]
    made = measured(readings((0, 0), (15, 10)), rules=rules)
    hour = by_period(made, rules, "hour", 0, 60).row(0, named=True)
    assert (hour["amount"], hour["low"], hour["high"]) == (10, 10, None)
    assert hour["coverage_ratio"] == pytest.approx(0.25)


def test_a_meter_that_was_never_read_is_unknown_and_not_zero() -> None:
    rules = [rule("counter", rated_per_h=60), rule("counter", meter_id="dead", rated_per_h=5)]
    made = measured(readings((0, 0), (60, 10)), rules=rules)
    dead = by_period(made, rules, "hour", 0, 60).filter(pl.col("meter_id") == "dead")
    assert dead.select("amount", "low", "high", "coverage_ratio").rows() == [(None, 0, 5, 0)]


def test_failed_readings_are_no_values() -> None:
    made = measured(readings((0, 100), (15, None), (30, 130)), rules=[rule("counter")])
    assert made.intervals.select(pl.col("measured", "imputed").sum()).row(0) == (0, 30)
    assert made.findings.is_empty()


def test_multiplier_and_unit_scale_the_amount() -> None:
    made = measured(readings((0, 1), (15, 3)), rules=[rule("counter", scale=4000.0)])
    assert column(made.intervals, "measured") == [8000]


def test_a_reset_books_nothing_across_and_is_a_finding() -> None:
    made = measured(
        readings((0, 500), (15, 510), (30, 2), (45, 12), (60, 22), (75, 32)),
        rules=[rule("counter", rated_per_h=100)],
    )
    assert made.findings["code"].to_list() == ["counter.reset"]
    (gap,) = made.gaps.iter_rows(named=True)
    assert (gap["amount"], gap["low"], gap["high"]) == (None, 0, pytest.approx(25))
    assert made.intervals["measured"].sum() == pytest.approx(10 + 30)


def test_a_gauge_runs_straight_between_samples() -> None:
    # 0 to 60 kW over half an hour is 15 kWh: 3.75 in the first quarter, 11.25 in the second.
    made = measured(readings((0, 0), (30, 60)), rules=[rule("gauge")])
    assert column(made.intervals, "measured") == [3.75, 11.25]
    assert column(made.intervals, "coverage_ratio") == [1, 1]


def test_a_gauge_over_a_gap_is_an_estimate_with_bounds() -> None:
    rules = [rule("gauge", rated_per_h=100)]
    made = measured(readings((0, 60), (60, 60)), rules=rules)
    (gap,) = made.gaps.iter_rows(named=True)
    assert (gap["code"], gap["amount"], gap["low"], gap["high"]) == ("gauge.gap", 60, 0, 100)
    hour = by_period(made, rules, "hour", 0, 60).row(0, named=True)
    assert (hour["amount"], hour["low"], hour["high"]) == (60, 0, 100)
    assert hour["coverage_ratio"] == 0


def test_a_gauge_beyond_rated_power_is_not_believed() -> None:
    made = measured(readings((0, 60), (15, 9999), (30, 60)), rules=[rule("gauge", rated_per_h=100)])
    assert made.findings["code"].to_list() == ["gauge.beyond_rated"]
    assert column(made.intervals, "measured") == [15, 15]


def test_means_of_a_gauge_stand_for_their_span() -> None:
    made = measured(readings((15, 60), (30, 20)), rules=[rule("gauge", span_us=15 * 60_000_000)])
    assert column(made.intervals, "measured") == [15, 5]


def test_amounts_cross_a_boundary_by_time_and_count_once() -> None:
    rows = readings((20, 30), (35, 15), (20, 30))
    made = measured(rows, rules=[rule("amount", span_us=15 * 60_000_000)])
    # 00:05 to 00:20 is two thirds before 00:15; 00:20 to 00:35 two thirds before 00:30.
    assert column(made.intervals, "measured") == [20, 10 + 10, 5]


def test_a_missing_amount_is_a_gap_of_unknown_size() -> None:
    rules = [rule("amount", span_us=15 * 60_000_000, rated_per_h=40)]
    made = measured(readings((15, 5), (45, 5)), rules=rules)
    (gap,) = made.gaps.iter_rows(named=True)
    assert (gap["code"], gap["amount"], gap["low"], gap["high"]) == ("amount.missing", None, 0, 10)
    hour = by_period(made, rules, "hour", 0, 45).row(0, named=True)
    assert (hour["amount"], hour["low"], hour["high"]) == (10, 10, 20)
    assert hour["coverage_ratio"] == pytest.approx(2 / 3)


def test_a_statement_is_spread_over_its_days_and_exact_as_a_whole() -> None:
    entered = datetime(2026, 11, 1, tzinfo=UTC)
    row = (
        "p",
        "m",
        at(0),
        at(2 * 1440),
        "kg",
        10.0,
        200.0,
        20.0,
        0.0,
        190.0,
        "t",
        "me",
        entered,
        None,
        None,
    )
    again = (*row[:9], 192.0, "t", "me", datetime(2026, 11, 2, tzinfo=UTC), None, None)
    statements = pl.LazyFrame([again, row], schema=STATEMENTS.polars_schema(), orient="row")
    rules = [rule("amount", unit="kg")]
    made = measured(rules=rules, statements=statements)
    days = by_period(made, rules, "day", 0, 2 * 1440)
    assert column(days, "amount") == [96, 96]  # the one entered last counts
    assert column(days, "low") == [0, 0]
    assert column(days, "high") == [192, 192]
    month = by_period(made, rules, "month", 0, 2 * 1440).row(0, named=True)
    assert [month[k] for k in ("amount", "low", "high")] == pytest.approx([192, 192, 192])
    assert month["coverage_ratio"] == 1


def test_nothing_at_all_is_no_rows() -> None:
    made = measured(rules=[rule("counter"), rule("gauge", meter_id="g")])
    assert [len(frame) for frame in made[:3]] == [0, 0, 0]


def test_one_reading_measures_nothing() -> None:
    made = measured(readings((7, 100)), rules=[rule("counter")])
    assert len(made.intervals) == 0


def test_a_value_that_is_no_number_poisons_nobody() -> None:
    rows = readings((0, 0), (15, float("nan")), (15.5, float("inf")), (30, 20))
    made = measured(rows, rules=[rule("counter")])
    assert made.intervals.select(pl.col("measured", "imputed").sum().sum()).row(0) == (0, 20)
