"""Days of the lake that are put anew: what differs is written, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from config.tables import CONSUMPTION, INTERVALS, READINGS, TABLES, Table
from storage.datafiles import data_files
from storage.frames import FrameRefused, with_month
from storage.lake import Lake
from storage.rewriting import Rewritten
from tests.storage.readings import PLANT, START, hours, readings_frame

A_DAY = timedelta(days=1)
DAYS = [(START + n * A_DAY).date() for n in range(-2, 4)]
"""From 29 September, over a month's end, to 4 October."""


def intervals(
    days: list[date],
    value: float = 1.0,
    *,
    plant: str = PLANT,
    meters: tuple[str, ...] = ("m1", "m2"),
) -> pl.DataFrame:
    """An amount for each hour of the days."""
    starts = [t for d in days for t in hours(24, datetime(d.year, d.month, d.day, tzinfo=UTC))]
    return pl.DataFrame(
        [
            (plant, meter, "energy", start, "kWh", value, 0.0, "", 1.0, value, None)
            for meter in meters
            for start in starts
        ],
        schema=INTERVALS.polars_schema(),
        orient="row",
    )


def rows(lake: Lake, plant: str = PLANT, **span) -> pl.DataFrame:
    return lake.scan(INTERVALS, plant, **span).collect().sort(INTERVALS.key)


def files(lake: Lake) -> dict[str, date | None]:
    """The one day of each file of the plant."""
    delta = DeltaTable(lake.path / "intervals")
    return {f.path: f.one_day for f in data_files(INTERVALS, delta) if f.plant_id == PLANT}


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """Six days of p1, and the same of p2."""
    assert lake.rewrite(INTERVALS, PLANT, intervals(DAYS), days=DAYS).changed == 6 * 48
    lake.append(INTERVALS, intervals(DAYS, plant="p2"))
    return lake


class TestWhatIsWritten:
    def test_the_first_rewrite_makes_a_file_for_each_day(self, lake: Lake) -> None:
        done = lake.rewrite(INTERVALS, PLANT, intervals(DAYS), days=DAYS)
        assert done == Rewritten(changed=6 * 48, written=6 * 48, days=tuple(DAYS))
        assert sorted(files(lake).values()) == DAYS
        assert rows(lake).equals(intervals(DAYS).sort(INTERVALS.key))

    def test_only_the_days_given_are_touched(self, filled: Lake) -> None:
        before = files(filled)
        done = filled.rewrite(INTERVALS, PLANT, intervals(DAYS[1:3], 2.0), days=DAYS[1:3])
        assert done == Rewritten(changed=96, written=96, days=(DAYS[1], DAYS[2]))
        assert rows(filled).equals(
            pl.concat([intervals([DAYS[0], *DAYS[3:]]), intervals(DAYS[1:3], 2.0)]).sort(
                INTERVALS.key
            )
        )
        kept = {path for path, day in before.items() if day not in DAYS[1:3]}
        assert files(filled).keys() & before.keys() == kept
        assert rows(filled, "p2").equals(intervals(DAYS, plant="p2").sort(INTERVALS.key))

    def test_it_is_one_commit(self, filled: Lake) -> None:
        before = filled.version(INTERVALS)
        filled.rewrite(INTERVALS, PLANT, intervals(DAYS, 2.0), days=DAYS, metadata={"why": "late"})
        assert filled.version(INTERVALS) == before + 1
        (last,) = DeltaTable(filled.path / "intervals").history(1)
        assert last["why"] == "late"

    def test_days_that_stay_the_same_are_not_written(self, filled: Lake) -> None:
        before, version = files(filled), filled.version(INTERVALS)
        shuffled = intervals(DAYS).sample(fraction=1, shuffle=True, seed=1)
        assert filled.rewrite(INTERVALS, PLANT, shuffled, days=DAYS) == Rewritten(0, 0, ())
        assert (files(filled), filled.version(INTERVALS)) == (before, version)
        one = shuffled.with_columns(
            measured=pl.when(
                pl.col("interval_start_utc") == datetime(2026, 10, 1, 5, tzinfo=UTC),
                pl.col("meter_id") == "m2",
            )
            .then(7.0)
            .otherwise("measured")
        )
        assert filled.rewrite(INTERVALS, PLANT, one, days=DAYS) == Rewritten(1, 48, (START.date(),))
        assert len(files(filled).keys() - before.keys()) == 1

    def test_rows_inserted_updated_and_deleted_are_counted_by_key(self, filled: Lake) -> None:
        day = [DAYS[3]]
        new = pl.concat(
            [
                intervals(day).filter(pl.col("meter_id") == "m1"),  # m2's 24 are deleted
                intervals(day, 3.0, meters=("m3",)),  # 24 inserted
            ]
        ).with_columns(high=pl.when(pl.col("interval_start_utc").dt.hour() < 2).then(9.0))
        done = filled.rewrite(INTERVALS, PLANT, new, days=day)
        assert done == Rewritten(changed=24 + 24 + 2, written=48, days=tuple(day))
        assert rows(filled, from_utc=START + A_DAY, to_utc=START + 2 * A_DAY).equals(
            new.sort(INTERVALS.key)
        )

    def test_a_day_without_rows_is_emptied(self, filled: Lake) -> None:
        done = filled.rewrite(INTERVALS, PLANT, intervals([]), days=DAYS[:2])
        assert done == Rewritten(changed=96, written=0, days=(DAYS[0], DAYS[1]))
        assert rows(filled).equals(intervals(DAYS[2:]).sort(INTERVALS.key))

    def test_a_row_that_is_there_twice_is_a_difference(self, filled: Lake) -> None:
        twice = pl.concat([intervals(DAYS[:1]), intervals(DAYS[:1]).head(1)])
        assert filled.rewrite(INTERVALS, PLANT, twice, days=DAYS[:1]).changed == 1
        assert filled.rewrite(INTERVALS, PLANT, twice, days=DAYS[:1]).changed == 0
        assert filled.rewrite(INTERVALS, PLANT, intervals(DAYS[:1]), days=DAYS[:1]).changed == 1
        assert rows(filled).equals(intervals(DAYS).sort(INTERVALS.key))

    def test_nothing_into_an_empty_lake_makes_no_table(self, lake: Lake) -> None:
        assert lake.rewrite(INTERVALS, PLANT, intervals([]), days=DAYS) == Rewritten(0, 0, ())
        assert lake.rewrite(INTERVALS, PLANT, intervals([]), days=[]) == Rewritten(0, 0, ())
        assert lake.version(INTERVALS) is None

    def test_the_edges_of_a_day_are_its_own(self, lake: Lake) -> None:
        one = timedelta(microseconds=1)
        edge = [START - one, START, START + A_DAY - one, START + A_DAY]
        lake.append(READINGS, readings_frame(edge))
        new = readings_frame(edge[1:3], value=2.0)
        assert lake.rewrite(READINGS, PLANT, new, days=[START.date()]).changed == 2
        found = lake.scan(READINGS, PLANT).collect().sort("time_utc")
        assert found["time_utc"].to_list() == edge
        assert found["value"].to_list() == [1.0, 2.0, 2.0, 1.0]


class TestEveryTable:
    """Whatever its columns are, and whether or not its key has the time in it."""

    def made(self, table: Table, days: list[date], value: float = 1.0) -> pl.DataFrame:
        """Two rows for each day, which differ in all columns but those of one value."""
        numbered = [
            (n, datetime(d.year, d.month, d.day, 12 * half, tzinfo=UTC))
            for n, (d, half) in enumerate((d, half) for d in days for half in (0, 1))
        ]
        kinds: dict[str, Callable[[int, datetime], object]] = {
            "string": lambda n, _time: f"text {n}",
            "float": lambda _n, _time: value,
            "int": lambda n, _time: n,
            "time": lambda _n, time: time,
        }
        rows = {c.name: [kinds[c.type](n, time) for n, time in numbered] for c in table.columns}
        rows["plant_id"] = [PLANT] * len(numbered)
        return pl.DataFrame(rows, schema=table.polars_schema())

    @pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
    def test_rows_come_and_change_and_go(self, lake: Lake, table: Table) -> None:
        def rows() -> pl.DataFrame:
            return lake.scan(table, PLANT).collect().sort(table.names)

        first = self.made(table, DAYS)
        assert lake.rewrite(table, PLANT, first, days=DAYS) == Rewritten(12, 12, tuple(DAYS))
        assert rows().equals(first.sort(table.names))
        assert lake.rewrite(table, PLANT, first, days=DAYS) == Rewritten(0, 0, ())
        day = pl.col(table.time_column).dt.date() == DAYS[1]
        if any(column.type == "float" for column in table.columns):
            other = pl.concat([first.filter(~day), self.made(table, DAYS, 2.0).filter(day)])
            assert lake.rewrite(table, PLANT, other, days=DAYS) == Rewritten(2, 2, (DAYS[1],))
            assert rows().equals(other.sort(table.names))
            assert lake.rewrite(table, PLANT, first, days=DAYS).changed == 2
        less = first.filter(~day)
        assert lake.rewrite(table, PLANT, less, days=DAYS) == Rewritten(2, 0, (DAYS[1],))
        assert rows().equals(less.sort(table.names))

    def test_a_row_that_moves_to_another_day(self, lake: Lake) -> None:
        assert CONSUMPTION.time_column not in CONSUMPTION.key
        first = self.made(CONSUMPTION, DAYS)
        lake.rewrite(CONSUMPTION, PLANT, first, days=DAYS)
        moved = first.with_columns(
            start_utc=pl.when(pl.col("period") == "text 0")
            .then(pl.lit(START, pl.Datetime("us", "UTC")))
            .otherwise("start_utc")
        )
        done = lake.rewrite(CONSUMPTION, PLANT, moved, days=DAYS)
        assert done == Rewritten(changed=1, written=4, days=(DAYS[0], DAYS[2]))
        found = lake.scan(CONSUMPTION, PLANT).collect()
        assert found.sort(CONSUMPTION.names).equals(moved.sort(CONSUMPTION.names))


class TestIgnoring:
    def test_a_row_that_differs_only_in_ignored_columns_keeps_its_old_content(
        self, filled: Lake
    ) -> None:
        day = DAYS[:1]
        new = intervals(day).with_columns(imputation_code=pl.lit("new"))
        quiet = filled.rewrite(INTERVALS, PLANT, new, days=day, ignoring=["imputation_code"])
        assert quiet == Rewritten(0, 0, ())
        new = new.with_columns(
            measured=pl.when(pl.col("meter_id") == "m1").then(5.0).otherwise("measured")
        )
        done = filled.rewrite(INTERVALS, PLANT, new, days=day, ignoring=["imputation_code"])
        assert (done.changed, done.written) == (24, 48)
        found = rows(filled, to_utc=START - A_DAY)
        assert found.group_by("meter_id", "measured", "imputation_code").len().sort(
            "meter_id"
        ).rows() == [("m1", 5.0, "new", 24), ("m2", 1.0, "", 24)]


class TestRefused:
    def test_rows_of_other_days_or_plants(self, filled: Lake) -> None:
        with pytest.raises(FrameRefused, match="2026-10-02"):
            filled.rewrite(INTERVALS, PLANT, intervals(DAYS), days=DAYS[:3])
        with pytest.raises(FrameRefused, match="p2"):
            filled.rewrite(INTERVALS, PLANT, intervals(DAYS, plant="p2"), days=DAYS)
        assert rows(filled).equals(intervals(DAYS).sort(INTERVALS.key))

    def test_a_column_to_ignore_that_is_not_there(self, filled: Lake) -> None:
        with pytest.raises(FrameRefused, match="provenance"):
            filled.rewrite(INTERVALS, PLANT, intervals(DAYS), days=DAYS, ignoring=["provenance"])


class TestWithOthers:
    def compacted(self, lake: Lake) -> Lake:
        october = [date(2026, 10, n) for n in range(1, 13)]
        lake.rewrite(INTERVALS, PLANT, intervals(october), days=october)
        assert lake.compact(INTERVALS).partitions == 1
        assert len(files(lake)) == 1
        return lake

    def test_a_day_of_a_compacted_month(self, lake: Lake) -> None:
        october = [date(2026, 10, n) for n in range(1, 13)]
        self.compacted(lake)
        done = lake.rewrite(INTERVALS, PLANT, intervals(october[4:5], 2.0), days=october[4:5])
        assert done == Rewritten(changed=48, written=12 * 48, days=(october[4],))
        # The day is a file of its own now, and lies in neither of the two beside it.
        assert list(files(lake).values()).count(october[4]) == 1
        assert len(files(lake)) == 3
        done = lake.rewrite(INTERVALS, PLANT, intervals(october[4:5], 3.0), days=october[4:5])
        assert done.written == 48
        done = lake.rewrite(INTERVALS, PLANT, intervals(october[4:5], 2.0), days=october[4:5])
        done = lake.rewrite(INTERVALS, PLANT, intervals(october[6:7], 2.0), days=october[6:7])
        assert done.written == 7 * 48
        expected = intervals([d for d in october if d not in (october[4], october[6])])
        new = intervals([october[4], october[6]], 2.0)
        assert rows(lake).equals(pl.concat([expected, new]).sort(INTERVALS.key))

    def test_compaction_leaves_the_days_of_a_month_that_goes_on(self, lake: Lake) -> None:
        first = datetime.now(UTC).date().replace(day=1)
        month = [first + n * A_DAY for n in range(20)]
        lake.rewrite(INTERVALS, PLANT, intervals(month), days=month)
        assert lake.compact(INTERVALS).partitions == 0
        assert sorted(files(lake).values()) == month

    def test_files_without_statistics_are_read(self, lake: Lake) -> None:
        path = lake.path / "intervals"
        write_deltalake(
            path,
            with_month(INTERVALS, intervals(DAYS)),
            partition_by=["plant_id", "month"],
            configuration={"delta.dataSkippingNumIndexedCols": "0"},
        )
        assert all(f.first is None for f in data_files(INTERVALS, DeltaTable(path)))
        done = lake.rewrite(INTERVALS, PLANT, intervals(DAYS[3:4], 2.0), days=DAYS[3:4])
        assert done.changed == 48
        expected = pl.concat([intervals([*DAYS[:3], *DAYS[4:]]), intervals(DAYS[3:4], 2.0)])
        assert rows(lake).equals(expected.sort(INTERVALS.key))

    @pytest.mark.parametrize("other", ["append", "rewrite", "compact"])
    def test_who_comes_between_look_and_write_is_seen(self, lake: Lake, other: str) -> None:
        october = [date(2026, 10, n) for n in range(1, 13)]
        lake.rewrite(INTERVALS, PLANT, intervals(october), days=october)
        day = october[3:4]

        class Overtaken(Lake):
            overtakings = 1

            def _trying(self, table, write):
                def overtaken(delta):
                    if self.overtakings:
                        self.overtakings -= 1
                        match other:
                            case "append":
                                lake.append(INTERVALS, intervals(day, 9.0, meters=("m9",)))
                            case "rewrite":
                                lake.rewrite(INTERVALS, PLANT, intervals(day, 9.0), days=day)
                            case "compact":
                                assert lake.compact(INTERVALS).partitions == 1
                    return write(delta)

                return super()._trying(table, overtaken)

        done = Overtaken(lake.path).rewrite(INTERVALS, PLANT, intervals(day, 2.0), days=day)
        assert done.changed == (72 if other == "append" else 48)
        expected = [intervals([d for d in october if d not in day]), intervals(day, 2.0)]
        assert rows(lake).equals(pl.concat(expected).sort(INTERVALS.key))

    def test_the_library_refuses_to_replace_what_was_compacted_meanwhile(self, lake: Lake) -> None:
        """With its own tries it would see no conflict, and the rows would be there twice."""
        october = [date(2026, 10, n) for n in range(1, 13)]
        lake.rewrite(INTERVALS, PLANT, intervals(october), days=october)

        class Overtaken(Lake):
            overtakings = 1

            def _commit(self, *arguments) -> None:
                if self.overtakings:
                    self.overtakings -= 1
                    assert lake.compact(INTERVALS).partitions == 1
                super()._commit(*arguments)

        new = intervals(october, 2.0)
        assert Overtaken(lake.path).replace(INTERVALS, PLANT, new)
        assert rows(lake).equals(new.sort(INTERVALS.key))

    def test_two_compactions_at_once_merge_once(self, lake: Lake, monkeypatch) -> None:
        from storage import compaction

        october = [date(2026, 10, n) for n in range(1, 13)]
        lake.rewrite(INTERVALS, PLANT, intervals(october), days=october)
        commit = compaction.commit_actions
        late: list[bool] = []

        def overtaken(folder, delta, actions) -> None:
            if not late:
                late.append(True)
                assert lake.compact(INTERVALS).partitions == 1
            commit(folder, delta, actions)

        monkeypatch.setattr(compaction, "commit_actions", overtaken)
        assert lake.compact(INTERVALS).partitions == 0
        assert rows(lake).equals(intervals(october).sort(INTERVALS.key))
        assert len(files(lake)) == 1


class TestOlderTables:
    def test_a_table_and_files_older_than_a_column(self, lake: Lake, tmp_path: Path) -> None:
        path = lake.path / "intervals"
        older = with_month(INTERVALS, intervals(DAYS)).drop("high")
        write_deltalake(path, older, partition_by=["plant_id", "month"])
        done = lake.rewrite(INTERVALS, PLANT, intervals(DAYS[3:4], 2.0), days=DAYS[3:4])
        assert done.changed == 48
        expected = pl.concat([intervals([*DAYS[:3], *DAYS[4:]]), intervals(DAYS[3:4], 2.0)])
        assert rows(lake).equals(expected.sort(INTERVALS.key))
        assert "high" in [field.name for field in DeltaTable(path).schema().fields]
