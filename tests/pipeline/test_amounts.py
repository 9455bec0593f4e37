"""Amounts that overlap, pulses of coarse meters, and going on from a checkpoint with both."""

from __future__ import annotations

import os
import random
from datetime import timedelta

import polars as pl
import pytest

from config.tables import READINGS, STATEMENTS
from pipeline.checkpoints import Checkpoint
from pipeline.measure import Known, Measured, measure
from pipeline.rules import US_PER_H, MeterRule
from tests.pipeline.hours import MIDNIGHT, at, by_period, measured, readings, rule

QUARTER_US = 15 * 60_000_000
STREAMS = int(os.environ.get("KGCE_STREAMS", "500")) // 20
SPANS = [rule("amount", span_us=QUARTER_US, rated_per_h=60)]


def day(*rows: tuple[float, float], rules: list[MeterRule] = SPANS) -> list[float | None]:
    made = measured(readings(*rows), rules=rules)
    (row,) = by_period(made, rules, "day", 0, 60).iter_rows(named=True)
    return [row["amount"], row["low"], row["high"], row["coverage_ratio"]]


def test_an_amount_in_the_midst_of_two_may_have_come_twice() -> None:
    rows = [(15, 10), (30, 10), (37, 10), (45, 10), (60, 10)]
    assert day(*rows) == pytest.approx([50, 40, 50, 1])


def test_an_amount_that_is_twice_one_and_larger_than_the_other_is_not_sure() -> None:
    # 50 came twice, a little later; what follows is 10. Truth 60: 22:00 to 37:00 is not booked for
    # sure, although half of its time is new when it comes.
    rows = [(15, 0), (30, 50), (37, 50), (45, 10), (60, 0)]
    unrated = [rule("amount", span_us=QUARTER_US)]
    assert day(*rows, rules=unrated) == pytest.approx([110, 60, 110, 1])


def test_time_that_only_an_unsure_amount_covers_is_covered() -> None:
    # 0 to 15, 8 to 23 and nothing until 45 to 60.
    amount, low, high, coverage = day((15, 10), (23, 12), (60, 0))
    assert (amount, low, coverage) == pytest.approx((22, 10, 38 / 60))
    assert high == pytest.approx(22 + 60 * 22 / 60)  # and what may have passed in 22 minutes


def test_an_unsure_amount_hides_no_missing_time() -> None:
    # All in one quarter: 0 to 5, 2 to 7, and 8 minutes in which nothing was seen.
    rules = [rule("amount", span_us=5 * 60_000_000, rated_per_h=60)]
    made = measured(readings((5, 5), (7, 5)), rules=rules)
    (row,) = made.intervals.iter_rows(named=True)
    found = [row[name] for name in ("measured", "imputed", "low", "high", "coverage_ratio")]
    assert found == pytest.approx([5, 5, 5, 10 + 8, 7 / 15])
    assert row["imputation_code"] == "amount.overlap"


def test_amounts_below_zero_overlap_too() -> None:
    assert day((15, -10), (30, -10), (37, -10), (45, -10), (60, -10)) == pytest.approx(
        [-50, -50, -40, 1]
    )


def test_statements_that_overlap_are_sure_where_they_end_first() -> None:
    rows = [
        ("p", "m", at(first), at(last), "kg", 0.0, amount, 0.0, 0.0, amount, "t", "me", at(0))
        for first, last, amount in ((0, 120, 24.0), (60, 180, 30.0))
    ]
    empty = STATEMENTS.polars_schema()
    fields = [dict(zip(STATEMENTS.names, row, strict=False)) for row in rows]
    rules = [rule("amount", unit="kg")]
    made = measured(rules=rules, statements=pl.LazyFrame(fields, schema=empty))
    (row,) = by_period(made, rules, "day", 0, 180).iter_rows(named=True)
    assert [row[k] for k in ("amount", "low", "high")] == pytest.approx([54, 24, 54])


def refused(*values: float) -> list[float]:
    """Which of a row of amounts are not believed; rated power allows 15 in a span."""
    rows = [(15.0 * (n + 1), value) for n, value in enumerate(values)]
    made = measured(readings(*rows), rules=SPANS)
    found = made.findings.filter(code="amount.beyond_rated")["start_utc"].to_list()
    return [value for minute, value in rows if at(minute) in found]


def test_one_wrong_amount_says_nothing_of_the_pulse() -> None:
    assert refused(0, 0, 5000, 0) == [5000]
    assert refused(0, 0, 5000, 0, 4000) == [5000, 4000]


def test_a_pulse_comes_twice_and_passes_in_between() -> None:
    # 40 at 60 an hour: 40 minutes.
    pulse = [0.0, 40, 0, 0, 40, 0, 0, 40]
    assert refused(*pulse) == []
    assert refused(*pulse, 80, 0) == [80]  # beyond a pulse more than 15
    assert refused(0, 40, 40, 0) == [40, 40]


def test_a_pulse_passes_in_a_day() -> None:
    apart = [0.0] * 200
    assert refused(1441, *apart, 1441) == [1441, 1441]
    assert refused(1440, *apart, 1440) == []


def test_without_rated_power_every_amount_is_believed() -> None:
    unrated = [rule("amount", span_us=QUARTER_US)]
    made = measured(readings((15, 0), (30, 5000), (45, 0)), rules=unrated)
    assert made.findings.is_empty()
    assert made.known.quanta == {}


def stream(rng: random.Random) -> list[tuple[float, float]]:
    """Amounts of five days: jitter, overlaps (now and then for long), wrong ones and pulses."""
    coarse, rows, minute = rng.random() < 0.5, [], 0.0
    pulse = rng.choice([20.0, 40.0, 90.0])
    while minute < 5 * 1440:
        minute += 15 + rng.choice([0, 0, rng.uniform(-0.7, 0.7), 15 if rng.random() < 0.05 else 0])
        some = pulse if rng.random() < 0.02 else 0.0
        rows.append((minute, some if coarse else round(rng.uniform(0, 15), 1)))
        if rng.random() < 0.01:
            rows.append((minute + 0.5, rng.choice([5000.0, 30.0, pulse, -3.0])))
        if rng.random() < 0.01:
            shift, many = rng.uniform(1, 14), rng.choice([1, 2, 5, 150])
            rows += [(minute + shift + 15 * n, rng.choice([0.0, 4.0])) for n in range(many)]
    return sorted({round(minute, 3): value for minute, value in rows}.items())


def made_of(
    rows: list[tuple[float, float]], resume: dict[str, Checkpoint], known: Known
) -> Measured:
    first = pl.lit(None, pl.Int64)
    for point in resume.values():
        first = pl.lit(point.from_us)
    frame = readings(*rows).filter(
        first.is_null() | (pl.col("time_utc").to_physical() >= first.fill_null(0))
    )
    return measure(
        frame.cast(dict(READINGS.polars_schema())),
        STATEMENTS.polars_schema().to_frame().lazy(),
        SPANS,
        plant_id="p",
        window_us=24 * US_PER_H,
        resume=resume,
        known=known,
    )


def test_going_on_gives_what_beginning_anew_gives() -> None:
    compared = unfit = overlapping = 0
    for seed in range(STREAMS):
        rng = random.Random(seed)
        rows = stream(rng)
        whole = made_of(rows, {}, Known())
        known_until = rng.uniform(1441, 5 * 1440)
        some = [row for row in rows if row[0] <= known_until]
        late = rng.uniform(1440, known_until)
        before = made_of([row for row in some if not late <= row[0] < late + 60], {}, Known())
        late_us = round((MIDNIGHT + timedelta(minutes=late)).timestamp() * 1e6)
        for point in before.checkpoints:
            if point.at_us > late_us:
                continue
            resumed = made_of(rows, {"m": point}, before.known)
            if resumed.unfit:
                unfit += 1
                continue
            compared += 1
            start = resumed.starts["m"]
            for name, time, since_us in (
                ("intervals", "interval_start_utc", start.lay_us),
                ("gaps", "gap_start_utc", start.lay_us),
                ("findings", "start_utc", start.at_us),
            ):
                frames = [getattr(one, name) for one in (before, resumed, whole)]
                old, new, every = (frame.lazy() for frame in frames)
                is_old = pl.col(time).to_physical() < since_us
                both = pl.concat([old.filter(is_old), new]).collect()
                assert both.sort(both.columns).equals(every.sort(both.columns).collect()), seed
            overlapping += (resumed.findings["code"] == "amount.overlap").any()
            assert resumed.known == whole.known
    assert compared > STREAMS
    assert overlapping > compared // 5
    assert unfit


def test_whether_an_amount_came_before_is_looked_up() -> None:
    rows = [(15.0 * n, 40.0 if n in (30, 300) else 0.0) for n in range(1, 400)]
    before = made_of(rows[:290], {}, Known())
    assert len(before.findings) == 1
    point = before.checkpoints[-1]
    assert made_of(rows, {"m": point}, before.known).unfit == ["m"]
    whole = made_of(rows, {}, Known())
    assert whole.findings.is_empty()
    more = made_of(rows, {"m": whole.checkpoints[-1]}, whole.known)
    assert more.unfit == []
    assert more.findings.is_empty()
