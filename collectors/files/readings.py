"""Readings from files: one meter a column (wide), or one reading a line (long)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from collectors.base import GOOD
from collectors.files.table import LINE, TEXT, ReadFile, Table, read_table, refused_frame
from collectors.files.times import utc_times
from config.errors import InputError
from config.models import ImportMapping, Meter
from config.site import Site
from config.tables import READINGS

MISSING = "missing"
FLAGGED = "flagged"
"""What the file itself says is not good, whatever its value."""
_TIME, _REASON, _METER = "\0time", "\0reason", "\0meter"
_CELL, _NUMBER, _NONE, _FIRST = "\0cell", "\0number", "\0none", "\0first"
_FLAGGED = "\0flagged"


def read_readings(
    file: Path,
    mapping: ImportMapping,
    site: Site,
    *,
    now: datetime | None = None,
    sheet: str | None = None,
) -> ReadFile:
    """Read ``file`` as ``mapping`` says, into the readings table's columns.

    A cell that stands for no value is a row with status ``missing``; one whose status the mapping
    does not call good is ``flagged``, and its value is not looked at. Refused is a line of a wrong
    number of columns or a wrong time, a cell that is no finite number, an unknown meter, and the
    second reading of a meter at one time. ``now``: the time of receipt, default the machine's.

    Raises InputError for a file that cannot be read or has not the mapping's columns, and for
    stamps that mark the start of a span where the ledger states no span.
    """
    wanted = [*mapping.time.columns, *mapping.values.values(), *mapping.statuses]
    if mapping.meter_column is not None and mapping.value_column is not None:
        wanted += [mapping.meter_column, mapping.value_column]
    table = read_table(file, wanted, delimiter=mapping.delimiter, sheet=sheet)
    return readings_of(table, mapping, site, file.name, now=now)


def readings_of(
    table: Table, mapping: ImportMapping, site: Site, source: str, *, now: datetime | None = None
) -> ReadFile:
    """`read_readings` of cells that are there already."""
    whole, flawed = _without_flaws(table, mapping)
    rows, refused = _with_time(whole, mapping, site)
    parts = list(_long(rows, mapping, site) if mapping.meter_column else _wide(rows, mapping, site))
    read = _without_repeats(_Part.joined(parts))
    received = now or datetime.now(UTC)
    return ReadFile(
        _in_schema(read.rows, site, source, received),
        read.rows.select(line=LINE, text=TEXT),
        pl.concat([table.refused, flawed, refused, read.refused]).sort("line"),
        table.digest,
        table.sheet,
    )


def _without_flaws(table: Table, mapping: ImportMapping) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows whose cells can be believed. A cell that shows an error is left in: it is no number,
    unless the mapping says that it stands for none."""
    shown = pl.col("reason").str.contains(" holds ") & ~pl.col("column").is_in(mapping.time.columns)
    flaws = table.flaws.filter(~shown).unique("line", keep="first", maintain_order=True)
    wrong = table.rows.join(flaws, left_on=LINE, right_on="line")
    rows = table.rows.filter(~pl.col(LINE).is_in(flaws["line"].implode()))
    return rows, refused_frame(wrong.select(LINE, TEXT, "reason"), pl.col("reason"))


@dataclass(frozen=True)
class _Part:
    """Rows (LINE, TEXT, _METER, _TIME, _NUMBER: null is missing, _FLAGGED) and refused lines."""

    rows: pl.DataFrame
    refused: pl.DataFrame

    @staticmethod
    def joined(parts: Iterable[_Part]) -> _Part:
        parts = list(parts)
        return _Part(
            pl.concat([part.rows for part in parts]), pl.concat([part.refused for part in parts])
        )


def _with_time(
    rows: pl.DataFrame, mapping: ImportMapping, site: Site
) -> tuple[pl.DataFrame, pl.DataFrame]:
    times = utc_times(rows, mapping.time, site.plant.plant.timezone)
    timed = rows.with_columns(times["time_utc"].alias(_TIME), times["reason"].alias(_REASON))
    wrong = timed.filter(pl.col(_REASON).is_not_null())
    return timed.filter(pl.col(_REASON).is_null()), refused_frame(wrong, pl.col(_REASON))


def _wide(rows: pl.DataFrame, mapping: ImportMapping, site: Site) -> Iterator[_Part]:
    for meter_id, column in mapping.values.items():
        meter = site.plant.meters.get(meter_id)
        if meter is None:
            raise InputError(
                f"column {column!r} is for meter {meter_id!r}, which is not in the ledger",
                allowed=", ".join(site.plant.meters),
                data="nothing was imported",
            )
        cells = rows.select(
            LINE,
            TEXT,
            pl.lit(meter_id).alias(_METER),
            (pl.col(_TIME) + _span(mapping, meter)).alias(_TIME),
            pl.col(column).alias(_CELL),
            _flagged(rows, mapping, mapping.status_columns.get(meter_id)),
        )
        yield _numbers(cells, mapping, f"column {column!r}: ")


def _long(rows: pl.DataFrame, mapping: ImportMapping, site: Site) -> Iterator[_Part]:
    assert mapping.meter_column is not None
    assert mapping.value_column is not None
    named = rows.select(
        LINE,
        TEXT,
        pl.col(mapping.meter_column).cast(pl.String()).str.strip_chars().alias(_METER),
        _TIME,
        pl.col(mapping.value_column).alias(_CELL),
        _flagged(rows, mapping),
    )
    known = pl.col(_METER).is_in(list(site.plant.meters)).fill_null(False)
    unknown = named.filter(~known)
    reason = pl.format("unknown meter {}", pl.col(_METER).fill_null("(none)"))
    good = named.filter(known)
    spans = {
        meter_id: _span(mapping, site.plant.meters[meter_id]) for meter_id in good[_METER].unique()
    }
    if mapping.time.label == "start" and spans:
        span = pl.col(_METER).replace_strict(spans, return_dtype=pl.Duration("us"))
        good = good.with_columns(pl.col(_TIME) + span)
    part = _numbers(good, mapping, "")
    yield _Part(part.rows, pl.concat([refused_frame(unknown, reason), part.refused]))


def _span(mapping: ImportMapping, meter: Meter) -> pl.Expr:
    """What is added to a stamp so that it marks the end of what the reading stands for."""
    if mapping.time.label != "start":
        return pl.lit(timedelta(), pl.Duration("us"))
    if meter.span_minutes is None:
        raise InputError(
            f"label: start, but meter {meter.meter_id!r} states no span_minutes",
            allowed="a stamp can mark the start of a span only where the ledger states the span",
            data="nothing was imported",
            todo="state span_minutes, or label the stamps end or instant",
        )
    return pl.lit(timedelta(minutes=meter.span_minutes), pl.Duration("us"))


def _flagged(rows: pl.DataFrame, mapping: ImportMapping, own: str | None = None) -> pl.Expr:
    """_FLAGGED: whether the file says that the value is not good. ``own``: the value's column."""
    column = own or mapping.status_column
    if column is None:
        return pl.lit(False).alias(_FLAGGED)
    cell = pl.col(column)
    if rows.schema[column].is_float():  # a quality of 192 that a workbook or Parquet holds as 192.0
        whole = cell.cast(pl.Int64, strict=False)
        cell = pl.when(whole == cell).then(whole.cast(pl.String)).otherwise(cell.cast(pl.String))
    text = cell.cast(pl.String).str.strip_chars().str.to_lowercase().fill_null("")
    good = [word.strip().lower() for word in mapping.good]
    return (~text.is_in(good)).alias(_FLAGGED)


def _numbers(cells: pl.DataFrame, mapping: ImportMapping, place: str) -> _Part:
    """_CELL read as _NUMBER. ``place`` goes before the reason of what is refused."""
    typed = cells.schema[_CELL].is_numeric()
    if typed:
        number = pl.col(_CELL).cast(pl.Float64())
        missing = pl.col(_CELL).is_null() | (number.is_nan() & ("NaN" in mapping.missing))
    else:
        text = pl.col(_CELL).cast(pl.String()).str.strip_chars()
        number = text.cast(pl.Float64(), strict=False)
        missing = text.is_null() | text.is_in([word.strip() for word in mapping.missing])
    missing = pl.col(_FLAGGED) | missing.fill_null(True)
    cells = cells.with_columns(pl.when(~missing).then(number).alias(_NUMBER), missing.alias(_NONE))
    right = pl.col(_NONE) | pl.col(_NUMBER).is_finite().fill_null(False)
    written = pl.col(_CELL).cast(pl.String())
    reason = (
        pl.when(pl.col(_NUMBER).is_null())
        .then(pl.format("{}{} is not a number", pl.lit(place), written))
        .otherwise(pl.format("{}{} is not finite", pl.lit(place), written))
    )
    return _Part(
        cells.filter(right).select(LINE, TEXT, _METER, _TIME, _NUMBER, _FLAGGED),
        refused_frame(cells.filter(~right), reason),
    )


def _without_repeats(part: _Part) -> _Part:
    """The first reading of a meter at a time stands; a later one is refused."""
    key = [_METER, _TIME]
    if not part.rows.select(pl.struct(key).is_duplicated().any()).item():
        return part
    first = part.rows.sort(LINE).with_columns(pl.col(LINE).first().over(key).alias(_FIRST))
    repeats = first.filter(pl.col(LINE) != pl.col(_FIRST))
    reason = pl.format("meter {}: repeats the time of line {}", _METER, _FIRST)
    return _Part(
        first.filter(pl.col(LINE) == pl.col(_FIRST)).drop(_FIRST),
        pl.concat([part.refused, refused_frame(repeats, reason)]),
    )


def _in_schema(rows: pl.DataFrame, site: Site, source: str, received: datetime) -> pl.DataFrame:
    quantities = {meter_id: m.quantity_name for meter_id, m in site.plant.meters.items()}
    good = pl.col(_NUMBER).is_not_null()
    return rows.select(
        plant_id=pl.lit(site.id),
        meter_id=pl.col(_METER),
        quantity=pl.col(_METER).replace_strict(quantities, return_dtype=pl.String()),
        time_utc=pl.col(_TIME),
        value=pl.col(_NUMBER),
        status=pl.when(good)
        .then(pl.lit(GOOD))
        .when(_FLAGGED)
        .then(pl.lit(FLAGGED))
        .otherwise(pl.lit(MISSING)),
        source=pl.lit(source),
        received_utc=pl.lit(received),
        sequence=pl.lit(None),
    ).cast(READINGS.polars_schema())
