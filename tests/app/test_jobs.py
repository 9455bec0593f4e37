"""Readings to figures: periods that add up, time that is missing, and refreshing again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import polars as pl
import pytest

from app import jobs
from app.imports import import_file
from app.options import Kind
from app.sites import load_site
from config.errors import StorageBusy
from config.site import Site
from config.tables import CONSUMPTION, INDICATORS, READINGS, TABLES, Table
from pipeline.periods import By
from storage.lake import Lake
from tests.app.works import (
    COAL_T,
    FIRST,
    METERS,
    PRODUCTION,
    QUARTER,
    QUARTERS,
    STATED,
    STEPS,
    counts,
    filled,
    write_readings,
    write_text,
    write_works,
)
from tests.plants import SECTIONS

Rows = Sequence[tuple[datetime, dict[str, float]]]
PLANT = SECTIONS["plant"]
MIDNIGHT_UTC = datetime(2025, 8, 31, 16, tzinfo=UTC)  # of 1 September in the plant's zone
DAY = timedelta(days=1)


def made(folder: Path, rows: Rows, *, since: str | None = None) -> tuple[Site, Lake]:
    """The works with these readings, coal and clinker of September, and refreshed figures."""
    plant = {**PLANT, **({"metering_since": since} if since else {})}
    site = load_site(write_works(folder, plant=plant))
    lake = jobs.open_lake(site)
    import_file(site, lake, Kind.readings, write_readings(folder / "scada.csv", rows))
    for kind, text in ((Kind.production, PRODUCTION), (Kind.statements, STATED)):
        import_file(site, lake, kind, write_text(folder / f"{kind}.csv", text))
    jobs.refresh(site, lake)
    return site, lake


def consumption(
    site: Site, lake: Lake, by: By, node: str, energy: str = "electricity"
) -> list[Any]:
    """Rows of one node and energy, in order of time."""
    found = jobs.figures(site, lake, by).consumption.filter(node_id=node, energy_code=energy)
    return found.sort("start_utc").rows(named=True)


def total(rows: Sequence[Mapping[str, Any]], name: str = "amount") -> float:
    return math.fsum(row[name] for row in rows)


def uneven(quarters: int) -> Rows:
    """Counters whose steps differ from quarter to quarter."""
    rows, now = [], dict.fromkeys(STEPS, 1000.0)
    for n in range(quarters + 1):
        rows.append((FIRST + n * QUARTER, dict(now)))
        now = {m: v + STEPS[m] * (1 + n % 7 / 10 + n % 96 / 50) for m, v in now.items()}
    return rows


def test_the_grains_add_up(tmp_path: Path) -> None:
    """The sum of the quarter hours is that of the hours, days and months, and the year."""
    rows = uneven(QUARTERS)
    site, lake = made(tmp_path, rows, since="2025-09-01")
    by_grain = {"15min": QUARTERS, "30min": 1440, "hour": 720, "day": 30, "month": 1, "year": 1}
    for node, meter in (("works", "e-works"), ("kiln", "e-kiln"), ("mill", "e-mill")):
        true_kwh = rows[-1][1][meter] - rows[0][1][meter]
        for by, periods in by_grain.items():
            found = consumption(site, lake, by, node)  # type: ignore[arg-type]
            assert len(found) == periods
            for name in ("amount", "low", "high"):
                assert total(found, name) == pytest.approx(true_kwh, rel=1e-9), (by, name)
            assert total(found, "kgce_calorific") == pytest.approx(true_kwh * 0.1229, rel=1e-9)
            assert all(row["coverage_ratio"] == pytest.approx(1.0, abs=1e-9) for row in found)


def test_the_days_are_the_plants(tmp_path: Path) -> None:
    rows = uneven(QUARTERS)
    site, lake = made(tmp_path, rows, since="2025-09-01")
    days = consumption(site, lake, "day", "kiln")
    for n, day in enumerate(days):
        first, last = rows[96 * n][1], rows[96 * n + 96][1]
        assert day["amount"] == pytest.approx(last["e-kiln"] - first["e-kiln"], rel=1e-9)
        assert day["period"] == f"2025-09-{n + 1:02}"
        assert (day["start_utc"], day["status"]) == (MIDNIGHT_UTC + n * DAY, "complete")


def test_numerators_and_denominators_add_up(tmp_path: Path) -> None:
    site, lake = made(tmp_path, uneven(QUARTERS), since="2025-09-01")
    whole, by_day = (
        jobs.figures(site, lake, by).indicators.filter(indicator="unit_product_energy")
        for by in ("month", "day")
    )
    for product in ("clinker", "cement"):
        (month,) = whole.filter(subject=product).rows(named=True)
        days = by_day.filter(subject=product).rows(named=True)
        assert len(days) == 30
        for name in ("numerator", "denominator"):
            assert total(days, name) == pytest.approx(month[name], rel=1e-9)
        assert month["value"] == pytest.approx(month["numerator"] / month["denominator"])


def test_statistical_months(tmp_path: Path) -> None:
    """Ending on the 25th: September has 25 of these days, October the other five."""
    site, lake = filled(write_works(tmp_path, plant={**PLANT, "month_end_day": 25}))
    months = {row["period"]: row for row in consumption(site, lake, "month", "kiln")}
    assert list(months) == ["2025-09", "2025-10"]
    assert months["2025-09"]["low"] == 25 * 96 * STEPS["e-kiln"]
    assert months["2025-10"]["amount"] == 5 * 96 * STEPS["e-kiln"]
    assert months["2025-10"]["status"] == "partial"
    assert months["2025-10"]["end_utc"] == MIDNIGHT_UTC + 30 * DAY


def test_periods_are_clipped_to_the_first_day_of_metering(tmp_path: Path) -> None:
    site, lake = made(tmp_path, counts(), since="2025-09-11")
    for by in ("month", "year"):
        (found,) = consumption(site, lake, by, "kiln")
        assert found["amount"] == 20 * 96 * STEPS["e-kiln"]
        assert (found["coverage_ratio"], found["status"]) == (1.0, "partial")
        assert found["start_utc"] == MIDNIGHT_UTC + 10 * DAY
    assert len(consumption(site, lake, "day", "kiln")) == 20


def test_time_before_the_first_reading_is_missing_without_it(tmp_path: Path) -> None:
    """Of a month that is read from the 11th on nobody knows the first ten days."""
    site, lake = made(tmp_path, counts(960))
    (month,) = consumption(site, lake, "month", "kiln")
    assert (month["amount"], month["status"]) == (None, "refused")
    assert month["coverage_ratio"] == pytest.approx(20 / 30)
    seen = 20 * 96 * STEPS["e-kiln"]
    assert month["low"] == seen
    assert month["high"] == pytest.approx(seen + 240 * 1000 * 1.2)  # rated x overload_factor
    assert month["start_utc"] == MIDNIGHT_UTC


def test_a_missing_day_is_refused_and_bounded(tmp_path: Path) -> None:
    """From the tenth, noon, to the eleventh, noon, nothing was read; the total is known."""
    gap = range(9 * 96 + 48, 10 * 96 + 48)
    rows = counts(without=gap[1:])
    site, lake = made(tmp_path, rows, since="2025-09-01")
    days = {row["period"]: row for row in consumption(site, lake, "day", "kiln")}
    true_kwh = 96 * STEPS["e-kiln"]
    for period in ("2025-09-10", "2025-09-11"):
        day = days[period]
        assert (day["amount"], day["status"]) == (None, "refused")
        assert (day["kgce_calorific"], day["kgce_equivalent"]) == (None, None)
        assert day["coverage_ratio"] == pytest.approx(0.5)
        assert day["low"] == true_kwh / 2
        assert day["high"] == pytest.approx(true_kwh * 1.5)
    assert days["2025-09-12"]["status"] == "complete"
    (month,) = consumption(site, lake, "month", "kiln")
    assert month["amount"] == QUARTERS * STEPS["e-kiln"] == month["low"] == month["high"]
    assert month["coverage_ratio"] == pytest.approx(29 / 30)
    assert month["status"] == "complete"
    asked = jobs.figures(site, lake, "day", required_coverage_ratio=0.5).consumption
    day = asked.filter(node_id="kiln", energy_code="electricity", period="2025-09-10")
    assert day["amount"].to_list() == [pytest.approx(true_kwh)]
    indicators = jobs.figures(site, lake, "day").indicators.filter(
        subject="clinker", period="2025-09-10", indicator="unit_product_energy"
    )
    assert indicators.select("value", "status").rows() == [(None, "refused")]


def test_a_whole_missing_day_is_exact_and_still_refused(tmp_path: Path) -> None:
    """Midnight to midnight: the counter knows the amount; nobody saw the day."""
    site, lake = made(tmp_path, counts(without=range(9 * 96 + 1, 10 * 96)), since="2025-09-01")
    day = consumption(site, lake, "day", "kiln")[9]
    assert (day["amount"], day["status"], day["coverage_ratio"]) == (None, "refused", 0.0)
    assert day["low"] == day["high"] == 96 * STEPS["e-kiln"]


def test_figures_end_where_reading_ended(tmp_path: Path) -> None:
    """At the last grid boundary before the last reading; statements reach no further."""
    last = (FIRST + 10 * DAY + timedelta(minutes=7), dict.fromkeys(STEPS, 10000.0 + 1000000.0))
    site, lake = made(tmp_path, [*counts(0, 960), last], since="2025-09-01")
    (month,) = consumption(site, lake, "month", "kiln")
    assert month["end_utc"] == MIDNIGHT_UTC + 10 * DAY
    assert (month["amount"], month["status"]) == (960 * STEPS["e-kiln"], "partial")
    (coal,) = consumption(site, lake, "month", "kiln", "raw_coal")
    assert coal["amount"] == pytest.approx(COAL_T * 1000 / 3)
    assert (coal["low"], coal["high"]) == (0, COAL_T * 1000)


def test_a_plant_of_statements_alone(tmp_path: Path) -> None:
    meters = [row for row in METERS if "connection" not in row]
    site = load_site(write_works(tmp_path, meters=meters, imports=None, connections=None))
    lake = jobs.open_lake(site)
    import_file(site, lake, Kind.statements, write_text(tmp_path / "s.csv", STATED))
    jobs.refresh(site, lake)
    (month,) = consumption(site, lake, "month", "works", "raw_coal")
    assert (month["amount"], month["status"]) == (COAL_T * 1000, "complete")


def test_a_meter_without_any_reading_is_unknown_not_zero(tmp_path: Path) -> None:
    silent = {**METERS[2], "meter_id": "e-mill-2"}
    site, lake = filled(write_works(tmp_path, meters=[*METERS, silent]))
    (mill,) = consumption(site, lake, "month", "mill")
    assert (mill["amount"], mill["status"], mill["coverage_ratio"]) == (None, "refused", 0.0)
    assert mill["low"] == QUARTERS * STEPS["e-mill"]
    assert mill["high"] == pytest.approx(mill["low"] + 720 * 1000 * 1.2)
    (kiln,) = consumption(site, lake, "month", "kiln")
    assert kiln["status"] == "complete"
    indicators = jobs.figures(site, lake, "month", required_coverage_ratio=0.0).indicators
    (cement,) = indicators.filter(subject="cement").rows(named=True)
    assert (cement["value"], cement["status"]) == (None, "refused")


def test_a_bare_ledger(tmp_path: Path) -> None:
    """Nothing was ever read: no figure, and no error."""
    site = load_site(write_works(tmp_path))
    lake = jobs.open_lake(site)
    done = jobs.refresh(site, lake)
    assert set(done.rows.values()) == {0}
    assert done.changed == ()
    for by in get_args(By):
        assert jobs.figures(site, lake, by).consumption.is_empty()


def test_a_refresh_does_only_what_is_new(tmp_path: Path) -> None:
    site, lake = made(tmp_path, counts(0, 96), since="2025-09-01")
    assert jobs.refresh(site, lake).skipped
    forced = jobs.refresh(site, lake, force=True)
    assert (forced.skipped, forced.changed) == (False, ())
    later = write_readings(tmp_path / "scada-2.csv", counts(97, 192))
    import_file(site, lake, Kind.readings, later)
    done = jobs.refresh(site, lake)
    assert set(done.changed) == {
        "intervals", "meter_periods", "balances", "consumption", "indicators",
    }  # fmt: skip
    assert len(consumption(site, lake, "day", "kiln")) == 2
    assert jobs.refresh(site, lake).skipped


def test_another_configuration_refreshes(tmp_path: Path) -> None:
    _, lake = made(tmp_path, counts(0, 96), since="2025-09-01")
    doubled = [{**row, "multiplier": "2"} if row["meter_id"] == "e-kiln" else row for row in METERS]
    site = load_site(
        write_works(tmp_path, meters=doubled, plant={**PLANT, "metering_since": "2025-09-01"})
    )
    assert "consumption" in jobs.refresh(site, lake).changed
    (day,) = consumption(site, lake, "day", "kiln")
    assert day["amount"] == 2 * 96 * STEPS["e-kiln"]


def test_published_figures_are_the_computed_ones(tmp_path: Path) -> None:
    site, lake = made(tmp_path, uneven(480), since="2025-09-01")
    for by in jobs.PUBLISHED:
        computed = jobs.figures(site, lake, by)
        for table, frame in (
            (CONSUMPTION, computed.consumption),
            (INDICATORS, computed.indicators),
        ):
            published = lake.scan(table, site.id).filter(pl.col("grain") == by).collect()
            assert published.sort(table.key).equals(frame.sort(table.key))


def test_provenance_says_what_a_figure_is_made_of(tmp_path: Path) -> None:
    site, lake = made(tmp_path, counts(0, 96))
    (origin,) = lake.scan(INDICATORS, site.id).collect()["provenance"].unique()
    said = json.loads(origin)
    assert said == {
        "tables": {name: lake.versions()[name] for name in ("outputs", "readings", "statements")},
        "config": site.config_hash,
        "standards": site.library.version,
        "kgce": "0.1.0",
    }


def test_nothing_is_written_while_another_process_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, lake = made(tmp_path, counts(0, 4))
    monkeypatch.setattr(jobs, "LOCK_TIMEOUT_S", 0.1)
    before = lake.versions()
    with lake.lock(1), pytest.raises(StorageBusy):
        jobs.refresh(site, lake, force=True)
    assert lake.versions() == before


def test_compaction_changes_no_figure(tmp_path: Path) -> None:
    site, lake = made(tmp_path, counts(0, 8))
    for first in range(9, 97, 8):  # many small files
        rows = write_readings(tmp_path / "scada-2.csv", counts(first, first + 7))
        import_file(site, lake, Kind.readings, rows)
    jobs.refresh(site, lake)
    before = {table: everything(site, lake, table) for table in TABLES.values()}
    (compacted, *_) = jobs.compact_lake(lake, [READINGS])
    assert compacted.files_after < compacted.files_before
    jobs.refresh(site, lake, force=True)
    for table, frame in before.items():
        assert everything(site, lake, table).equals(frame), table.name


def everything(site: Site, lake: Lake, table: Table) -> pl.DataFrame:
    """All rows, without the versions of the tables that they were made from."""
    return lake.scan(table, site.id).collect().sort(table.key).drop("provenance", strict=False)
