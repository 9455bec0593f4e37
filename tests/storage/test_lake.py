from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from config.errors import StorageError
from config.tables import FINDINGS, INTERVALS, READINGS, TABLES, Table
from storage.frames import FrameRefused
from storage.lake import Lake
from storage.snapshot import connect
from tests.storage.readings import PLANT, START, hours, readings_frame

OCTOBER = hours(3)
NOVEMBER = hours(3, datetime(2026, 11, 1, tzinfo=UTC))
A_SECOND = timedelta(seconds=1)


def rows(lake: Lake, plant: str = PLANT, **span) -> pl.DataFrame:
    return lake.scan(READINGS, plant, **span).collect().sort(READINGS.key)


def times(lake: Lake, **span) -> list[datetime]:
    return rows(lake, **span)["time_utc"].to_list()


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """October and November of p1, October of p2."""
    lake.append(READINGS, readings_frame(OCTOBER + NOVEMBER))
    lake.append(READINGS, readings_frame(OCTOBER, plant="p2"))
    return lake


class TestScan:
    @pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
    def test_an_empty_lake_has_every_table_without_rows(self, lake: Lake, table: Table) -> None:
        frame = lake.scan(table, PLANT, from_utc=START).collect()
        assert frame.is_empty()
        assert frame.schema == table.polars_schema()
        assert lake.version(table) is None
        assert lake.versions() == {}
        assert not lake.path.exists()

    def test_it_gives_back_what_was_written(self, lake: Lake) -> None:
        frame = readings_frame(OCTOBER + NOVEMBER)
        assert lake.append(READINGS, frame.select(reversed(frame.columns)))
        assert rows(lake).equals(frame)
        assert rows(lake).schema == READINGS.polars_schema()

    def test_a_plant_sees_its_own_rows_only(self, filled: Lake) -> None:
        assert rows(filled, "p2")["plant_id"].unique().to_list() == ["p2"]
        assert rows(filled, "p3").is_empty()
        assert rows(filled, "p' OR 1=1 --").is_empty()

    def test_a_span_takes_its_start_and_leaves_its_end(self, filled: Lake) -> None:
        assert times(filled, from_utc=OCTOBER[1], to_utc=NOVEMBER[1]) == [
            *OCTOBER[1:],
            NOVEMBER[0],
        ]
        assert times(filled, from_utc=NOVEMBER[2]) == [NOVEMBER[2]]
        assert times(filled, to_utc=OCTOBER[0]) == []

    def test_a_span_may_be_given_in_another_zone(self, filled: Lake) -> None:
        shanghai = NOVEMBER[0].astimezone()
        assert times(filled, from_utc=shanghai) == NOVEMBER

    @pytest.mark.parametrize("us", [0, 1, 499, 500, 999, 1000, 999_999])
    def test_files_are_never_passed_over_for_a_microsecond(self, lake: Lake, us: int) -> None:
        # Delta keeps a file's least and greatest time to the millisecond only.
        at = START + timedelta(microseconds=us)
        lake.append(READINGS, readings_frame([at]))
        one = timedelta(microseconds=1)
        assert times(lake, from_utc=at, to_utc=at + one) == [at]
        assert times(lake, from_utc=at + one) == []
        assert times(lake, to_utc=at) == []

    def test_a_month_ends_in_utc(self, lake: Lake) -> None:
        edge = [NOVEMBER[0] - timedelta(microseconds=1), NOVEMBER[0]]
        lake.append(READINGS, readings_frame(edge))
        months = sorted(path.name for path in (lake.path / "readings/plant_id=p1").iterdir())
        assert months == ["month=2026-10", "month=2026-11"]
        assert times(lake) == edge

    def test_other_months_and_files_are_not_opened(self, filled: Lake) -> None:
        for path in (filled.path / "readings/plant_id=p1/month=2026-10").glob("*.parquet"):
            path.unlink()
        assert times(filled, from_utc=NOVEMBER[0]) == NOVEMBER

    def test_an_older_version_can_be_read(self, filled: Lake) -> None:
        version = filled.version(READINGS)
        filled.replace(READINGS, PLANT, readings_frame(OCTOBER[:1]))
        assert times(filled) == OCTOBER[:1]
        assert times(filled, version=version) == OCTOBER + NOVEMBER

    def test_a_version_that_never_was_is_explained(self, filled: Lake) -> None:
        with pytest.raises(StorageError, match="readings"):
            filled.scan(READINGS, PLANT, version=99)


class TestAppend:
    def test_an_application_transaction_is_written_once(self, lake: Lake) -> None:
        frame = readings_frame(OCTOBER)
        assert lake.append(READINGS, frame, app=("spool:a", 3))
        version = lake.version(READINGS)
        assert not lake.append(READINGS, frame, app=("spool:a", 3))
        assert not lake.append(READINGS, frame, app=("spool:a", 2))
        assert lake.version(READINGS) == version
        assert lake.append(READINGS, frame, app=("spool:a", 4))
        assert lake.append(READINGS, frame, app=("spool:b", 1))
        assert rows(lake).height == 9
        assert lake.transaction_version(READINGS, "spool:a") == 4
        assert lake.transaction_version(READINGS, "spool:c") is None

    def test_a_transaction_is_remembered_beyond_checkpoints_and_compaction(
        self, lake: Lake
    ) -> None:
        for version in range(30):
            lake.append(READINGS, readings_frame(OCTOBER[:1]), app=("spool:a", version))
        lake.compact(READINGS)
        assert not lake.append(READINGS, readings_frame(OCTOBER), app=("spool:a", 29))
        assert rows(lake).height == 30

    def test_an_empty_transaction_is_remembered_too(self, lake: Lake) -> None:
        empty = readings_frame([])
        assert lake.append(READINGS, empty, app=("spool:a", 1))
        assert not lake.append(READINGS, empty, app=("spool:a", 1))

    def test_an_empty_frame_makes_no_version(self, lake: Lake) -> None:
        assert lake.append(READINGS, readings_frame([]))
        assert lake.version(READINGS) is None

    def test_metadata_is_kept_with_the_commit(self, lake: Lake) -> None:
        lake.append(READINGS, readings_frame(OCTOBER), metadata={"file": "meters.csv"})
        (last,) = DeltaTable(lake.path / "readings").history(1)
        assert last["file"] == "meters.csv"

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            (lambda f: f.drop("value"), "columns missing: value"),
            (lambda f: f.with_columns(kwh=1.0), "unknown: kwh"),
            (lambda f: f.with_columns(pl.col("value").cast(pl.Float32)), "value has type Float32"),
            (lambda f: f.with_columns(value=None), "value has type Null"),
            (
                lambda f: f.with_columns(pl.col("time_utc").dt.replace_time_zone(None)),
                "time_utc has type Datetime",
            ),
            (
                lambda f: f.with_columns(pl.col("time_utc").dt.cast_time_unit("ms")),
                "time_utc has type Datetime",
            ),
            (
                lambda f: f.with_columns(meter_id=pl.lit(None, pl.String)),
                "meter_id is empty in 3 rows",
            ),
            (
                lambda f: f.with_columns(
                    pl.lit(2**60, pl.Int64).cast(pl.Datetime("us", "UTC")).alias("time_utc")
                ),
                "time_utc has years",
            ),
        ],
    )
    def test_a_frame_that_does_not_fit_is_refused_by_column(
        self, lake: Lake, change, says: str
    ) -> None:
        with pytest.raises(FrameRefused, match=says) as caught:
            lake.append(READINGS, change(readings_frame(OCTOBER)))
        assert caught.value.data == "nothing was written"
        assert caught.value.allowed
        assert lake.version(READINGS) is None

    def test_a_lake_that_cannot_be_written_is_explained(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(StorageError, match="readings") as caught:
            Lake(tmp_path / "file").append(READINGS, readings_frame(OCTOBER))
        assert not isinstance(caught.value, FrameRefused)
        assert "\n   0:" not in str(caught.value)

    @pytest.mark.parametrize("name", ["a%20b", "a[b", "a]b", "a|b", "a^b", "a\\b"])
    def test_a_path_that_the_library_cannot_open_is_refused(
        self, tmp_path: Path, name: str
    ) -> None:
        with pytest.raises(StorageError, match="path") as caught:
            Lake(tmp_path / name)
        assert "storage.path" in caught.value.todo

    def test_a_path_may_be_chinese_with_spaces_and_quotes(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path / "能源 数据 'x' #1 (a)*")
        lake.append(READINGS, readings_frame(OCTOBER), app=("spool:a", 1))
        lake.replace(READINGS, PLANT, readings_frame(NOVEMBER), months=["2026-11"])
        assert times(lake) == OCTOBER + NOVEMBER
        assert times(Lake(lake.path)) == OCTOBER + NOVEMBER

    def test_a_column_declared_later_is_added_and_empty_in_older_rows(self, lake: Lake) -> None:
        older = readings_frame(OCTOBER).drop("sequence").with_columns(month=pl.lit("2026-10"))
        write_deltalake(lake.path / "readings", older, partition_by=["plant_id", "month"])
        assert rows(lake)["sequence"].to_list() == [None] * 3
        lake.append(READINGS, readings_frame(NOVEMBER).with_columns(sequence=pl.lit(5, pl.Int64)))
        assert rows(lake)["sequence"].to_list() == [None] * 3 + [5] * 3
        with connect(lake) as sql:
            found = sql.execute("SELECT sequence FROM readings ORDER BY time_utc").fetchall()
        assert found == [(None,)] * 3 + [(5,)] * 3
        for hour in hours(8, OCTOBER[-1] + A_SECOND):
            lake.append(READINGS, readings_frame([hour]))
        assert lake.compact(READINGS).partitions == 1
        assert rows(lake)["sequence"].to_list() == [None] * 11 + [5] * 3


class TestReplace:
    def test_all_rows_of_the_plant_give_way(self, filled: Lake) -> None:
        assert filled.replace(READINGS, PLANT, readings_frame(NOVEMBER[:1], value=2.0))
        assert rows(filled).equals(readings_frame(NOVEMBER[:1], value=2.0))
        assert rows(filled, "p2").height == 3

    def test_it_is_one_commit(self, filled: Lake) -> None:
        before = filled.version(READINGS)
        filled.replace(READINGS, PLANT, readings_frame(NOVEMBER[:1], value=2.0))
        assert filled.version(READINGS) == before + 1

    def test_the_same_rows_again_make_no_version(self, filled: Lake) -> None:
        before = filled.version(READINGS)
        again = rows(filled).sample(fraction=1, shuffle=True, seed=1)
        assert not filled.replace(READINGS, PLANT, again)
        assert not filled.replace(READINGS, PLANT, rows(filled, from_utc=NOVEMBER[0]),
                                  months=["2026-11"])  # fmt: skip
        assert filled.version(READINGS) == before

    def test_one_value_that_differs_is_a_difference(self, filled: Lake) -> None:
        frame = rows(filled).with_columns(
            value=pl.when(pl.col("time_utc") == OCTOBER[1]).then(None).otherwise("value")
        )
        assert filled.replace(READINGS, PLANT, frame)
        assert rows(filled).equals(frame)
        assert not filled.replace(READINGS, PLANT, frame)

    def test_a_row_that_is_there_twice_is_a_difference(self, filled: Lake) -> None:
        twice = pl.concat([rows(filled), rows(filled).head(1)])
        assert filled.replace(READINGS, PLANT, twice)
        assert rows(filled).height == 7

    def test_months_that_stay_the_same_keep_their_files(self, filled: Lake) -> None:
        october = filled.path / "readings/plant_id=p1/month=2026-10"
        files = sorted(october.iterdir())
        frame = pl.concat([readings_frame(OCTOBER), readings_frame(NOVEMBER, value=2.0)])
        assert filled.replace(READINGS, PLANT, frame)
        assert rows(filled).equals(frame)
        assert sorted(october.iterdir()) == files

    def test_only_the_named_months_give_way(self, filled: Lake) -> None:
        new = readings_frame(NOVEMBER[:1], value=2.0)
        assert filled.replace(READINGS, PLANT, new, months=["2026-11", "2026-12"])
        assert times(filled) == [*OCTOBER, NOVEMBER[0]]

    def test_an_empty_frame_empties(self, filled: Lake) -> None:
        assert filled.replace(READINGS, PLANT, readings_frame([]), months=["2026-10"])
        assert times(filled) == NOVEMBER
        assert filled.replace(READINGS, PLANT, readings_frame([]))
        assert times(filled) == []
        assert not filled.replace(READINGS, PLANT, readings_frame([]))
        assert rows(filled, "p2").height == 3

    def test_into_an_empty_lake(self, lake: Lake) -> None:
        assert not lake.replace(READINGS, PLANT, readings_frame([]))
        assert lake.version(READINGS) is None
        assert lake.replace(READINGS, PLANT, readings_frame(OCTOBER))
        assert times(lake) == OCTOBER

    def test_rows_of_another_plant_or_month_are_refused(self, filled: Lake) -> None:
        with pytest.raises(FrameRefused, match="p2"):
            filled.replace(READINGS, PLANT, readings_frame(OCTOBER, plant="p2"))
        with pytest.raises(FrameRefused, match="2026-11"):
            filled.replace(READINGS, PLANT, readings_frame(NOVEMBER), months=["2026-10"])
        assert times(filled) == OCTOBER + NOVEMBER

    def test_another_table_by_its_own_time_column(self, lake: Lake) -> None:
        frame = pl.DataFrame(
            [(PLANT, "m1", "energy", OCTOBER[0], "kWh", 1.0, 0.0, "", 1.0, 1.0, None)],
            schema=INTERVALS.polars_schema(),
            orient="row",
        )
        assert lake.replace(INTERVALS, PLANT, frame)
        assert not lake.replace(INTERVALS, PLANT, frame)
        assert lake.scan(INTERVALS, PLANT).collect().equals(frame)
        assert lake.versions() == {"intervals": 1}
        assert lake.scan(FINDINGS, PLANT).collect().is_empty()


def test_tables_at_hand_show_what_another_writer_appends(lake: Lake) -> None:
    other = Lake(lake.path)
    with lake.at_hand():
        assert lake.version(READINGS) is None
        other.append(READINGS, readings_frame(OCTOBER))
        first = lake.version(READINGS)
        assert times(lake) == OCTOBER
        other.append(READINGS, readings_frame(NOVEMBER))
        assert times(lake, version=first) == OCTOBER
        assert times(lake) == OCTOBER + NOVEMBER
        lake.append(READINGS, readings_frame(NOVEMBER, meter="m2"))
        assert rows(lake).height == rows(other).height == 9
