"""Whatever a stream does, each figure is the truth, or it is flagged and its bounds hold the truth.

KGCE_STREAMS=10000 draws as many new streams (the nightly mode); by default 500, the same each time.
How many there were, by outcome and by fault, is printed.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings

from pipeline.measure import Measured
from pipeline.periods import PERIOD_SCHEMA, periods
from pipeline.rollup import interval_sums, meter_periods
from pipeline.rules import GRID_US
from tests.pipeline.stream_faults import FIRST, PLACED
from tests.pipeline.streams import Stream, faulted_streams, run

EXAMPLES = int(os.environ.get("KGCE_STREAMS", "500"))
UTC = ZoneInfo("UTC")
MANY = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="KGCE_STREAMS" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
OTHER_FAULTS = (
    "rollover",
    "overflows",
    "coarse",
    "no rated power",
    "jitter",
    "repeats",
    "disorder",
)


class Figure(NamedTuple):
    """One period of a stream: its figure, the truth, and what was said of it."""

    period: str
    amount: float | None
    low: float | None
    high: float | None
    true: float
    flags: list[str]

    def outcome(self, tolerance: float) -> str:
        """exact, bounded, refused; or wrong: neither the truth nor bounds around it."""
        if self.exact(tolerance):
            return "exact"
        if not self.flags or not self.contains(tolerance):
            return "wrong"
        return "refused" if None in (self.amount, self.low, self.high) else "bounded"

    def exact(self, tolerance: float) -> bool:
        return self.amount is not None and abs(self.amount - self.true) <= tolerance

    def contains(self, tolerance: float) -> bool:
        return (self.low is None or self.low <= self.true + tolerance) and (
            self.high is None or self.high >= self.true - tolerance
        )


def us(time: datetime) -> int:
    return round(time.timestamp() * 1e6)


def figures(stream: Stream) -> Iterator[Figure]:
    """The figures of all the time that was read, and of each day."""
    made = run({"m": stream.readings}, stream.rule)
    times = [t for t, _ in stream.readings]
    first = min(times) - stream.rule.span_us
    start, end = first // GRID_US * GRID_US, -(-max(times) // GRID_US) * GRID_US
    whole = pl.DataFrame(
        [("all", "all", start, end, True)],
        schema={**PERIOD_SCHEMA, "start_utc": pl.Int64, "end_utc": pl.Int64},
        orient="row",
    ).cast(PERIOD_SCHEMA)
    begins, ends = whole.select("start_utc", "end_utc").row(0)
    for calendar in (whole, periods("day", begins, ends, UTC)):
        sums = interval_sums(made.intervals.lazy(), calendar)
        rules, backwards = [stream.rule], made.known.backwards
        found = meter_periods(sums, made.gaps.lazy(), calendar, rules, backwards)
        for row in found.iter_rows(named=True):
            true = stream.true(us(row["start_utc"]), us(row["end_utc"]))
            yield Figure(
                *(row[name] for name in ("period", "amount", "low", "high")), true, flags(made, row)
            )


def flags(made: Measured, row: dict[str, Any]) -> list[str]:
    """What says that a period's figure is not simply measured."""
    said = made.findings.filter(
        pl.col("start_utc") <= row["end_utc"], pl.col("end_utc") >= row["start_utc"]
    )["code"].to_list()
    inside = pl.col("interval_start_utc").is_between(row["start_utc"], row["end_utc"], "left")
    imputed = made.intervals.filter(inside)["imputed"].abs().sum()
    return [
        *said,
        *(["imputed"] if imputed > 0 else []),
        *(["coverage"] if row["coverage_ratio"] < 1 - 1e-9 else []),
    ]


def test_each_figure_is_the_truth_or_is_flagged_and_its_bounds_hold_the_truth(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcomes: Counter[str] = Counter()
    faults: dict[str, Counter[str]] = {}

    @MANY
    @given(faulted_streams())
    def check(stream: Stream) -> None:
        every = list(figures(stream))
        for figure in every:
            outcome = figure.outcome(stream.tolerance)
            assert outcome != "wrong" or (figure.flags and not stream.decidable), figure
            for bound, sign in ((figure.low, 1), (figure.high, -1)):
                if figure.amount is not None and bound is not None:
                    assert sign * (figure.amount - bound) >= -stream.tolerance, figure
        outcome = every[0].outcome(stream.tolerance)
        outcome = "undecidable" if outcome == "wrong" else outcome
        outcomes[outcome] += 1
        for fault in {stream.rule.kind, *stream.faults}:
            faults.setdefault(fault, Counter())[outcome] += 1

    check()
    with capsys.disabled():
        sys.stdout.write(report(outcomes, faults))
    wanted = {*OTHER_FAULTS, *FIRST, *(fault for kind in PLACED.values() for fault in kind)}
    if EXAMPLES >= 500:
        assert wanted <= set(faults)
        assert {"exact", "bounded", "refused"} <= set(outcomes)


def report(outcomes: Counter[str], faults: dict[str, Counter[str]]) -> str:
    """How many streams there were, by outcome, and the same by kind and fault."""
    named = {"streams": outcomes, **dict(sorted(faults.items()))}
    lines = (
        f"{name:20} {found.total():6}: "
        + ", ".join(f"{count} {outcome}" for outcome, count in sorted(found.items()))
        for name, found in named.items()
    )
    return "\n" + "\n".join(lines) + "\n"


@settings(max_examples=100, deadline=None, derandomize="KGCE_STREAMS" not in os.environ)
@given(faulted_streams())
def test_order_and_repeats_change_nothing(stream: Stream) -> None:
    once = run({"m": stream.readings}, stream.rule)
    again = run({"m": sorted(stream.readings) + stream.readings[::-1]}, stream.rule)
    assert again.intervals.equals(once.intervals)
    assert again.gaps.equals(once.gaps)
    assert again.findings.equals(once.findings)
