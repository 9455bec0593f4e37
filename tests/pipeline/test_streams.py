"""Whatever a stream does, its intervals sum to the true energy, or a finding says why not."""

from __future__ import annotations

import os

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings

from pipeline.measure import Measured
from tests.pipeline.streams import Stream, faulted_streams, run

EXAMPLES = int(os.environ.get("KGCE_STREAMS", "500"))


def booked(measured: Measured) -> float:
    return measured.intervals.select(pl.col("measured").sum() + pl.col("imputed").sum()).item()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(faulted_streams())
def test_sum_is_the_truth_or_a_finding_says_why_not(stream: Stream) -> None:
    measured = run({"m": stream.readings}, stream.rule)
    warned = measured.findings.filter(pl.col("severity") != "info")
    tolerance = 1e-9 * max(1.0, abs(stream.true[-1][1]))
    if warned.is_empty():
        assert booked(measured) == pytest.approx(stream.true_energy, abs=tolerance)
    low, high = measured.intervals["low"].sum(), measured.intervals["high"]
    assert booked(measured) >= low - tolerance
    if high.null_count() == 0:
        assert booked(measured) <= high.sum() + tolerance
    assert measured.intervals["coverage_ratio"].is_between(0, 1).all()
    assert not measured.intervals["measured"].is_nan().any()


@settings(max_examples=100, deadline=None)
@given(faulted_streams())
def test_order_and_repeats_change_nothing(stream: Stream) -> None:
    once = run({"m": stream.readings}, stream.rule)
    by_time = dict(stream.readings)
    if len(by_time) != len(set(stream.readings)):
        return  # two values for one time: which was stored last matters there
    again = run({"m": sorted(by_time.items()) + stream.readings[::-1]}, stream.rule)
    assert again.intervals.equals(once.intervals)
    assert again.gaps.equals(once.gaps)
    assert again.findings.equals(once.findings)
