"""Arithmetic of claims: each kilowatt-hour once, and never more than was consumed."""

from __future__ import annotations

import polars as pl
import pytest

from indicators.carbon import metered, plus, times
from indicators.intensity import Bounded
from indicators.renewables import retained, within


@pytest.mark.parametrize(
    ("amounts", "limit", "counts"),
    [
        ([30.0, 50.0], 100.0, [30.0, 50.0]),
        ([30.0, 80.0, 5.0], 100.0, [30.0, 70.0, 0.0]),
        ([30.0], -5.0, [0.0]),
        ([30.0, 5.0], None, [None, None]),
        ([30.0, None, 5.0], 100.0, [30.0, None, None]),
        ([], 100.0, []),
    ],
)
def test_no_more_counts_than_was_consumed(
    amounts: list[float | None], limit: float | None, counts: list[float | None]
) -> None:
    assert within(amounts, limit) == counts


@pytest.mark.parametrize(
    ("generated", "sold", "certificates", "counts"),
    [(100, 0, 0, 100), (100, 30, 0, 70), (100, 0, 30, 70), (100, 30, 30, 70), (100, 30, 60, 40),
     (100, 100, 0, 0), (100, 0, 150, 0)],
)  # fmt: skip
def test_own_generation_that_was_sold_counts_once_less(
    generated: float, sold: float, certificates: float, counts: float
) -> None:
    assert retained(generated, sold, certificates) == counts


def test_sums_and_multiples_keep_their_bounds() -> None:
    assert plus([]) == Bounded(0.0, 0.0, 0.0)
    assert plus([Bounded(2.0, 1.0, 3.0), Bounded(None, 1.0, None)]) == Bounded(None, 2.0, None)
    assert times(Bounded(2.0, 1.0, 3.0), -2.0) == Bounded(-4.0, -6.0, -2.0)
    assert times(Bounded(2.0, 1.0, 3.0), None) == Bounded(None, None, None)


def test_a_meter_without_amount_makes_the_sum_unknown_and_keeps_its_bounds() -> None:
    frame = pl.DataFrame(
        {
            "meter_id": ["a", "b"],
            "amount": [5.0, None],
            "low": [4.0, 0.0],
            "high": [6.0, 9.0],
            "coverage_ratio": [1.0, 0.5],
        }
    )
    assert metered(frame, ["a", "b"]) == (Bounded(None, 4.0, 15.0), 0.5)
    assert metered(frame, []) == (Bounded(0.0, 0.0, 0.0), 1.0)
