"""A refresh of only what is new gives what a refresh of everything gives, to the last bit."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from app import jobs, measuring
from app.sites import load_site
from config.balance_tables import BALANCES
from config.book_tables import CORRECTIONS, METER_PERIODS
from config.site import Site
from config.tables import (
    CONSUMPTION,
    FINDINGS,
    GAPS,
    INTERVALS,
    OUTPUTS,
    READINGS,
    STATEMENTS,
    TABLES,
    Table,
)
from pipeline.checkpoints import Checkpoint
from pipeline.measure import Measured, measure
from storage.lake import Lake
from tests.app.works import write_works

SEEDS = int(os.environ.get("KGCE_HISTORIES", "6"))
START = datetime(2026, 3, 20, 3, 7, tzinfo=UTC)  # so that 12 days go over the end of a month
DAYS = 12


def meter(meter_id: str, kind: str, unit: str = "kWh", **cells: str) -> dict[str, str]:
    row = {"meter_id": meter_id, "name": meter_id, "node": "kiln", "kind": kind, "unit": unit}
    return {**row, "energy": "electricity", "connection": "historian", **cells}


METERS = (
    meter("rated", "counter", rated_per_h="1000"),
    meter("bare", "counter"),
    meter("short", "counter", rated_per_h="400", modulus="10000"),
    meter("power", "gauge", unit="kW", rated_per_h="900"),
    meter("pulses", "amount", span_minutes="15", rated_per_h="800"),
    meter("main", "counter", node="works", rated_per_h="9000"),
    meter("swapped", "counter", node="mill", rated_per_h="1000"),
    {
        "meter_id": "c-kiln", "name": "Coal", "node": "kiln", "energy": "raw_coal",
        "kind": "amount", "unit": "t",
    },
)  # fmt: skip
SWAP = START + timedelta(days=5, hours=4, minutes=3)
INSTALLED = [
    {"meter": "swapped", "from": SWAP.isoformat(), "serial": "B2", "start_reading": 3.5},
    {"meter": "power", "from": (SWAP + timedelta(days=2)).isoformat(), "multiplier": 2},
]


def history(rng: random.Random) -> list[tuple[str, datetime, float]]:
    """Readings of every meter, with what goes wrong in a plant."""
    rows: list[tuple[str, datetime, float]] = []
    for name in ("rated", "bare", "short", "main", "swapped"):
        rows += [(name, t, v) for t, v in counter(rng, name)]
    for name, low in (("power", -50.0 if rng.random() < 0.5 else 0.0), ("pulses", 0.0)):
        time = START
        while time < START + timedelta(days=DAYS):
            time += timedelta(minutes=15, seconds=rng.randint(0, 20) if name == "power" else 0)
            if rng.random() > 0.02:
                late = rng.random() < 0.01
                rows.append((name, time, 5000.0 if late else round(rng.uniform(low, 190), 1)))
    return rows


def counter(rng: random.Random, name: str) -> list[tuple[datetime, float]]:
    minutes = rng.choice([5, 15, 60])
    value, time = rng.uniform(0, 9000), START
    rows: list[tuple[datetime, float]] = []
    while time < START + timedelta(days=DAYS):
        time += timedelta(minutes=minutes, seconds=rng.randint(0, 30))
        dice = rng.random()
        if dice < 0.004:  # an outage
            time += timedelta(hours=rng.uniform(1, 40))
            value += rng.uniform(0, 3000)
        elif dice < 0.008:  # a reset
            value = rng.uniform(0, 10)
        elif dice < 0.012:  # a spike or a dip
            rows += [
                (time + timedelta(seconds=n), rng.choice([0.0, value + 5000]))
                for n in range(rng.randint(1, 3))
            ]
            time += timedelta(minutes=minutes)
        elif dice < 0.014:  # stands still
            for _ in range(rng.randint(3, 60)):
                time += timedelta(minutes=minutes)
                rows.append((time, value))
        elif dice < 0.017:
            rows.append((time + timedelta(seconds=1), float("nan")))
        value += rng.choice([0, 1, rng.uniform(0, 90)]) * minutes / 15
        rows.append((time, value % 10000 if name == "short" else value))
    return rows


def put(lake: Lake, site: Site, rows: list[tuple[str, datetime, float]], at: datetime) -> None:
    frame = pl.DataFrame(
        [(site.id, m, "value", t, v, "good", "test", at, None) for m, t, v in rows],
        schema=READINGS.polars_schema(),
        orient="row",
    )
    lake.append(READINGS, frame)


def enter(lake: Lake, site: Site, rng: random.Random, at: datetime) -> None:
    """Something typed in: output, a statement, or a correction."""
    start = (START + timedelta(days=rng.randint(0, DAYS - 2))).replace(hour=16, minute=0)
    values: dict[str, Any] = {
        "plant_id": site.id, "start_utc": start, "end_utc": start + timedelta(days=1),
        "source": "typed", "entered_by": "me", "entered_utc": at, "reason": "late",
    }  # fmt: skip
    kind = rng.choice(["output", "statement", "discard", "reading", "amount"])
    if kind == "output":
        table = OUTPUTS
        values |= {
            "product_id": "clinker",
            "qualified_quantity": rng.uniform(100, 200),
            "unit": "t",
        }
    elif kind == "statement":
        table = STATEMENTS
        values |= {
            "meter_id": "c-kiln", "unit": "kg", "opening_stock": 0.0, "purchased": 5.0,
            "closing_stock": 0.0, "sold": 0.0, "consumed": rng.uniform(10, 20),
        }  # fmt: skip
    else:
        table = CORRECTIONS
        values |= {"meter_id": rng.choice(["rated", "bare", "power"]), "kind": kind}
        hours = {"discard": 2, "reading": 0, "amount": rng.choice([9, 60])}[kind]
        values["end_utc"] = start + timedelta(hours=hours)
        values["value"] = None if kind == "discard" else 123.0
    row = {name: values.get(name) for name in table.names}
    lake.append(table, pl.DataFrame([row], schema=table.polars_schema()))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_step_by_step_is_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = random.Random(seed)
    site = load_site(write_works(tmp_path, meters=METERS, imports={}, installations=INSTALLED))
    lake = jobs.open_lake(site)
    rows = sorted(history(rng), key=lambda row: row[1])
    late = [row for row in rows if rng.random() < 0.01]
    rows = [row for row in rows if row not in late]
    first = 0
    worked = 0
    for step in range(12):
        last = len(rows) * (step + 1) // 12 if step < 11 else len(rows)
        some = [late.pop(rng.randrange(len(late))) for _ in range(min(3, len(late)))]
        at = datetime(2026, 5, 1, step, tzinfo=UTC)
        new = rows[first:last] + [row for row in some if row[1] < at]
        first = last
        put(lake, site, new, at)
        if step > 2:
            enter(lake, site, rng, at)
        done = jobs.refresh(site, lake)
        assert not done.skipped
        worked += sum(done.rows.values())
    filled = (INTERVALS, GAPS, METER_PERIODS, CONSUMPTION, BALANCES, FINDINGS)
    before = {table: rows_of(lake, site, table) for table in TABLES.values()}
    assert all(len(before[table]) for table in filled)
    assert worked
    again = jobs.refresh(site, lake, force=True)
    assert again.changed == (), again.rows
    monkeypatch.setattr(measuring, "CHUNK_ROWS", 3000)
    in_parts = jobs.refresh(site, lake, force=True)
    assert in_parts.changed == (), in_parts.rows
    for table, rows in before.items():
        assert rows_of(lake, site, table).equals(rows), table.name


def rows_of(lake: Lake, site: Site, table: Table) -> pl.DataFrame:
    return lake.scan(table, site.id).collect().sort(table.names)


@pytest.mark.parametrize("code", ["counter.frozen", "counter.reset"])
@pytest.mark.parametrize(("still_h", "tries"), [(80, 1), (100, 2), (200, 3)])
def test_a_register_that_stood_still_since_before_the_context_goes_on_from_farther_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, still_h: int, tries: int, code: str
) -> None:
    """What it hid is booked, or not, over the time it stood: a decision on readings long passed
    by, whether it then catches up or is reset."""
    site = load_site(write_works(tmp_path, meters=[METERS[0]], imports={}))
    lake = jobs.open_lake(site)
    times = [START + timedelta(minutes=5 * n) for n in range(12 * 24 * 16)]
    stands, catches_up = len(times) - 8 - 12 * still_h, len(times) - 8
    later = catches_up if code == "counter.reset" else 0
    values = [float(min(n, stands) if n < catches_up else n - later) for n in range(len(times))]
    rows = [("rated", t, v) for t, v in zip(times, values, strict=True)]
    put(lake, site, rows[:catches_up], times[-1])
    jobs.refresh(site, lake)
    put(lake, site, rows[catches_up:], times[-1])
    begun = []

    def watched(*given: Any, resume: dict[str, Checkpoint], **named: Any) -> Measured:
        begun.extend(times[-1].timestamp() - point.at_us / 1e6 for point in resume.values())
        return measure(*given, resume=resume, **named)

    monkeypatch.setattr(measuring, "measure", watched)
    jobs.refresh(site, lake)
    assert len(begun) == tries
    assert begun[0] < 2 * 3600
    assert all(ago_s - first_s >= 24 * 3600 for first_s, ago_s in pairwise(begun))
    codes = lake.scan(FINDINGS, site.id).select("code").collect()["code"].to_list()
    assert code in codes
    stepwise = {table: rows_of(lake, site, table) for table in (INTERVALS, GAPS, FINDINGS)}
    jobs.refresh(site, lake, force=True)
    assert all(rows_of(lake, site, table).equals(old) for table, old in stepwise.items())


def test_a_late_reading_touches_only_what_depends_on_it(tmp_path: Path) -> None:
    """One reading in an outage of three hours: nothing but its meter, day, month, year, parents."""
    some = [row for row in METERS if row["meter_id"] in ("rated", "main", "swapped")]
    site = load_site(write_works(tmp_path, meters=some, imports={}))
    lake = jobs.open_lake(site)
    times = [START + timedelta(minutes=15 * n) for n in range(96 * DAYS)]
    rows = [
        (name, time, 7.0 * n)
        for name in ("rated", "main", "swapped")
        for n, time in enumerate(times)
        if name != "rated" or not 500 < n < 512
    ]
    put(lake, site, rows, START + timedelta(days=20))
    for product in ("clinker", "cement"):
        made = {
            "plant_id": site.id, "product_id": product, "start_utc": START - timedelta(days=2),
            "end_utc": START + timedelta(days=DAYS + 2), "qualified_quantity": 1000.0, "unit": "t",
            "source": "typed", "entered_by": "me", "entered_utc": START + timedelta(days=20),
        }  # fmt: skip
        row = {name: made.get(name) for name in OUTPUTS.names}
        lake.append(OUTPUTS, pl.DataFrame([row], schema=OUTPUTS.polars_schema()))
    jobs.refresh(site, lake)
    put(lake, site, [("rated", times[503], 7.0 * 503)], START + timedelta(days=21))
    done = jobs.refresh(site, lake)
    # The three hours reach into 13 quarter hours, whose bounds are others. One gap goes; a shorter
    # one, and three quarters of an hour that were watched, come. The meter's day, month and year
    # are covered better, so are those of its node and of the balance above it, and the figures
    # that take the node's energy: two norms of clinker, one of cement.
    assert {name: n for name, n in done.rows.items() if n} == {
        "intervals": 13,
        "gaps": 3,
        "meter_periods": 3,
        "balances": 3,
        "consumption": 3,
        "indicators": 3 * 3,
    }
    assert jobs.refresh(site, lake, force=True).changed == ()
