"""Points of the rubric against hand-worked numbers: guards, ranges, bounds, gates, gains."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from config.rubric import RubricEvidence
from config.standards_files import read_dataset
from config.standards_rubric import (
    GreenParkRow,
    PlatformFunctionRow,
    RubricEditionRow,
    RubricItemRow,
    RubricTierRow,
)
from indicators.rubric import (
    Part,
    Share,
    largest,
    mean_share,
    points,
    range_fraction,
    share_of,
    why_not_scored,
)
from indicators.rubric_items import Scored, scored
from indicators.rubric_totals import gains_of, gates_of, reach_of, total_of, whole_of

ITEMS = read_dataset(RubricItemRow)
PART = Part(
    "a", 110.0, 110.0, 110.0, "kgce/t", 100.0, 120.0, "kgce/t", "norm", 1.0, 1.0, "complete", "seen"
)


def evidence(item: str, **states: object) -> RubricEvidence:
    shown = {"document": "report 7", "date": date(2026, 1, 9), "by": "Lin"}
    return RubricEvidence.model_validate({"item": item, **shown, **states})


def test_the_worked_check() -> None:
    assert points(8.0, 110.0, lead=100.0, base=120.0) == 4.0
    assert scored(ITEMS["G25-01"], [PART], None).points == 4.0


@pytest.mark.parametrize(
    ("changes", "method", "says"),
    [
        ({"lead": None}, "linear", "no lead value"),
        ({"base": None}, "linear", "no base value"),
        ({"base": 100.0}, "linear", "lead and base are both 100"),
        ({"base": 90.0}, "linear", "lead 100 is above base 90, and smaller is better"),
        ({"unit": "tce/t"}, "linear", "the figure is in tce/t, lead and base in kgce/t"),
        ({"base": None}, "reach", ""),
    ],
)
def test_what_cannot_be_scored_is_refused_with_its_reason(
    changes: dict[str, object], method: str, says: str
) -> None:
    part = PART._replace(**changes)  # type: ignore[arg-type]
    assert why_not_scored(part, method, "smaller") == says
    if says:
        found = scored(ITEMS["G25-01"], [part], None)
        assert (found.status, found.points, found.points_low) == ("no_reference", None, 0.0)
        assert (found.points_high, found.reason) == (8.0, says)


@pytest.mark.parametrize(
    ("actual", "share"),
    [(120.1, 0.0), (120.0, 0.0), (115.1, 0.0), (115.0, 0.25), (104.0, 0.75), (100.0, 1.0)],
)
def test_the_range_method_counts_whole_steps(actual: float, share: float) -> None:
    assert range_fraction(actual, 100.0, 120.0, 4) == share
    # 0.3 of ten steps is three of them, whatever floating point makes of it.
    assert range_fraction(0.3, 1.0, 0.0, 10) == 0.3


def test_bounds_of_points_come_from_bounds_of_the_figure() -> None:
    within = PART._replace(low=104.0, high=116.0)
    assert share_of(within, "linear", "smaller", None) == pytest.approx((0.5, 0.2, 0.8, ""))
    bigger = PART._replace(low=104.0, high=None, lead=120.0, base=100.0)
    assert share_of(bigger, "linear", "bigger", None) == pytest.approx((0.5, 0.2, 1.0, ""))
    refused = within._replace(value=None, status="refused")
    found = scored(ITEMS["G25-01"], [refused], None)
    assert (found.status, found.points) == ("refused", None)
    assert (found.points_low, found.points_high) == pytest.approx((1.6, 6.4))


def test_the_three_largest_products_count_by_their_energy() -> None:
    parts = [
        PART._replace(subject="a", weight=600.0, value=100.0, low=100.0, high=100.0),
        PART._replace(subject="b", weight=300.0, value=110.0, low=110.0, high=110.0),
        PART._replace(subject="c", weight=100.0, value=120.0, low=120.0, high=120.0),
        PART._replace(subject="d", weight=50.0, value=100.0),
    ]
    assert [part.subject for part in largest(parts)] == ["a", "b", "c"]
    found = scored(ITEMS["G25-01"], parts, None)
    # (600 x 1 + 300 x 0.5 + 100 x 0) / 1000 = 0.75
    assert found.points == pytest.approx(8 * 0.75)
    assert found.confidence == "inferred"
    assert "inference" in found.reason


def test_a_product_that_nobody_weighed_leaves_the_share_open() -> None:
    shares = [(Share(1.0, 1.0, 1.0), 5.0), (Share(None, 0.0, 1.0), None)]
    assert mean_share(shares)[:3] == (None, 0.0, 1.0)


@pytest.mark.parametrize(
    ("item", "states", "status", "points_"),
    [
        ("G25-12", {"met": True}, "met", 8.0),
        ("G25-12", {"met": False}, "not_met", 0.0),
        ("G25-12", {"points": 6.0}, "partly_met", 6.0),
        ("S6-B1", {"met": True}, "met", None),
        ("S6-B1", {"points": 3.0}, "met", 3.0),
        ("G25-08", {"value": 95.0, "unit": "%"}, "no_reference", None),
    ],
)
def test_typed_evidence(
    item: str, states: dict[str, object], status: str, points_: float | None
) -> None:
    found = scored(ITEMS[item], [], evidence(item, **states))
    assert (found.status, found.points) == (status, points_)
    assert found.source == "report 7 (2026-01-09, Lin)"


def test_a_typed_value_is_held_to_lead_and_base() -> None:
    item = replace(ITEMS["G25-08"], lead=90.0, base=70.0)
    found = scored(item, [], evidence("G25-08", value=75.0, unit="%"))
    assert found.points == pytest.approx(6 * 0.25)
    other = scored(item, [], evidence("G25-08", value=75.0, unit="t"))
    assert (other.status, other.points) == ("no_reference", None)


def test_a_figure_goes_before_typed_evidence() -> None:
    stated = evidence("G25-01", met=True)
    assert scored(ITEMS["G25-01"], [PART], stated).points == 4.0
    unknown = PART._replace(lead=None)
    assert scored(ITEMS["G25-01"], [unknown], stated).points == 8.0


def gate(item: str, met: bool | None) -> Scored:
    return scored(ITEMS[item], [], None if met is None else evidence(item, met=met))


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ((True, True, True), "passed"),
        ((True, None, True), "unknown"),
        ((True, None, False), "not_passed"),
    ],
)
def test_gates(states: tuple[bool | None, ...], status: str) -> None:
    items = [gate(f"G25-BR-{letter}", met) for letter, met in zip("abc", states, strict=True)]
    found = gates_of(items, basic_known=True)
    assert found.status == status
    assert gates_of(items, basic_known=False).status in ("unknown", "not_passed")
    assert len(found.unknown) == states.count(None)


def test_a_gate_that_one_product_misses_has_failed() -> None:
    reaches = PART._replace(subject="a", value=99.0, low=99.0, high=99.0, weight=9.0)
    misses = PART._replace(subject="b", weight=1.0)
    one = scored(ITEMS["S6-X5"], [reaches, misses], None)
    assert one.status == "partly_met"
    assert gates_of([one], basic_known=True).failed == ("S6-X5",)
    assert gates_of([scored(ITEMS["S6-X5"], [reaches], None)], basic_known=True).status == "passed"


def test_every_required_item_of_the_six_sections_is_a_gate() -> None:
    rows = [row for row in ITEMS.values() if row.edition == "S6" and row.kind != "weight"]
    assert all((row.gate == "yes") == (row.requirement != "optional") for row in rows)


def test_totals_say_what_is_certain_and_what_is_possible() -> None:
    known = scored(ITEMS["G25-01"], [PART._replace(low=105.0, high=115.0)], None)
    unknown = scored(ITEMS["G25-02"], [], None)
    total = total_of([known, unknown], 30.0)
    assert total == pytest.approx((None, 2.0, 6.0 + 8.0, 16.0))
    assert total_of([known], 30.0).value == 4.0
    without_points = total_of([scored(ITEMS["S6-B5"], [], None)], 20.0)
    assert without_points == (None, 0.0, 20.0, 20.0)
    assert whole_of([total, without_points]) == pytest.approx((None, 2.0, 34.0, 36.0))


@pytest.mark.parametrize(
    ("certain", "possible", "states", "statuses"),
    [
        (82.0, 88.0, (True, True, True), ["reached", "out_of_reach"]),
        (82.0, 91.0, (True, None, True), ["gates_open", "within_reach"]),
        (95.0, 95.0, (True, False, True), ["barred", "barred"]),
    ],
)
def test_tiers(
    certain: float, possible: float, states: tuple[bool | None, ...], statuses: list[str]
) -> None:
    gates = gates_of([gate(f"G25-BR-{n}", s) for n, s in zip("abc", states, strict=True)], True)
    total = total_of([])._replace(certain=certain, possible=possible)
    tiers = [row for row in read_dataset(RubricTierRow).values() if row.subject == "factory"]
    found = reach_of(tiers, total, gates)
    assert [one.status for one in found] == statuses
    assert [one.tier.award_cny for one in found] == [200_000, 1_000_000]
    assert found[1].missing == pytest.approx(max(0.0, 90 - certain))


def test_the_most_points_for_the_least_energy_come_first() -> None:
    parts = [
        PART._replace(subject="a", weight=300.0, tce_to_lead=500.0),
        PART._replace(subject="b", weight=100.0, tce_to_lead=10.0),
    ]
    items = [scored(ITEMS["G25-01"], parts, None), scored(ITEMS["G25-12"], [], None)]
    first, second, third = gains_of(items)
    # b: 8 x 100/400 x 0.5 = 1 point for 10 tce; a: 3 points for 500 tce
    assert (first.subject, first.points, first.points_per_tce) == ("b", 1.0, 0.1)
    assert (second.subject, second.points, second.points_per_tce) == ("a", 3.0, 0.006)
    assert (third.kind, third.points, third.tce_per_year) == ("show", 8.0, None)


def test_every_row_loads_and_adds_up() -> None:
    assert len(ITEMS) == 99
    assert {row.edition for row in ITEMS.values()} == {"S6", "G25", "JS26", "FJ"}
    assert len(read_dataset(GreenParkRow)) == 84
    assert len(read_dataset(PlatformFunctionRow)) == 12
    for edition in read_dataset(RubricEditionRow).values():
        rows = [row for row in ITEMS.values() if row.edition == edition.id]
        weights = {row.section: row.section_weight for row in rows if row.section_weight}
        assert sum(weights.values()) == edition.points_total
        for section, weight in weights.items():
            inside = [row.points for row in rows if row.section == section and row.kind == "item"]
            if edition.id == "S6":
                assert set(inside) == {None}
            else:
                assert sum(point or 0 for point in inside) == weight, section


@pytest.mark.parametrize("item", ITEMS.values(), ids=lambda row: row.id)
def test_every_row_can_be_scored_with_and_without_anything(item: RubricItemRow) -> None:
    nothing = scored(item, [], None)
    assert (nothing.status, nothing.points) == ("needs_evidence", None)
    assert nothing.points_high == item.points
    shown = scored(item, [], evidence(item.id, met=True))
    assert (shown.status, shown.points) == ("met", item.points)
    if item.method == "linear":
        lead, base = (1.0, 3.0) if item.direction == "smaller" else (3.0, 1.0)
        half = PART._replace(value=2.0, low=2.0, high=2.0, lead=lead, base=base)
        assert scored(item, [half], None).share[:3] == (0.5, 0.5, 0.5)
