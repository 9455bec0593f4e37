"""Supervision: what is wrong is found where it is, and nobody honest is accused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app import jobs
from app.imports import import_file
from app.options import Kind
from app.sites import load_site
from app.supervision_targets import verdict_of
from config.standards_supervision import CheckRow
from tests.app.commands import Ended, inside
from tests.app.inspected import (
    FAULTY,
    HONEST,
    PERIOD,
    QUARTERS,
    Case,
    Works,
    silent_week,
    unrecorded_reset,
)


def supervise(plant: Path, period: str = PERIOD) -> Ended:
    return inside("supervise", period, "-p", plant, "--format", "json")


Records = list[dict[str, Any]]


def row(rows: Records, check_id: str, subject: str) -> dict[str, Any]:
    (found,) = [one for one in rows if (one["check_id"], one["subject"]) == (check_id, subject)]
    return {**found, "evidence": json.loads(found["evidence"])}


def works(seed: int, kgce_per_t: float = 110.0) -> Works:
    made = Works(seed, (kgce_per_t, kgce_per_t))
    made.flow()
    made.read()
    return made


@pytest.mark.parametrize("case", [*FAULTY, *HONEST], ids=lambda case: case.id)
def test_faults_are_found_and_nobody_else_is_accused(case: Case, tmp_path: Path) -> None:
    plant, planted = case.build(tmp_path)
    ended = supervise(plant)
    rows = ended.records()
    exceeding = {(one["check_id"], one["subject"]) for one in rows if one["verdict"] == "exceeds"}
    assert exceeding == planted, ended.err
    assert ended.code == (1 if planted else 0)
    assert bool(planted) == (case in FAULTY)


@pytest.fixture(scope="module")
def over(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kiln that needs 125 kgce/t, and a target of the year."""
    made = works(32, 125.0)
    made.sections["plant"] = {"id": "works", "name": "W", "metering_since": "2025-11-01"}
    target = {"id": "energy", "year": 2025, "kind": "energy", "limit": 10, "source": "letter 7"}
    made.targets = [target]
    return made.fill(tmp_path_factory.mktemp("over"))


def test_every_check_is_answered_and_says_why(over: Path) -> None:
    ended = supervise(over)
    rows = ended.records()
    checks = load_site(over).rows(CheckRow)
    assert {one["check_id"] for one in rows} == set(checks)
    assert all(one["reason"] for one in rows if one["verdict"] == "insufficient data")
    assert all(isinstance(json.loads(one["evidence"]), dict) for one in rows)
    records = {one["check_id"] for one in rows if one["verdict"] == "not from data"}
    assert records == {one.id for one in checks.values() if one.answered_by == "records"}
    assert "insufficient data" in ended.err
    shown = inside("supervise", PERIOD, "-p", over, "--lang", "zh")
    assert "数据不足以判定" in shown.out
    assert inside("supervise", "2024", "-p", over).code == 2


def test_the_evidence_of_a_norm_gives_the_verdict_again(over: Path) -> None:
    found = row(supervise(over).records(), "S01", "clinker")
    told = found["evidence"]
    assert found["verdict"] == "exceeds"
    assert found["value"] == pytest.approx(125.0, rel=0.002)
    assert told["numerator"] / told["denominator"] == pytest.approx(found["value"])
    assert (found["limit"], told["held_to"]) == (117.0, "level 3, existing plant")
    assert found["basis"] == "GB 16780-2021"
    assert "indicative" in found["reason"]
    # Of the year one month is there: no year is judged by it.
    rows = supervise(over, "2025").records()
    year = row(rows, "S01", "clinker")
    assert (year["verdict"], year["reason"]) == ("insufficient data", "the period is not whole")
    # Nor is a target, by figures that begin in November.
    target = row(rows, "S11", "works")
    assert (target["verdict"], target["limit"]) == ("insufficient data", 10.0)
    assert target["reason"] == "the figures of 2025 begin on 2025-11-01"


@pytest.mark.parametrize(
    ("status", "kind", "used", "end", "verdict"),
    [
        ("missed", "energy", 101.0, (None, None, None), "exceeds"),
        ("missed", "energy", 99.0, (102.0, 98.0, 105.0), "insufficient data"),
        ("missed", "unit_product", 120.0, (102.0, 98.0, 105.0), "insufficient data"),
        ("missed", "unit_product", 120.0, (102.0, 101.0, 105.0), "exceeds"),
        ("at_risk", "energy", 50.0, (102.0, 101.0, 105.0), "insufficient data"),
        ("on_track", "energy", 50.0, (90.0, 85.0, 95.0), "complies"),
        ("on_track", "energy", 50.0, (90.0, None, None), "insufficient data"),
    ],
)
def test_a_target_is_judged_within_its_bounds(
    status: str, kind: str, used: float, end: tuple[float | None, ...], verdict: str
) -> None:
    names = ("forecast", "forecast_low", "forecast_high")
    told = {"status": status, "kind": kind, "low": used, "limit": 100.0}
    assert verdict_of(told | dict(zip(names, end, strict=True))) == verdict


def test_bounds_that_hold_the_limit_accuse_nobody(tmp_path: Path) -> None:
    made = works(33, 116.99)
    unrecorded_reset(made)
    # The same of the coal: what passed across the reset is unknown, up to rated power.
    at = 96 * 10 + 40
    base = made.shown["c-kiln"][at] or 0
    made.shown["c-kiln"][at + 1 :] = [
        round((one or 0) - base, 2) for one in made.shown["c-kiln"][at + 1 :]
    ]
    found = row(supervise(made.fill(tmp_path)).records(), "S01", "clinker")
    assert found["low"] <= 117.0 < found["high"]
    assert (found["verdict"], found["reason"]) == (
        "insufficient data",
        "the bounds hold the limit; a month is indicative: norms judge calendar years",
    )


def test_a_gauge_that_repeats_itself_is_a_sign_and_a_fan_that_rests_is_none(
    tmp_path: Path,
) -> None:
    made = works(35)
    kw: list[float | None] = [one * 4 for one in made.flows["e-kiln"]]
    kw[10 * 96 : 14 * 96] = [kw[10 * 96]] * (4 * 96)
    made.shown["e-kiln"] = [kw[0], *kw]
    made.cells["e-kiln"] = {"kind": "gauge", "unit": "kW", "span_minutes": "15"}
    made.sections["nodes"] = {
        "works": {"name": "Works", "level": "plant"},
        "kiln": {"name": "Kiln", "level": "process", "parent": "works"},
        "mill": {"name": "Mill", "level": "process", "parent": "works"},
        "fan": {"name": "Fan", "level": "equipment", "parent": "kiln"},
    }
    made.more.append(
        {"meter_id": "e-fan", "name": "Fan", "node": "fan", "energy": "electricity",
         "kind": "counter", "unit": "kWh", "connection": "historian", "rated_per_h": "100"}
    )  # fmt: skip
    total, shown = 500.0, [500.0]
    for n in range(QUARTERS):
        total += 0.0 if 8 * 96 <= n < 12 * 96 else 9.0 + n % 7
        shown.append(total)
    made.shown["e-fan"] = [*shown]
    rows = supervise(made.fill(tmp_path)).records()
    gauge, fan = row(rows, "T01", "e-kiln"), row(rows, "T01", "e-fan")
    assert gauge["verdict"] == "exceeds"
    assert gauge["evidence"]["days"] == ["2025-11-12", "2025-11-13", "2025-11-14"]
    assert (fan["verdict"], fan["low"], fan["high"]) == ("insufficient data", 0.0, 4.0)


def test_a_bill_a_filing_and_a_file_that_contradicts_itself(tmp_path: Path) -> None:
    made = works(37)
    silent_week(made)
    days = {"first_day": "2025-11-01", "last_day": "2025-11-30", "note": "filed on 2 November"}
    made.supervision["filed_outages"] = [{"meters": ["e-mill"], **days}]
    made.more.append(
        {"meter_id": "bill", "name": "Bill", "node": "works", "energy": "electricity",
         "kind": "amount", "unit": "kWh", "role": "check"}
    )  # fmt: skip
    total = (made.shown["e-works"][96 * 30] or 0) - (made.shown["e-works"][0] or 0)
    stated = tmp_path / "statements.csv"

    def later(plant: Path) -> None:
        stated.write_text(
            "meter_id,start,end,opening_stock,purchased,closing_stock,sold\n"
            f"bill,2025-11-01,2025-11-30,0,{total * 1.2},0,0\n",
            encoding="utf-8",
        )
        made.shown["e-kiln"][500] = (made.shown["e-kiln"][500] or 0) + 1.0
        site = load_site(plant)
        lake = jobs.open_lake(site)
        import_file(site, lake, Kind.statements, stated)
        import_file(site, lake, Kind.readings, made.readings(tmp_path / "again.csv"))
        jobs.refresh(site, lake)

    made.later.append(later)
    rows = supervise(made.fill(tmp_path)).records()
    bill = row(rows, "S08", "works")
    assert (bill["verdict"], bill["limit"]) == ("exceeds", 0.05)
    assert bill["value"] == pytest.approx(1 - 1 / 1.2, rel=1e-6)
    # What was filed is no outage; the data are not complete for that.
    assert row(rows, "S13-outage", "e-mill")["verdict"] == "complies"
    assert row(rows, "S13", "e-mill")["verdict"] == "exceeds"
    twice = row(rows, "T04", "e-kiln")
    assert (twice["verdict"], twice["high"]) == ("insufficient data", 1.0)
    assert twice["evidence"]["findings"][0]["code"] == "reading.conflict"


def test_a_stated_amount_across_a_reset_leaves_it_undecided(tmp_path: Path) -> None:
    made = works(39)
    unrecorded_reset(made)
    plant = made.fill(tmp_path)
    event = row(supervise(plant).records(), "S14", "e-mill")["evidence"]["findings"][0]
    stated = inside(
        "correct", "amount", "e-mill", "--from", event["start_utc"], "--to", event["end_utc"],
        "--amount", "60", "--reason", "by the fitter", "--by-whom", "Li", "-p", plant,
    )  # fmt: skip
    assert stated.code == 0, stated.err
    assert row(supervise(plant).records(), "S14", "e-mill")["verdict"] == "insufficient data"
