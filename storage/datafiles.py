"""The data files of a Delta table: what the log says of them, their rows, new ones.

A file lies in one partition, a plant's UTC month, and lacks its columns. Files that are written
here are named in the log by an action of the caller; what a crash leaves unnamed, vacuum deletes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote
from uuid import uuid4

import polars as pl
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from config.tables import Table, month_of
from storage.frames import MONTH, stored_schema

COMPRESSION_LEVEL = 3
_STATISTICS_SLACK = timedelta(seconds=1)
"""Delta keeps the least and greatest time of a file to the millisecond only."""


class DataFile(NamedTuple):
    """A file of a table's version; ``first`` and ``last`` are the UTC days of its rows.

    Both are None where the log does not say.
    """

    path: str
    plant_id: str
    month: str
    rows: int
    size: int
    first: date | None
    last: date | None

    def meets(self, days: Collection[date]) -> bool:
        """Whether it can hold rows of these days."""
        if self.first is None or self.last is None:
            return any(month_of_day(day) == self.month for day in days)
        return any(self.first <= day <= self.last for day in days)

    @property
    def one_day(self) -> date | None:
        """The day that all its rows lie in; None where there is no such day."""
        return self.first if self.first == self.last else None

    def removal(self, *, data_change: bool = True) -> RemoveAction:
        return RemoveAction(
            path=self.path,
            data_change=data_change,
            deletion_timestamp=round(time.time() * 1000),
            size=self.size,
            partition_values={"plant_id": self.plant_id, MONTH: self.month},
        )


def data_files(table: Table, delta: DeltaTable) -> list[DataFile]:
    """The files of the version that ``delta`` stands at."""
    actions = pl.DataFrame(delta.get_add_actions(flatten=True))
    days = [
        pl.col(name).dt.date() if name in actions.columns else pl.lit(None, pl.Date).alias(name)
        for name in (f"min.{table.time_column}", f"max.{table.time_column}")
    ]
    known = actions.select(
        "path",
        "partition.plant_id",
        f"partition.{MONTH}",
        pl.col("num_records").fill_null(0),
        "size_bytes",
        *days,
    )
    return [DataFile(*row) for row in known.iter_rows()]


def month_of_day(day: date) -> str:
    """The partition of a UTC day."""
    return day.strftime("%Y-%m")


def files_of(delta: DeltaTable, predicate: str | None) -> list[Path]:
    """The files that can hold rows for which ``predicate``, SQL, is true."""
    # The library escapes the folder's part of the address, and plant ids and months need none.
    return [Path(unquote(uri)) for uri in delta.file_uris(file_pruning_predicate=predicate)]


def months_of(delta: DeltaTable, plant_id: str) -> set[str]:
    """The months of which the table holds rows of a plant."""
    partitions = delta.partitions(file_pruning_predicate=f"plant_id = {text(plant_id)}")
    return {partition[MONTH] for partition in partitions}


def rows_of(table: Table, plant_id: str, paths: list[Path]) -> pl.LazyFrame:
    """The rows of a plant's data files, in the declared columns."""
    if not paths:
        return pl.LazyFrame(schema=table.polars_schema())
    # As fast as scan_delta, and it reads files older than a column of the declared schema.
    rows = pl.scan_parquet(
        paths,
        schema=stored_schema(table),
        glob=False,
        hive_partitioning=False,
        missing_columns="insert",
        extra_columns="ignore",
    )
    return rows.with_columns(pl.lit(plant_id).alias("plant_id")).select(table.names)


def write_file(
    table: Table, folder: Path, rows: pl.DataFrame, month: str, *, data_change: bool = True
) -> AddAction:
    """Write rows of one plant and month, with their statistics, as a new file of the table.

    Not synced: ``sync_commits`` does that for all files of a commit. Raises OSError.
    """
    plant_id = rows["plant_id"][0]
    path = f"plant_id={plant_id}/{MONTH}={month}/part-{uuid4()}.zstd.parquet"
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    rows.select(stored_schema(table).names()).write_parquet(
        file, compression="zstd", compression_level=COMPRESSION_LEVEL
    )
    return AddAction(
        path=path,
        size=file.stat().st_size,
        partition_values={"plant_id": plant_id, MONTH: month},
        modification_time=round(time.time() * 1000),
        data_change=data_change,
        stats=json.dumps(_statistics(table, rows)),
    )


def _statistics(table: Table, rows: pl.DataFrame) -> dict[str, Any]:
    """What lets readers pass a file over: the least and greatest of the key and the time."""
    names = [n for n in {*table.key, table.time_column} if n != "plant_id"]
    return {
        "numRecords": rows.height,
        "minValues": {name: _plain(rows[name].min()) for name in names},
        "maxValues": {name: _plain(rows[name].max()) for name in names},
        "nullCount": {name: rows[name].null_count() for name in names},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):  # cut to milliseconds, as the Delta protocol says
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value


def within(table: Table, plant_id: str, from_utc: datetime | None, to_utc: datetime | None) -> str:
    """SQL for files that can hold rows of the span, by partition and statistics; never too few."""
    parts = [f"plant_id = {text(plant_id)}"]
    for end, sign, slack in (
        (from_utc, ">=", -_STATISTICS_SLACK),
        (to_utc, "<=", _STATISTICS_SLACK),
    ):
        if end is not None:
            time_utc = end.astimezone(UTC) + slack
            parts.append(f"{MONTH} {sign} '{month_of(time_utc)}'")
            parts.append(f"{table.time_column} {sign} '{time_utc.strftime('%Y-%m-%dT%H:%M:%S')}Z'")
    return " AND ".join(parts)


def in_months(plant_id: str, names: Iterable[str]) -> str:
    """SQL for a plant's months."""
    listed = ", ".join(text(name) for name in names)
    return f"plant_id = {text(plant_id)} AND {MONTH} IN ({listed})"


def text(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("'", "''") + "'"
