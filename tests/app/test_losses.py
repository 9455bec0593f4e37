"""The loss account in the lake: each day once, through crashes, and its sums by period."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest

from app.loss_booking import book_imports, book_losses
from app.losses import COUNTS, by_period, loss_lines, loss_summary, losses
from app.sites import load_site
from config.errors import InputError
from config.loss_table import LOSSES
from config.site import Site
from config.tables import READINGS, Reading
from storage.flush import flush
from storage.lake import Lake
from storage.spool import Spool
from tests.app.commands import Ended, inside
from tests.app.losing_writer import HOUR_US, START_US, round_of
from tests.plants import METERS, write_plant

ROOT = Path(__file__).parents[2]
FIRST = datetime(2026, 10, 1, tzinfo=UTC)


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    return write_plant(tmp_path)


def lake_of(site: Site) -> Lake:
    return Lake(site.storage_path / "lake")


def spool_of(site: Site) -> Spool:
    site.storage_path.mkdir(exist_ok=True)
    spool = Spool(site.storage_path / "spool.db", max_bytes=1 << 30, dedupe_s=1e9)
    spool.schedule({"e-kiln": 3600.0}, zone=str(site.plant.plant.zone))
    return spool


def booked(site: Site) -> pl.DataFrame:
    frame = lake_of(site).scan(LOSSES, site.id).collect()
    assert not frame.select(pl.struct(LOSSES.key).is_duplicated().any()).item()
    assert set(frame["balanced"]) <= {"yes"}
    whole = frame["expected"] == frame["good"] + frame["missing"] + frame["dropped"]
    assert whole.all()
    reasons = [sum(json.loads(text).values()) if text else 0 for text in frame["reasons"]]
    assert reasons == (frame["missing"] + frame["dropped"]).to_list()
    return frame


def sums(frame: pl.DataFrame) -> dict[str, dict[str, int]]:
    """The counts of each meter added up."""
    rows = frame.group_by("meter_id").agg(pl.col(name).sum() for name in COUNTS)
    return {row.pop("meter_id"): row for row in rows.iter_rows(named=True)}


def accounts(spool: Spool) -> dict[str, dict[str, int]]:
    assert all(one.balanced for one in spool.account())
    return {
        one.meter_id: {
            "expected": one.expected,
            "good": one.good,
            "missing": sum(one.missing.values()),
            "dropped": sum(one.dropped.values()),
            "late": one.late,
            "duplicate": one.duplicates,
            "repeated": one.repeated,
        }
        for one in spool.account()
    }


def test_each_day_is_a_row_and_days_add_up_to_the_account(plant: Path) -> None:
    site = load_site(plant)
    lake, spool = lake_of(site), spool_of(site)
    for number in range(30):
        spool.append(round_of(number))
    assert book_losses(site, spool, lake) > 0
    frame = booked(site)
    assert sums(frame) == accounts(spool)
    polled = frame.filter(pl.col("meter_id") == "e-kiln").sort("period")
    # 1 October, 08:00 in Shanghai, is the first tick.
    assert polled.select("period", "expected").head(2).rows() == [
        ("2026-10-01", 16),
        ("2026-10-02", 24),
    ]
    assert polled["start_utc"][0] == datetime(2026, 9, 30, 16, tzinfo=UTC)
    assert polled["end_utc"][0] == datetime(2026, 10, 1, 16, tzinfo=UTC)
    assert json.loads(polled["reasons"][1]) == {"not_running": 16, "timeout": 2}
    spool.close()


def test_again_changes_nothing_and_a_late_reading_its_day_only(plant: Path) -> None:
    site = load_site(plant)
    lake, spool = lake_of(site), spool_of(site)
    for number in range(30):
        spool.append(round_of(number))
    book_losses(site, spool, lake)
    before, version = booked(site), lake.version(LOSSES)
    assert book_losses(site, spool, lake) == 0
    assert lake.version(LOSSES) == version
    spool.append([Reading("e-mill", "kw", START_US + 5, 1.0, "good", "broker", START_US)])
    assert book_losses(site, spool, lake) == 2  # of both meters on that day
    after = booked(site)
    differing = after.join(before, on=after.columns, how="anti")
    assert differing.select("meter_id", "period").rows() == [("e-mill", "2026-10-01")]
    assert sums(after) == accounts(spool)
    spool.close()


def test_at_every_write_point(plant: Path) -> None:
    """After a write, a rejection, a flush, a compaction, a restart, a clock step."""
    site = load_site(plant)
    lake, spool = lake_of(site), spool_of(site)

    def agree() -> None:
        book_losses(site, spool, lake)
        assert sums(booked(site)) == accounts(spool)

    spool.append([row for number in range(20) for row in round_of(number)])
    agree()
    batch = spool.take_batch(15)
    assert batch is not None
    batch.reject("refused by the lake")
    agree()
    assert sums(booked(site))["e-mill"]["dropped"] > 0
    flush(spool, lake, site.id, 10)
    agree()
    lake.compact(READINGS)
    lake.compact(LOSSES)
    agree()
    spool._file.close()  # as a crash leaves it
    spool = spool_of(site)
    agree()
    spool.append(round_of(12))  # the clock goes back: its tick is repeated
    spool.append(round_of(40)[:1] * 2)
    agree()
    assert sums(booked(site))["e-kiln"]["repeated"] == 0  # the same reading: a duplicate
    step = round_of(39)[0]._replace(value=5.0, time_us=round_of(39)[0].time_us + 7)
    spool.append([step])
    agree()
    assert sums(booked(site))["e-kiln"]["repeated"] == 1
    spool.close()


def test_a_new_spool_takes_nothing_away(plant: Path) -> None:
    site = load_site(plant)
    lake, spool = lake_of(site), spool_of(site)
    for number in range(10):
        spool.append(round_of(number))
    book_losses(site, spool, lake)
    first = accounts(spool)
    spool.close()
    for file in site.storage_path.glob("spool.db*"):
        file.unlink()
    spool = spool_of(site)
    for number in range(10, 14):
        spool.append(round_of(number))
    book_losses(site, spool, lake)
    second = accounts(spool)
    frame = booked(site)
    assert frame["source"].n_unique() == 2
    assert sums(frame) == {
        meter: {name: first[meter][name] + second[meter][name] for name in COUNTS}
        for meter in first
    }
    # On screen both are what the daemon collected, a row a day.
    days = by_period(frame, "day", 31)
    assert set(days["source"]) == {"spool"}
    assert days.select("meter_id", "period").is_unique().all()
    assert sums(days) == sums(frame)
    spool.close()


def test_another_time_zone_leaves_no_day_behind(plant: Path) -> None:
    site = load_site(plant)
    lake, spool = lake_of(site), spool_of(site)
    for number in range(20):
        spool.append(round_of(number))
    book_losses(site, spool, lake)
    for zone in ("America/New_York", "Pacific/Apia"):
        spool.schedule({"e-kiln": 3600.0}, zone=zone)
        spool.append(round_of(20 + len(zone)))
        spool.append([row._replace(value=2.0) for row in round_of(2)[1:2]])
        book_losses(site, spool, lake)
        assert sums(booked(site)) == accounts(spool)
    spool.close()


def started(plant: Path, first: int, dies: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.app.losing_writer", str(plant), str(first), dies],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("dies", ["before", "after"])
def test_killed_beside_the_lakes_commit(plant: Path, dies: str) -> None:
    process = started(plant, 0, dies)
    said = process.communicate(timeout=120)[0].split()
    assert process.returncode == -9
    site = load_site(plant)
    lake, spool = lake_of(site), spool_of(site)
    assert (lake.version(LOSSES) is not None) == (dies == "after")
    assert book_losses(site, spool, lake) > 0
    assert sums(booked(site)) == accounts(spool)
    assert sums(booked(site))["e-mill"]["good"] == 2 * len(said)
    spool.close()


def test_killed_anywhere(plant: Path) -> None:
    moments, said = random.Random(7), [-1]
    for _ in range(4):
        process = started(plant, said[-1] + 1, "")
        assert process.stdout is not None
        said.append(int(process.stdout.readline()))
        time.sleep(moments.uniform(0.05, 0.6))
        process.kill()
        said += [int(line) for line in process.communicate(timeout=60)[0].split()]
    site = load_site(plant)
    lake, spool = lake_of(site), spool_of(site)
    flush(spool, lake, site.id, 1000)
    book_losses(site, spool, lake)
    frame = booked(site)
    assert sums(frame) == accounts(spool)
    there = lake.scan(READINGS, site.id).filter(pl.col("meter_id") == "e-mill").collect()
    assert sums(frame)["e-mill"]["good"] == there.height
    # A round may be on disk and not said; it is then sent once more, as duplicates.
    assert there.height >= 2 * len(set(said) - {-1})
    spool.close()


class TestByPeriod:
    @pytest.fixture
    def frame(self, tmp_path: Path) -> pl.DataFrame:
        site = load_site(write_plant(tmp_path))
        lake, spool = lake_of(site), spool_of(site)
        spool.append([row for number in range(0, 3000, 7) for row in round_of(number)])
        book_losses(site, spool, lake)
        spool.close()
        return booked(site)

    @pytest.mark.parametrize("month_end_day", [25, 31])
    def test_years_are_sums_of_months_and_months_of_days(
        self, frame: pl.DataFrame, month_end_day: int
    ) -> None:
        months = by_period(frame, "month", month_end_day)
        years = by_period(frame, "year", month_end_day)
        assert len(months) > 20
        assert sums(years) == sums(months) == sums(frame)
        by_year = months.with_columns(pl.col("period").str.slice(0, 4))
        keys = ["meter_id", "period"]
        added = by_year.group_by(keys).agg(pl.col(name).sum() for name in COUNTS).sort(keys)
        assert added.equals(years.select(*keys, *COUNTS).cast(added.schema).sort(keys))
        for one in (months, years):
            reasons = [sum(json.loads(text).values()) if text else 0 for text in one["reasons"]]
            assert reasons == (one["missing"] + one["dropped"]).to_list()

    def test_a_month_that_ends_on_the_25th(self, frame: pl.DataFrame) -> None:
        days = frame.filter((pl.col("period") >= "2026-10-26") & (pl.col("period") <= "2026-11-25"))
        month = by_period(frame, "month", 25).filter(pl.col("period") == "2026-11")
        assert sums(month) == sums(days)
        assert month["start_utc"].min() == datetime(2026, 10, 25, 16, tzinfo=UTC)

    def test_an_hour_is_refused(self, frame: pl.DataFrame) -> None:
        with pytest.raises(InputError, match="loss account by hour"):
            by_period(frame, "hour", 31)

    def test_the_summary_of_a_span(self, frame: pl.DataFrame) -> None:
        start, end = FIRST + timedelta(days=10), FIRST + timedelta(days=40)
        summary = loss_summary(frame, start, end)
        part = frame.filter(pl.col("start_utc").is_between(start, end, closed="left"))
        assert summary["spool"]["meters"] == 2
        assert {name: summary["spool"][name] for name in COUNTS} == {
            name: part[name].sum() for name in COUNTS
        }
        good, expected = part["good"].sum(), part["expected"].sum()
        assert summary["spool"]["good_ratio"] == good / expected
        assert summary["spool"]["balanced"]
        assert f" {expected} expected = {good} good + " in loss_lines(summary)[0]

    def test_of_nothing_there_is_no_summary(self, frame: pl.DataFrame) -> None:
        assert loss_summary(frame.clear()) == {}
        assert by_period(frame.clear(), "month", 31).is_empty()

    def test_an_account_that_is_off_is_said(self, frame: pl.DataFrame) -> None:
        off = frame.with_columns(balanced=pl.lit("no"))
        assert set(by_period(off, "month", 31)["balanced"]) == {"no"}
        assert "expected IS NOT" in loss_lines(loss_summary(off))[0]


def imported(
    site: Site,
    meter: str,
    times: Sequence[datetime],
    value: float | None = 1.0,
    file: str = "a.csv",
) -> None:
    frame = pl.DataFrame(
        {
            "plant_id": site.id,
            "meter_id": meter,
            "quantity": "value",
            "time_utc": pl.Series(times, dtype=pl.Datetime("us", "UTC")),
            "value": value,
            "status": "good" if value is not None else "missing",
            "source": file,
            "received_utc": FIRST,
            "sequence": None,
        }
    )
    lake_of(site).append(READINGS, frame.cast(READINGS.polars_schema()))  # type: ignore[arg-type]


def quarters(*numbers: int) -> list[datetime]:
    return [FIRST + timedelta(minutes=15 * number) for number in numbers]


class TestImported:
    @pytest.fixture
    def site(self, tmp_path: Path) -> Site:
        rows = [
            dict(row, interval_s="900") if row["meter_id"] == "e-works" else row for row in METERS
        ]
        return load_site(write_plant(tmp_path, meters=rows))

    def test_by_the_interval_that_is_stated(self, site: Site) -> None:
        there = [n for n in range(96 * 3) if not 100 <= n < 110]
        imported(site, "e-works", quarters(*there))
        imported(site, "e-works", quarters(100, 101), None)
        # three times 24 h from 08:00
        assert book_imports(site, lake_of(site), site.plant.meters) == 4
        frame = booked(site)
        assert set(frame["source"]) == {"import"}
        assert sums(frame)["e-works"] | {"late": 0} == {
            "expected": 288, "good": 278, "missing": 10, "dropped": 0, "late": 0, "duplicate": 0,
            "repeated": 0,
        }  # fmt: skip
        day = frame.filter(pl.col("period") == "2026-10-02").row(0, named=True)
        assert (day["expected"], day["good"]) == (96, 86)
        assert json.loads(day["reasons"]) == {"missing": 2, "not_imported": 8}

    def test_times_that_tremble_are_no_losses(self, site: Site) -> None:
        times = [time + timedelta(seconds=200 * (n % 3 - 1)) for n, time in
                 enumerate(quarters(*range(200)))]  # fmt: skip
        imported(site, "e-works", times)
        book_imports(site, lake_of(site), site.plant.meters)
        counts = sums(booked(site))["e-works"]
        assert (counts["expected"], counts["good"], counts["missing"]) == (200, 200, 0)

    def test_where_nothing_states_an_interval_nothing_is_missing(self, site: Site) -> None:
        imported(site, "c-kiln", quarters(0, 1, 50, 4000))
        book_imports(site, lake_of(site), site.plant.meters)
        counts = sums(booked(site))["c-kiln"]
        assert (counts["expected"], counts["good"], counts["missing"]) == (4, 4, 0)

    def test_a_corrected_file_is_no_second_reading(self, site: Site) -> None:
        imported(site, "e-works", quarters(0, 1, 2))
        imported(site, "e-works", quarters(1), 5.0, "b.csv")
        book_imports(site, lake_of(site), site.plant.meters)
        counts = sums(booked(site))["e-works"]
        assert (counts["expected"], counts["good"], counts["repeated"]) == (3, 3, 1)

    def test_more_files_fill_what_was_missing(self, site: Site) -> None:
        imported(site, "e-works", quarters(*range(96)))
        imported(site, "e-works", quarters(*range(960, 1056)))
        lake = lake_of(site)
        book_imports(site, lake, site.plant.meters)
        assert sums(booked(site))["e-works"]["missing"] == 864
        version = lake.version(LOSSES)
        book_imports(site, lake, site.plant.meters)
        assert lake.version(LOSSES) == version
        imported(site, "e-works", quarters(*range(96, 960)), file="c.csv")
        book_imports(site, lake, site.plant.meters)
        counts = sums(booked(site))["e-works"]
        assert (counts["expected"], counts["good"], counts["missing"]) == (1056, 1056, 0)

    def test_beside_the_spool_each_keeps_its_own(self, site: Site) -> None:
        lake, spool = lake_of(site), spool_of(site)
        for number in range(10):
            spool.append(round_of(number))
        flush(spool, lake, site.id, 1000)
        book_losses(site, spool, lake)
        imported(site, "e-mill", quarters(-5, -4))
        book_imports(site, lake, site.plant.meters)
        frame = booked(site)
        assert sums(frame.filter(pl.col("source") != "import")) == accounts(spool)
        assert sums(frame.filter(pl.col("source") == "import"))["e-mill"]["good"] == 2
        summary = loss_summary(by_period(frame, "year", 31))
        assert summary["import"]["good"] == 2
        assert summary["spool"]["good"] == sum(one["good"] for one in accounts(spool).values())
        spool.append(round_of(11))
        book_losses(site, spool, lake)
        assert sums(booked(site).filter(pl.col("source") == "import"))["e-mill"]["good"] == 2
        spool.close()

    def test_without_imports_there_is_nothing(self, site: Site) -> None:
        lake = lake_of(site)
        assert book_imports(site, lake, site.plant.meters) == 0
        assert lake.version(LOSSES) is None


class TestOnScreen:
    @pytest.fixture
    def plant(self, tmp_path: Path) -> Path:
        plant = write_plant(tmp_path)
        site = load_site(plant)
        spool = spool_of(site)
        spool.append([row for number in range(20) for row in round_of(number)])
        book_losses(site, spool, lake_of(site))
        spool.append(round_of(300))  # in November, and not in the lake yet
        spool.close()
        return plant

    def status(self, plant: Path, *options: str) -> Ended:
        return inside("status", "-p", plant, "--format", "json", *options)

    def test_status_says_what_the_spool_knows_now(self, plant: Path) -> None:
        site = load_site(plant)
        spool = spool_of(site)
        known = accounts(spool)
        spool.close()
        rows = self.status(plant, "--by", "month").records()
        assert {row["period"] for row in rows} == {"2026-09", "2026-10", "2026-11"}
        found: dict[str, Any] = sums(pl.DataFrame(rows))
        assert found == known
        total = {row["meter_id"]: row for row in self.status(plant).records()}
        assert total["e-mill"]["late"] == known["e-mill"]["late"] == 21

    def test_from_and_to(self, plant: Path) -> None:
        rows = self.status(plant, "--from", "2026-10-02", "--to", "2026-10-03").records()
        assert sorted({row["period"] for row in rows}) == ["2026-10-02", "2026-10-03"]

    def test_show_has_what_is_in_the_lake(self, plant: Path) -> None:
        shown = inside("show", "losses", "-p", plant, "--by", "year", "--format", "json")
        rows = shown.records()
        jsonschema.validate(rows, LOSSES.json_schema())
        site = load_site(plant)
        assert sums(pl.DataFrame(rows)) == sums(booked(site))
        one = inside("show", "losses", "-p", plant, "--only", "e-mill", "--format", "csv")
        assert {row["meter_id"] for row in one.csv_rows()} == {"e-mill"}

    def test_in_both_languages(self, plant: Path) -> None:
        english = inside("show", "losses", "-p", plant, "--lang", "en").out
        chinese = inside("status", "--by", "day", "-p", plant, "--lang", "zh").out
        assert "expected" in english
        assert "not_running" in english
        assert all(word in chinese for word in ("应采", "迟到", "账平", "采集"))

    def test_by_hour_is_refused(self, plant: Path) -> None:
        for words in (("status",), ("show", "losses")):
            ended = inside(*words, "--by", "hour", "-p", plant)
            assert ended.code == 2
            assert "day, month, year" in ended.err


def test_only_one_meter(plant: Path) -> None:
    site = load_site(plant)
    spool = spool_of(site)
    spool.append(round_of(0))
    book_losses(site, spool, lake_of(site))
    spool.close()
    found = losses(site, booked(site), by="day", start=None, end=None, meter_id="e-kiln")
    assert found["meter_id"].to_list() == ["e-kiln"]
    assert found["start_utc"][0] <= datetime.fromtimestamp(START_US / 1e6, UTC)
    assert (found["end_utc"][0] - found["start_utc"][0]).total_seconds() * 1e6 == HOUR_US * 24
