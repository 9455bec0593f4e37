"""Time stamps as files write them, to UTC."""

from __future__ import annotations

import polars as pl

from config.models import TimeColumns

# Years beyond these are a wrong unit (s read as ms, say), or a clock that was never set.
FIRST_YEAR, LAST_YEAR = 1970, 2199
UNIX_UNIT_US = {"s": 1_000_000, "ms": 1_000, "us": 1}
# ISO 8601, with a blank for the T. An offset makes a stamp a point in time.
_LOCAL_FORMATS = (
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%Y%m%d %H%M%S",
    "%Y%m%d %H%M",
)
_OFFSET_FORMATS = ("%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M%#z", "%Y%m%d %H%M%S%#z")
_UTC = pl.Datetime("us", "UTC")
_NAIVE = pl.Datetime("us")


def utc_times(cells: pl.DataFrame, how: TimeColumns, plant_zone: str) -> pl.DataFrame:
    """The stamps of ``cells`` (the columns that ``how`` names) as ``time_utc`` and ``reason``.

    Either is null in each row. Read, moved to the next midnight where 00:00 closes its day, and
    taken in the zone; spans are not added here. A local time that the clocks skip or pass twice
    is refused.
    """
    zone = how.timezone or plant_zone
    local, fixed = _read(cells, how)
    if how.midnight_of == "day_end":
        local = _next_midnight(local)
        fixed = _next_midnight(fixed.dt.convert_time_zone(zone)).dt.convert_time_zone("UTC")
    in_zone = local.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
    table = pl.DataFrame(
        {
            "stamp": _joined(cells, how.columns),
            "local": local,
            "time_utc": in_zone.dt.convert_time_zone("UTC").fill_null(fixed),
        }
    )
    year = pl.col("time_utc").dt.year()
    table = table.with_columns(outside=~year.is_between(FIRST_YEAR, LAST_YEAR))
    return table.select(
        time_utc=pl.when(~pl.col("outside")).then("time_utc"),
        reason=_reasons(table, how, zone),
    )


def _reasons(table: pl.DataFrame, how: TimeColumns, zone: str) -> pl.Series:
    missing = table["time_utc"].is_null() | table["outside"].fill_null(False)
    if not missing.any():
        return pl.Series("reason", [None], dtype=pl.String()).new_from_index(0, table.height)
    stamp, local = pl.col("stamp"), pl.col("local")
    earliest = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    expected = how.format or "ISO 8601"
    return table.select(
        reason=pl.when(pl.col("outside"))
        .then(pl.format(f"time {{}} is not in {FIRST_YEAR} to {LAST_YEAR}", stamp))
        .when(pl.col("time_utc").is_not_null())
        .then(None)
        .when(local.is_null())
        .then(pl.format("wrong time {}, expected {}", stamp.fill_null("(none)"), pl.lit(expected)))
        .when(earliest.is_not_null())
        .then(pl.format("the clocks of {} show {} twice", pl.lit(zone), stamp))
        .otherwise(pl.format("the clocks of {} skip {}", pl.lit(zone), stamp))
    )["reason"]


def _read(cells: pl.DataFrame, how: TimeColumns) -> tuple[pl.Series, pl.Series]:
    """Local times, and points in time (UTC); one of them is null in each row, or both."""
    first = cells[how.columns[0]]
    no_local = pl.Series([None], dtype=_NAIVE).new_from_index(0, cells.height)
    no_fixed = pl.Series([None], dtype=_UTC).new_from_index(0, cells.height)
    if len(how.columns) == 1 and isinstance(first.dtype, pl.Datetime | pl.Date):
        zone = getattr(first.dtype, "time_zone", None)
        if zone is not None:
            return no_local, first.dt.convert_time_zone("UTC").cast(_UTC)
        return first.cast(_NAIVE), no_fixed
    if how.format in UNIX_UNIT_US:
        numbers = cells.select(_number(pl.col(how.columns[0])))[how.columns[0]]
        micros = (numbers * UNIX_UNIT_US[how.format]).round().cast(pl.Int64(), strict=False)
        return no_local, micros.cast(_UTC)
    stamps = _joined(cells, how.columns)
    if how.format is None:
        return _iso(stamps)
    # Polars takes %f for nanoseconds; strftime's is a fraction of a second.
    pattern = how.format.replace(".%f", "%.f").replace("%f", "%6f").replace("%z", "%#z")
    if "%#z" in pattern:
        return no_local, _parsed(stamps, pattern, "UTC")
    return _parsed(stamps, pattern), no_fixed


def _parsed(stamps: pl.Series, pattern: str, zone: str | None = None) -> pl.Series:
    """Null where a stamp does not fit. With a zone, the pattern has the offset."""
    return stamps.str.to_datetime(pattern, time_unit="us", time_zone=zone, strict=False)


def _iso(stamps: pl.Series) -> tuple[pl.Series, pl.Series]:
    blank = stamps.str.replace(r"[Tt]", " ")
    local = pl.Series([None], dtype=_NAIVE).new_from_index(0, stamps.len())
    fixed = pl.Series([None], dtype=_UTC).new_from_index(0, stamps.len())
    for pattern in _LOCAL_FORMATS:
        if local.null_count() == 0:
            break
        local = local.fill_null(_parsed(blank, pattern))
    for pattern in _OFFSET_FORMATS:
        if local.is_null().any():
            fixed = fixed.fill_null(_parsed(blank, pattern, "UTC"))
    return local, fixed


def _joined(cells: pl.DataFrame, columns: tuple[str, ...]) -> pl.Series:
    parts = [pl.col(name).cast(pl.String()).str.strip_chars() for name in columns]
    return cells.select(stamp=pl.concat_str(parts, separator=" "))["stamp"]


def _number(column: pl.Expr) -> pl.Expr:
    return column.cast(pl.String()).str.strip_chars().cast(pl.Float64(), strict=False)


def _next_midnight(times: pl.Series) -> pl.Series:
    """Stamps of 00:00 moved a day on, by the calendar of their zone."""
    frame = pl.DataFrame({"t": times})
    at_midnight = pl.col("t").dt.time() == pl.time(0, 0)
    return frame.select(
        pl.when(at_midnight).then(pl.col("t").dt.offset_by("1d")).otherwise(pl.col("t"))
    )["t"]
