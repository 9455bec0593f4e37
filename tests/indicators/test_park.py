"""Sums of a park and its index against hand-worked numbers."""

from __future__ import annotations

import pytest

from config.standards_files import read_dataset
from config.standards_rubric import GreenParkRow
from indicators.intensity import Bounded
from indicators.park import index_of, rate, total

ITEMS = [
    row
    for row in read_dataset(GreenParkRow).values()
    if row.scheme == "park" and row.kind == "item"
]


def test_sums_and_not_means_of_ratios() -> None:
    value = total([Bounded(900.0, 900.0, 900.0), Bounded(100.0, 100.0, 100.0)])
    energy = total([Bounded(100.0, 90.0, 110.0), Bounded(100.0, 100.0, 100.0)])
    # 1000 / 200; the mean of 9 and 1 would be 5 only by the equal denominators
    assert rate(value, energy).value == 5.0
    assert rate(value, energy)[1:3] == pytest.approx((1000 / 210, 1000 / 190))


def test_what_is_passed_on_is_taken_out_with_its_bounds() -> None:
    found = total([Bounded(70.0, 60.0, 80.0)], [Bounded(30.0, 20.0, 35.0)])
    assert found == (40.0, 25.0, 60.0)
    assert total([Bounded(70.0, 60.0, 80.0)], [Bounded(None, 0.0, None)]) == (None, None, 80.0)


def test_thirty_one_items_of_which_twenty_four_count() -> None:
    assert len(ITEMS) == 31
    at_lead: dict[str, float | None] = {row.id: 1.0 for row in ITEMS}
    whole = index_of(ITEMS, at_lead)
    assert (whole.value, whole.unknown, len(whole.counted)) == (pytest.approx(100.0), 0, 24)


def test_of_items_to_choose_from_the_best_count() -> None:
    terms: dict[str, float | None] = {row.id: 1.0 for row in ITEMS}
    # Two of 8 to 11, and one of 26 to 28.
    terms |= {"PARK-08": 0.5, "PARK-09": 1.2, "PARK-10": None, "PARK-11": 0.8, "PARK-26": 2.0}
    found = index_of(ITEMS, terms)
    assert {"PARK-09", "PARK-11", "PARK-26"} <= set(found.counted)
    assert found.value == pytest.approx(100 / 24 * (24 + 0.2 - 0.2 + 1.0))


def test_an_unknown_item_leaves_the_index_open() -> None:
    terms: dict[str, float | None] = {row.id: 1.0 for row in ITEMS}
    found = index_of(ITEMS, {**terms, "PARK-01": None, "PARK-13": None, "PARK-14": None})
    assert (found.value, found.unknown) == (None, 2)
    assert found.certain == pytest.approx(100 * 22 / 24)
