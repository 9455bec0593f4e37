"""Virtual meters: exact months, bounds that hold the truth, and nothing made of what is missing.

The works of these tests has a main meter and two branches, `main` = `line1` + `line2`, each a
counter in kWh read every 5 minutes, rated at 120 kW (with the overload factor 144 kWh an hour).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from config.expressions import parse
from config.load import load
from config.site import Site
from config.tables import INTERVALS
from pipeline.bounds import Bounded
from pipeline.measure import Measured
from pipeline.periods import By, periods
from pipeline.rollup import interval_sums, meter_periods
from pipeline.rules import rules_of
from pipeline.tree import weights
from pipeline.virtual import (
    below_zero,
    dependents,
    evaluate,
    rolled_up,
    virtual_periods,
    virtual_rules_of,
)
from pipeline.virtual_intervals import VirtualMeasured, virtual_intervals
from tests.pipeline.hours import at, measured, readings
from tests.plants import write_plant

DAY = 24 * 60
STEP = 5
GAP_MINUTES = 15
METERS = [
    {
        "meter_id": name, "name": name, "node": "works", "energy": "electricity", "role": role,
        "kind": "counter", "unit": "kWh", "connection": "historian", "interval_s": "300",
        "rated_per_h": "120",
    }
    for name, role in (("main", "input"), ("line1", "check"), ("line2", "check"), ("pv", "check"))
]  # fmt: skip


def works(folder: Path, **expressions: str) -> Site:
    virtual = {
        name: {
            "name": name, "node": "kiln", "energy": "electricity", "role": "check", "expression": e
        }
        for name, e in expressions.items()
    }  # fmt: skip
    file = write_plant(folder, meters=METERS, products=None, imports=None, virtual=virtual)
    return load(file)


Load = Callable[[float], float]


def line1_kwh(minute: float) -> float:
    """Register of line 1: 60 kW by day, 20 kW by night."""
    days, left = divmod(minute, DAY)
    return days * 960 + (left if left < 720 else 720 + (left - 720) / 3)


def line2_kwh(minute: float) -> float:
    """Register of line 2: around 30 kW."""
    return minute / 2 + 20 * (1 - math.cos(minute / 120))


def main_kwh(minute: float) -> float:
    return line1_kwh(minute) + line2_kwh(minute)


REGISTERS: dict[str, Load] = {"main": main_kwh, "line1": line1_kwh, "line2": line2_kwh}


def read(meter_id: str, minutes: int, missing: Sequence[tuple[int, int]] = ()) -> pl.LazyFrame:
    """Readings of a register; ``missing``: from and to minutes between which all fail."""
    times = range(0, minutes + 1, STEP)
    return readings(
        *(
            (m, None if any(a < m < b for a, b in missing) else REGISTERS[meter_id](m))
            for m in times
        ),
        meter_id=meter_id,
    )


def both(site: Site, made: Measured) -> VirtualMeasured:
    """Intervals and gaps of all meters, virtual ones among them."""
    found = virtual_intervals(made.intervals, virtual_rules_of(site), "p")
    return VirtualMeasured(
        pl.concat([made.intervals, found.intervals]), pl.concat([made.gaps, found.gaps])
    )


def by_period(site: Site, made: Measured, by: By, minutes: float) -> pl.DataFrame:
    """Every meter's amounts by period, as a refresh would compute them."""
    virtual = virtual_rules_of(site)
    intervals, gaps = both(site, made)
    calendar = periods(by, at(0), at(minutes), ZoneInfo("UTC"))
    by_meter = meter_periods(
        interval_sums(intervals.lazy(), calendar),
        gaps.lazy(),
        calendar,
        [*rules_of(site), *rolled_up(virtual)],
        made.known.backwards | below_zero(virtual, made.known.backwards),
    )
    return pl.concat([by_meter, virtual_periods(by_meter, virtual)])


def figures(frame: pl.DataFrame, meter_id: str) -> list[dict[str, Any]]:
    columns = ("amount", "low", "high", "coverage_ratio")
    return frame.filter(pl.col("meter_id") == meter_id).select(columns).to_dicts()


# One of the branches is not read from 22:00 to 04:00; what line 2 took is the main less line 1.
OUTAGE = (22 * 60, 28 * 60)


def with_outage(site: Site) -> Measured:
    frames = [read("main", 2 * DAY), read("line1", 2 * DAY, [OUTAGE])]
    return measured(*frames, rules=rules_of(site))


def test_a_month_with_a_gap_in_one_branch_is_exact(tmp_path: Path) -> None:
    site = works(tmp_path, rest="main - line1")
    (month,) = figures(by_period(site, with_outage(site), "month", 2 * DAY), "rest")
    truth = line2_kwh(2 * DAY)
    assert month["amount"] == pytest.approx(truth, rel=1e-12)
    assert month["low"] == pytest.approx(truth, rel=1e-12)
    assert month["high"] == pytest.approx(truth, rel=1e-12)
    assert month["coverage_ratio"] == pytest.approx(42 / 48)


def test_days_that_share_the_gap_are_bounded_and_hold_the_truth(tmp_path: Path) -> None:
    site = works(tmp_path, rest="main - line1")
    days = figures(by_period(site, with_outage(site), "day", 2 * DAY), "rest")
    truths = [line2_kwh(DAY), line2_kwh(2 * DAY) - line2_kwh(DAY)]
    # 2 h of the gap lie before midnight: nothing to 180 kWh of line 1 can be theirs.
    gap = line1_kwh(OUTAGE[1]) - line1_kwh(OUTAGE[0])
    assert gap == 280
    for day, truth, hours in zip(days, truths, (2, 4), strict=True):
        assert day["low"] < truth < day["high"]
        assert day["low"] <= day["amount"] <= day["high"]
        assert day["amount"] != pytest.approx(truth, abs=1)
        assert day["coverage_ratio"] == pytest.approx(1 - hours / 24)
    assert days[0]["high"] - days[0]["low"] == pytest.approx(280)


def test_columns_and_order_are_those_of_meters_that_are_read(tmp_path: Path) -> None:
    site = works(tmp_path, rest="main - line1", most="max(main, line1)")
    made = with_outage(site)
    frame = by_period(site, made, "day", 2 * DAY)
    found = frame.filter(pl.col("meter_id") == "rest")
    main = frame.filter(pl.col("meter_id") == "main")
    shared = ("grain", "period", "start_utc", "end_utc", "whole", "unit")
    assert_frame_equal(found.select(shared), main.select(shared))
    line1 = frame.filter(pl.col("meter_id") == "line1")
    assert found["covered_s"].to_list() == line1["covered_s"].to_list()
    assert (found["measured"] + found["imputed"]).to_list() == pytest.approx(
        found["amount"].to_list()
    )
    assert frame.null_count()["measured"][0] == frame.null_count()["imputed"][0] == 0


def test_one_unknown_amount_makes_it_unknown_and_a_missing_bound_that_bound(
    tmp_path: Path,
) -> None:
    site = works(tmp_path, rest="main - pv * 2")
    frames = [read("main", DAY)]
    by_meter = by_period(site, measured(*frames, rules=rules_of(site)), "day", DAY)
    (day,) = figures(by_meter, "rest")  # pv was never read: 0 to 24 h at rated power
    assert (day["amount"], day["coverage_ratio"]) == (None, 0)
    assert day["high"] == pytest.approx(main_kwh(DAY))
    assert day["low"] == pytest.approx(main_kwh(DAY) - 2 * 24 * 144)
    unbounded = by_meter.filter(pl.col("meter_id").is_in(["main", "pv"])).with_columns(
        high=pl.when(pl.col("meter_id") != "pv").then("high")
    )
    (day,) = figures(virtual_periods(unbounded, virtual_rules_of(site)), "rest")
    assert day["low"] is None
    assert day["high"] == pytest.approx(main_kwh(DAY))
    alone = unbounded.filter(pl.col("meter_id") == "main")
    (day,) = figures(virtual_periods(alone, virtual_rules_of(site)), "rest")
    assert day == {"amount": None, "low": None, "high": None, "coverage_ratio": 0.0}


def test_what_cancels_out_does_not_widen_the_bounds(tmp_path: Path) -> None:
    site = works(tmp_path, rest="main - line1", again="rest + line1")
    days = figures(by_period(site, with_outage(site), "day", 2 * DAY), "again")
    assert [day["amount"] for day in days] == pytest.approx(
        [main_kwh(DAY), main_kwh(2 * DAY) - main_kwh(DAY)]
    )
    assert all(day["low"] == day["amount"] == day["high"] for day in days)
    assert [day["coverage_ratio"] for day in days] == [1, 1]


def test_the_order_of_the_rows_changes_no_bit(tmp_path: Path) -> None:
    site = works(tmp_path, rest="main / 3 - line1 * 0.1 + line2 * 0.7", most="max(rest, line2)")
    made = measured(
        read("main", DAY), read("line1", DAY, [(600, 700)]), read("line2", DAY),
        rules=rules_of(site),
    )  # fmt: skip
    virtual = virtual_rules_of(site)
    by_meter = by_period(site, made, "hour", DAY).filter(pl.col("meter_id") != "rest")
    wanted = virtual_periods(by_meter, virtual)
    grid = virtual_intervals(made.intervals, virtual, "p")
    assert len(wanted) == 24
    for seed in range(5):
        shuffled = by_meter.sample(fraction=1, shuffle=True, seed=seed)
        assert virtual_periods(shuffled, virtual).equals(wanted, null_equal=True)
        other = made.intervals.sample(fraction=1, shuffle=True, seed=seed)
        found = virtual_intervals(other.lazy(), virtual, "p")
        assert found.intervals.equals(grid.intervals, null_equal=True)
        assert found.gaps.equals(grid.gaps, null_equal=True)


# Interval by interval


def test_an_expression_that_is_no_weighted_sum_is_rolled_up_like_a_meter(tmp_path: Path) -> None:
    site = works(tmp_path, most="max(line1, line2)", above="max(line1 - line2, 0)")
    made = measured(read("line1", DAY), read("line2", DAY), rules=rules_of(site))
    frame = by_period(site, made, "day", DAY)
    steps = range(0, DAY, 15)
    line1, line2 = (
        [register(m + 15) - register(m) for m in steps] for register in (line1_kwh, line2_kwh)
    )
    for name, truth in (
        ("most", math.fsum(map(max, line1, line2))),
        ("above", math.fsum(max(a - b, 0) for a, b in zip(line1, line2, strict=True))),
    ):
        (day,) = figures(frame, name)
        assert day["amount"] == pytest.approx(truth, rel=1e-12)
        assert day["low"] == day["amount"] == day["high"]
        assert day["coverage_ratio"] == 1


def test_a_gap_of_a_part_goes_into_imputed_with_bounds(tmp_path: Path) -> None:
    site = works(tmp_path, above="max(main - line1, 0)")
    made = measured(
        read("main", 240), read("line1", 240, [(62, 118)]), rules=rules_of(site)
    )  # read at 60 and 120
    found = virtual_intervals(made.intervals, virtual_rules_of(site), "p")
    rows = found.intervals.to_dicts()
    assert len(rows) == 16
    for n, row in enumerate(rows):
        truth = line2_kwh(15 * n + 15) - line2_kwh(15 * n)
        assert row["low"] - 1e-9 <= truth <= row["high"] + 1e-9
        if 4 <= n < 8:  # the hour of the gap
            assert (row["measured"], row["imputation_code"]) == (0, "virtual.partial")
            assert row["coverage_ratio"] == 0
            assert row["low"] < truth < row["high"]
        else:
            assert row["measured"] == pytest.approx(truth)
            assert (row["imputed"], row["imputation_code"], row["coverage_ratio"]) == (0, "", 1)
    assert found.gaps["code"].to_list() == ["virtual.partial"] * 4
    (day,) = figures(by_period(site, made, "day", 240), "above")
    assert day["low"] < line2_kwh(240) < day["high"]
    assert day["amount"] == pytest.approx(sum(row["measured"] + row["imputed"] for row in rows))
    assert day["coverage_ratio"] == pytest.approx(0.75)


def grid_rows(meter_id: str, *rows: tuple[Any, ...]) -> pl.DataFrame:
    """(interval, measured, imputed, code, coverage, low, high)."""
    return pl.DataFrame(
        [
            ("p", meter_id, "value", at(15 * n), "kWh", m, i, code, c, low, high)
            for n, m, i, code, c, low, high in rows
        ],
        schema=INTERVALS.polars_schema(),
        orient="row",
    )


def whole(meter_id: str, *amounts: float) -> pl.DataFrame:
    rows = [(n, a, 0.0, "", 1.0, a, a) for n, a in enumerate(amounts)]
    return grid_rows(meter_id, *rows)


def laid(folder: Path, expression: str, *frames: pl.DataFrame) -> tuple[list[Any], list[Any]]:
    """Rows of intervals (interval, measured, imputed, code, coverage, low, high), and of gaps
    (from minute, to minute, code, amount, low, high)."""
    rules = virtual_rules_of(works(folder, v=expression))
    found = virtual_intervals(pl.concat(frames), rules, "p")
    minute = [
        (pl.col(f"gap_{side}_utc") - at(0)).dt.total_seconds() / 60 for side in ("start", "end")
    ]
    return (
        found.intervals.select(
            (pl.col("interval_start_utc") - at(0)).dt.total_minutes() // 15,
            "measured", "imputed", "imputation_code", "coverage_ratio", "low", "high",
        ).rows(),
        found.gaps.select(*minute, "code", "amount", "low", "high").rows(),
    )  # fmt: skip


SHARE = "main * line1 / (line1 + line2)"


def test_a_quotient_by_nothing_is_unknown_and_never_infinite(tmp_path: Path) -> None:
    frames = [whole("main", 10, 10), whole("line1", 3, 0), whole("line2", 1, 0)]
    rows, gaps = laid(tmp_path / "1", SHARE, *frames)
    assert rows == [(0, 7.5, 0, "", 1, 7.5, 7.5)]
    assert gaps == [(15, 30, "virtual.unknown", None, -math.inf, None)]
    # Where a person knows more, the bounds say so: a share is from 0 to 1.
    clipped = "main * clip(line1 / (line1 + line2), 0, 1)"
    rows, gaps = laid(tmp_path / "2", clipped, *frames)
    assert rows == [(0, 7.5, 0, "", 1, 7.5, 7.5)]
    assert gaps == [(15, 30, "virtual.unknown", None, 0, 10)]


def test_what_a_part_lacks_altogether_has_no_row(tmp_path: Path) -> None:
    rows, gaps = laid(
        tmp_path, "max(main, line1)", whole("main", 1, 2, 3, 4),
        whole("line1", 5, 6, 7, 8).filter(pl.col("interval_start_utc") != at(30)),
        whole("line2", 9, 9, 9, 9),
    )  # fmt: skip
    assert [row[:2] for row in rows] == [(0, 5), (1, 6), (3, 8)]
    assert gaps == []


def test_partly_seen_watched_rarely_and_unknown_parts(tmp_path: Path) -> None:
    line1 = grid_rows(
        "line1",
        (0, 4.0, 0.0, "", 0.6, 4.0, 9.0),  # 6 minutes not seen
        (1, 0.0, 5.0, "statement.sparse", 1.0, 0.0, 8.0),  # a statement, spread
        (2, 0.0, 0.0, "counter.reset", 0.0, 0.0, None),  # nothing may be booked
        (3, 0.0, 0.0, "counter.gap", 0.0, 0.0, 0.0),  # nothing passed
        (4, 0.0, 0.0, "gauge.gap", 0.0, -2.0, 2.0),  # estimated to be nothing
    )
    rows, gaps = laid(tmp_path, "max(main, line1)", whole("main", 1, 1, 1, 1, 1), line1)
    assert rows == [
        (0, 0, 4, "virtual.partial", 0.6, 4, 9),
        (1, 0, 5, "virtual.sparse", 1, 1, 8),
        (3, 0, 1, "virtual.partial", 0, 1, 1),
        (4, 0, 1, "virtual.partial", 0, 1, 2),
    ]
    assert gaps == [
        (9, 15, "virtual.partial", 4, 4, 9),
        (15, 30, "virtual.sparse", 5, 1, 8),
        (30, 45, "virtual.unknown", None, 1, None),
        (45, 60, "virtual.partial", 1, 1, 1),
        (60, 75, "virtual.partial", 1, 1, 2),
    ]


def test_each_interval_stands_for_itself(tmp_path: Path) -> None:
    """So one day measured anew gives that day's rows, to the last bit."""
    site = works(tmp_path, above="max(main - line1, line2 / 3)", part=SHARE)
    virtual = virtual_rules_of(site)
    made = measured(
        read("main", 2 * DAY), read("line1", 2 * DAY, [OUTAGE]), read("line2", 2 * DAY),
        rules=rules_of(site),
    )  # fmt: skip
    day = pl.col("interval_start_utc") >= at(DAY)
    every, one = (
        virtual_intervals(frame, virtual, "p")
        for frame in (made.intervals, made.intervals.filter(day))
    )
    assert len(one.intervals) == 2 * 96
    assert one.intervals.equals(every.intervals.filter(day), null_equal=True)
    gap = pl.col("gap_start_utc") >= at(DAY)
    assert len(one.gaps) == 2 * 16
    assert one.gaps.equals(every.gaps.filter(gap), null_equal=True)


def test_time_that_nobody_saw_has_no_bound(tmp_path: Path) -> None:
    site = works(tmp_path, above="max(main - line1, 0)", least="min(main - line1, line2)")
    made = measured(*(read(name, DAY // 2) for name in REGISTERS), rules=rules_of(site))
    frame = by_period(site, made, "day", DAY)
    (above,), (least,) = figures(frame, "above"), figures(frame, "least")
    assert above["low"] == above["amount"] == pytest.approx(line2_kwh(DAY // 2))
    assert above["coverage_ratio"] == least["coverage_ratio"] == 0.5
    # In the other half the one was 0 or more; the other can have been anything.
    assert (above["high"], least["low"], least["high"]) == (None, None, None)


# What the rules say


def test_rules_say_what_enters_them(tmp_path: Path) -> None:
    site = works(
        tmp_path,
        top="most + rest", most="max(line2, rest)", rest="main - line1", other="pv * 2",
    )  # fmt: skip
    rules = virtual_rules_of(site)
    by_id = {rule.meter_id: rule for rule in rules}
    assert [rule.meter_id for rule in rules].index("top") > 1
    assert by_id["top"].sources == {"main", "line1", "line2"}
    assert by_id["top"].weights == (("line1", -1.0), ("main", 1.0), ("most", 1.0))
    assert by_id["most"].weights is None
    assert [rule.meter_id for rule in rolled_up(rules)] == ["most"]
    assert {*dependents(rules, {"main"})} == {"top", "most", "rest"}
    assert {*dependents(rules, ["line2"])} == {"top", "most"}
    assert dependents(rules, ["pv"]) == ["other"]
    assert dependents(rules, []) == []
    assert {*dependents(rules, ["most"])} == {"top"}


@pytest.mark.parametrize(
    ("expression", "backwards", "below"),
    [
        ("max(main - line1, 0)", (), False),
        ("abs(main - line1)", ("main",), False),
        ("max(main, line1)", (), False),
        ("max(main, line1)", ("main", "line1"), True),
        ("min(main, line1)", ("pv",), False),
        ("min(main, line1)", ("line1",), True),
        ("min(main - line1, line2)", (), True),
        ("main * clip(line1 / (line1 + line2), 0, 1)", (), False),
        ("main * clip(line1 / (line1 + line2), 0, 1)", ("main",), True),
        (SHARE, (), True),  # 0 / 0 is anything
    ],
)
def test_what_can_be_below_zero(
    expression: str, backwards: Sequence[str], below: bool, tmp_path: Path
) -> None:
    rules = virtual_rules_of(works(tmp_path, v=expression))
    assert below_zero(rules, backwards) == ({"v"} if below else set())


def test_a_stated_unit_is_converted(tmp_path: Path) -> None:
    virtual = {
        "v": {
            "name": "v", "node": "works", "energy": "heat", "expression": "main * 0.9",
            "unit": "kWh", "role": "check",
        },
        "w": {
            "name": "w", "node": "works", "energy": "heat", "expression": "max(main, line1)",
            "unit": "kWh", "role": "check",
        },
    }  # fmt: skip
    file = write_plant(tmp_path, meters=METERS, products=None, imports=None, virtual=virtual)
    site = load(file)
    made = measured(read("main", DAY), read("line1", DAY), rules=rules_of(site))
    frame = by_period(site, made, "day", DAY)
    (v,), (w,) = figures(frame, "v"), figures(frame, "w")
    assert v["amount"] == pytest.approx(main_kwh(DAY) * 0.9 * 3.6)
    assert w["amount"] == pytest.approx(main_kwh(DAY) * 3.6)
    assert {*frame.filter(pl.col("meter_id").is_in(["v", "w"]))["unit"]} == {"MJ"}


def test_it_has_its_place_in_the_tree(tmp_path: Path) -> None:
    virtual = {
        "rest": {
            "name": "rest", "node": "kiln", "energy": "electricity",
            "expression": "main - line1",
        }
    }  # fmt: skip
    file = write_plant(tmp_path, meters=METERS, products=None, imports=None, virtual=virtual)
    plant = load(file).plant
    found = weights(plant.nodes, plant.all_meters).select("node_id", "meter_id", "weight").rows()
    assert sorted(found) == [("kiln", "rest", 1), ("works", "main", 1)]
    assert {rule.meter_id for rule in rules_of(load(file))} == {*plant.meters}


# Bounds hold the truth


def faults() -> st.SearchStrategy[list[tuple[int, int]]]:
    """Holes longer than the meter may be silent and count as watched: there its flow is even."""
    pair = st.tuples(st.integers(0, 2 * DAY), st.integers(GAP_MINUTES + STEP, 600))
    return st.lists(pair.map(lambda p: (p[0], p[0] + p[1])), max_size=3)


EXPRESSIONS = {
    "rest": "main - line1",
    "loss": "main * 1.02 - (line1 + line2)",
    "above": "max(main - line1, 0)",
    "share": "main * clip(line1 / (line1 + line2), 0, 1)",
    "least": "min(main - line1, line2, line1 * 2) - line2 / 2",
    "apart": "abs(line1 - line2) + above",
}
TRUTHS: dict[str, Callable[[float, float, float], float]] = {
    "rest": lambda m, a, _b: m - a,
    "loss": lambda m, a, b: m * 1.02 - (a + b),
    "above": lambda m, a, _b: max(m - a, 0),
    "share": lambda m, a, b: m * min(max(a / (a + b), 0), 1),
    "least": lambda m, a, b: min(m - a, b, a * 2) - b / 2,
    "apart": lambda m, a, b: abs(a - b) + max(m - a, 0),
}


def test_bounds_hold_the_truth_whatever_was_not_read(tmp_path: Path) -> None:
    site = works(tmp_path, **EXPRESSIONS)
    steps = [
        [register(m + 15) - register(m) for register in REGISTERS.values()]
        for m in range(0, 2 * DAY, 15)
    ]

    @settings(max_examples=20, deadline=None)
    @given(st.fixed_dictionaries({name: faults() for name in REGISTERS}))
    def holds(missing: Mapping[str, list[tuple[int, int]]]) -> None:
        frames = [read(name, 2 * DAY, missing[name]) for name in REGISTERS]
        made = measured(*frames, rules=rules_of(site))
        frame = by_period(site, made, "day", 2 * DAY)
        for name, truth_of in TRUTHS.items():
            for day, part in zip(figures(frame, name), (steps[:96], steps[96:]), strict=True):
                is_held(day, math.fsum(truth_of(*step) for step in part))

    holds()


def is_held(figure: Mapping[str, float | None], truth: float) -> None:
    """The truth lies inside the bounds, so does the amount, and with full coverage it is it."""
    amount = figure["amount"]
    low = -math.inf if figure["low"] is None else figure["low"]
    high = math.inf if figure["high"] is None else figure["high"]
    assert low - 1e-6 <= truth <= high + 1e-6
    if amount is not None:
        assert low - 1e-6 <= amount <= high + 1e-6
    if figure["coverage_ratio"] == 1:
        assert amount == pytest.approx(truth, abs=1e-6)


numbers = st.floats(-100, 100, allow_nan=False).map(lambda x: round(x, 3))
boxes = st.tuples(numbers, numbers, numbers).map(sorted)  # low, amount, high
leaves = st.sampled_from(["a", "b", "c", "2", "0.5", "0"])


def _operations(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(
            lambda p: f"{p[0]}({p[1]}, {p[2]})"
        ),
        inner.map(lambda one: f"abs({one})"),
        inner.map(lambda one: f"-{one}"),
        st.tuples(inner, inner, inner).map(lambda p: f"clip({p[0]}, {p[1]}, {p[2]})"),
    )


def clip(x: float, low: float, high: float) -> float:
    return min(max(x, low), high)


@settings(max_examples=400, deadline=None)
@given(
    st.recursive(leaves, _operations, max_leaves=6).filter(lambda text: text != "a"),
    st.tuples(boxes, boxes, boxes),
)
def test_any_expression_of_amounts_inside_their_bounds_lies_inside_its_own(
    text: str, three: tuple[list[float], ...]
) -> None:
    """Against Python's own arithmetic, which the expressions are written in here."""
    of = {
        name: Bounded(*(np.array([box[i]]) for i in (1, 0, 2)))
        for name, box in zip("abc", three, strict=True)
    }
    found = evaluate(parse(f"a * 0 + {text}"), 1.0, None, of)
    names = {name: box[1] for name, box in zip("abc", three, strict=True)}
    functions = {"min": min, "max": max, "abs": abs, "clip": clip, "__builtins__": {}}
    try:
        truth = eval(text, functions, names)
    except ZeroDivisionError:
        assert np.isnan(found.amount[0])
        return
    assert found.amount[0] == pytest.approx(truth, rel=1e-9, abs=1e-9)
    slack = 1e-9 * (1 + abs(truth))
    assert found.low[0] <= truth + slack
    assert found.high[0] >= truth - slack


def test_bounds_of_quotients() -> None:
    def over(low: float, high: float) -> tuple[float, float]:
        six = np.array([6.0])
        by = Bounded(np.array([(low + high) / 2]), np.array([low]), np.array([high]))
        found = evaluate(parse("a / b"), 1.0, None, {"a": Bounded(six, six, six), "b": by})
        return found.low[0], found.high[0]

    assert over(2, 3) == (2, 3)
    assert over(-3, -2) == (-3, -2)
    assert over(0, 3) == (2, math.inf)
    assert over(-3, -0.0) == (-math.inf, -2)
    assert over(-1, 3) == (-math.inf, math.inf)
    assert over(0, 0) == (-math.inf, math.inf)
    assert over(2, math.inf) == (0, 3)
