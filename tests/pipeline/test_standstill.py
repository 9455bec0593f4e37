"""Meters that stand still while production runs: a dead one is named, and nobody else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from config.load import load
from config.site import Site
from config.tables import FINDINGS
from pipeline.standstill import CODE, standstills
from tests.pipeline.by_meter import Figures, days, exact, rows
from tests.plants import METERS, write_plant

FIRST = date(2026, 10, 1)
LINE = {
    "meter_id": "e-fan", "name": "Fan", "node": "fan", "energy": "electricity",
    "kind": "counter", "unit": "kWh", "connection": "historian",
}  # fmt: skip
READ = {"p-clinker": "historian", "p-cement": "historian"}
NODES: dict[str, Any] = {
    "works": {"name": "Works", "level": "plant"},
    "kiln": {"name": "Kiln", "level": "process", "parent": "works"},
    "fan": {"name": "Fan", "level": "equipment", "parent": "kiln"},
    "mill": {"name": "Mill", "level": "process", "parent": "works"},
}


def plant(folder: Path, **sections: Any) -> Site:
    meters = [
        {**row, **({"connection": READ[row["meter_id"]], "span_minutes": "60"} if row["meter_id"]
         in READ else {})}
        for row in METERS
    ]  # fmt: skip
    return load(write_plant(folder, meters=[*meters, LINE], nodes=NODES, **sections))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return plant(tmp_path_factory.mktemp("plant"))


def found(site: Site, **meters: Sequence[float]) -> list[tuple[str, str]]:
    """Meter and day of each finding; October from its first day on."""
    amounts = {name.replace("_", "-"): one for name, one in meters.items()}
    return named(standstills(days(FIRST, amounts), site))


def named(findings: pl.DataFrame) -> list[tuple[str, str]]:
    assert findings.schema == FINDINGS.polars_schema()
    assert set(findings["code"]) <= {CODE}
    return [
        (subject, json.loads(evidence)["day"][-2:])
        for subject, evidence in findings.select("subject", "evidence").iter_rows()
    ]


def test_a_dead_meter_is_found_each_day(site: Site) -> None:
    dead = [900.0, 700, 800, 0, 0, 0, 0, 0]
    assert found(site, p_clinker=[50] * 8, e_kiln=dead, e_fan=[9] * 8) == [
        ("e-kiln", f"0{n}") for n in (4, 5, 6, 7, 8)
    ]


def test_the_evidence(site: Site) -> None:
    frame = days(FIRST, {"e-kiln": [900, 700, 810, 790, 0]})
    output = days(FIRST, {"p-clinker": [1, 1, 1, 1, 50], "p-cement": [1, 1, 1, 1, 80]}, "t")
    (row,) = standstills(pl.concat([frame, output]), site).iter_rows(named=True)
    assert (row["plant_id"], row["severity"], row["subject"]) == ("works", "warning", "e-kiln")
    last = frame.filter(period="2026-10-05").row(0, named=True)
    assert (row["start_utc"], row["end_utc"]) == (last["start_utc"], last["end_utc"])
    assert json.loads(row["evidence"]) == {
        "day": "2026-10-05",
        "usual": 800,
        "unit": "kWh",
        "running_days": 4,
        "coverage_ratio": 1,
        "made": [{"product": "clinker", "output": 50, "unit": "t"}],
    }


def test_an_idle_plant_accuses_nobody(site: Site) -> None:
    kiln = [900.0, 900, 900, 0, 0]
    assert found(site, p_clinker=[50, 50, 50, 0, 0], p_cement=[0] * 5, e_kiln=kiln) == []
    assert found(site, e_kiln=kiln) == []


def test_output_below_zero_is_no_production(site: Site) -> None:
    assert found(site, p_clinker=[50, 50, 50, -2], e_kiln=[900, 900, 900, 0]) == []


def test_a_standby_line_is_not_accused(site: Site) -> None:
    assert found(site, p_clinker=[50] * 8, e_fan=[0] * 8) == []
    assert found(site, p_clinker=[50] * 8, e_fan=[0, 0, 9, 0, 0, 9, 0, 9]) == []
    assert found(site, p_clinker=[50] * 8, e_fan=[9, 0] * 4) == []


def test_two_running_days_say_nothing_and_three_do(site: Site) -> None:
    assert found(site, p_clinker=[50] * 4, e_kiln=[900, 900, 0, 0]) == []
    assert found(site, p_clinker=[50] * 4, e_kiln=[900, 900, 0, 900]) == [("e-kiln", "03")]


def test_what_is_judged_by_is_the_statistical_month(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    twenty_fifth = {"id": "works", "name": "W", "timezone": "Asia/Shanghai", "month_end_day": 25}
    amounts = {"p-clinker": [50.0] * 6, "e-kiln": [900.0, 900, 900, 0, 0, 0]}
    until = days(date(2026, 10, 23), amounts)
    assert len(standstills(until, plant(whole))) == 3
    assert len(standstills(until, plant(tmp_path, plant=twenty_fifth))) == 0


def test_only_the_products_of_its_node_count(site: Site) -> None:
    # The boundary of clinker is the kiln, which holds the fan; that of cement holds the mill too.
    running = {"e_mill": [90.0, 90, 90, 0], "e_fan": [9.0, 9, 9, 0]}
    assert found(site, p_clinker=[50] * 4, **running) == [("e-fan", "04")]
    assert found(site, p_cement=[50] * 4, **running) == [("e-mill", "04")]
    assert found(site, p_cement=[50] * 4, e_works=[90, 90, 90, 0]) == []


def test_a_kiln_may_stand_while_cement_is_made_of_stored_clinker(site: Site) -> None:
    stopped = {"p_clinker": [50, 50, 50, 0], "e_kiln": [900, 900, 900, 0]}
    assert found(site, p_cement=[70] * 4, **stopped) == []


@pytest.mark.parametrize(
    ("kiln", "clinker"),
    [
        ((0.0, 0.0, 48.0, 0.89), exact(50.0)),  # most of it was not seen
        ((None, 0.0, 48.0, 0.0), exact(50.0)),
        ((1e-9, 1e-9, 1e-9, 1.0), exact(50.0)),
        (exact(0.0), (50.0, 0.0, 90.0, 1.0)),  # the output may all be another day's
        (exact(0.0), (None, 0.0, 90.0, 0.0)),
    ],
)
def test_missing_data_is_no_standstill(site: Site, kiln: Figures, clinker: Figures) -> None:
    before = days(FIRST, {"p-clinker": [50] * 4, "e-kiln": [900] * 4})
    fifth = rows("day", "2026-10-05", {"p-clinker": clinker, "e-kiln": kiln})
    assert named(standstills(pl.concat([before, fifth]), site)) == []
    dead = rows("day", "2026-10-05", {"p-clinker": exact(50.0), "e-kiln": (0.0, 0.0, 9.0, 0.9)})
    assert named(standstills(pl.concat([before, dead]), site)) == [("e-kiln", "05")]


def test_a_day_that_is_not_whole_says_nothing(site: Site) -> None:
    frame = days(FIRST, {"p-clinker": [50] * 4, "e-kiln": [900, 900, 900, 0]})
    last = pl.col("period") == "2026-10-04"
    assert len(standstills(frame, site)) == 1
    assert len(standstills(frame.with_columns(whole=~last), site)) == 0


def test_nothing_at_all(site: Site) -> None:
    assert standstills(days(FIRST, {"e-kiln": [0.0]}).clear(), site).is_empty()


def test_the_order_of_rows_does_not_matter(site: Site) -> None:
    amounts = {"p-clinker": [50.1, 49.7, 3, 8, 9], "e-kiln": [1.1, 2.2, 3.3, 0, 0]}
    frame = days(FIRST, {**amounts, "e-fan": [1, 2, 3, 0, 4]})
    assert standstills(frame.reverse(), site).equals(standstills(frame, site))
