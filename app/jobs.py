"""The jobs of kgce, in the order of the picture: the only place that wires the siblings together.

meters ─▶ collectors ─▶ spool ─▶ flush ─▶ lake: readings
                                               │ refresh
          production, statements ─▶ import ─▶ lake: outputs, statements
                                               ▼
          pipeline.measure ─▶ intervals, gaps ─▶ roll-up ─▶ consumption ─▶ indicators
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from importlib.metadata import version
from pathlib import Path

import polars as pl

from config.errors import StorageError
from config.site import Site
from config.tables import (
    CONSUMPTION,
    FINDINGS,
    GAPS,
    INDICATORS,
    INTERVALS,
    OUTPUTS,
    READINGS,
    STATEMENTS,
    Table,
)
from indicators.coal import add_coal
from indicators.products import product_indicators
from pipeline.measure import measure
from pipeline.periods import PERIOD_SCHEMA, By, periods
from pipeline.rollup import judged, meter_periods, node_consumption, product_output
from pipeline.rules import GRID_US, rules_of
from pipeline.tree import weights
from storage.compaction import Compacted
from storage.flush import Flushed, flush
from storage.lake import Lake
from storage.spool import Spool

FLUSH_ROWS = 200_000
LOCK_TIMEOUT_S = 60.0
CLOCK_AHEAD = timedelta(hours=1)
PUBLISHED: tuple[By, ...] = ("day", "month", "year")
SOURCES = (READINGS, OUTPUTS, STATEMENTS)


def storage_folder(site: Site, name: str = "") -> Path:
    """The folder of the plant's data, or one inside it, made if absent. Raises StorageError."""
    folder = site.storage_path / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{folder}: {error.strerror or error}",
            allowed="a folder that this user can write",
            data="nothing was written",
            todo="check storage.path in plant.yaml, and the folder's owner",
        ) from error
    return folder


def open_lake(site: Site) -> Lake:
    return Lake(site.storage_path / "lake")


def open_spool(site: Site) -> Spool:
    """The spool for writing. Raises StorageError where the folder cannot be written."""
    storage = site.plant.storage
    return Spool(
        storage_folder(site) / "spool.db",
        max_bytes=storage.spool_max_mb * 1024 * 1024,
        dedupe_s=storage.dedupe_h * 3600,
    )


def set_limits(spool: Spool, site: Site) -> None:
    """Let an open spool keep the site's limits from now on."""
    spool.max_bytes = site.plant.storage.spool_max_mb * 1024 * 1024
    spool.dedupe_us = round(site.plant.storage.dedupe_h * 3600e6)


def flush_spool(site: Site, spool: Spool, lake: Lake) -> Flushed:
    """Spool to lake, exactly once."""
    with lake.lock(LOCK_TIMEOUT_S):
        return flush(spool, lake, site.id, FLUSH_ROWS)


def compact_lake(lake: Lake, tables: Iterable[Table]) -> list[Compacted]:
    with lake.lock(LOCK_TIMEOUT_S):
        return [lake.compact(table) for table in tables if lake.version(table) is not None]


@dataclass(frozen=True)
class Figures:
    """Consumption and indicators of one kind of period, in the schemas of their tables."""

    consumption: pl.DataFrame
    indicators: pl.DataFrame


@dataclass(frozen=True)
class Refreshed:
    """What a refresh did: rows in each table, and whether any figure changed."""

    rows: dict[str, int]
    changed: tuple[str, ...]
    skipped: bool = False


def refresh(site: Site, lake: Lake, *, force: bool = False) -> Refreshed:
    """Readings, outputs and statements of the lake to published figures.

    Does nothing where neither they nor the configuration changed since the last refresh; ``force``
    computes all the same. Twice in a row, nothing changes.
    """
    with lake.lock(LOCK_TIMEOUT_S):
        origin = provenance(site, lake)
        done = site.storage_path / "refreshed.json"
        if not force and done.is_file() and done.read_text(encoding="utf-8") == origin:
            return Refreshed({}, (), skipped=True)
        measured = measure(
            lake.scan(READINGS, site.id),
            lake.scan(STATEMENTS, site.id),
            rules_of(site),
            plant_id=site.id,
            window_us=round(site.plant.quality.dip_window_h * 3600e6),
        )
        made: dict[Table, pl.DataFrame] = {
            INTERVALS: measured.intervals,
            GAPS: measured.gaps,
            FINDINGS: measured.findings,
        }
        # Written first: the figures below read what everybody else will read.
        changed = [t.name for t, frame in made.items() if lake.replace(t, site.id, frame)]
        every = [figures(site, lake, by, origin=origin) for by in PUBLISHED]
        made[CONSUMPTION] = pl.concat([one.consumption for one in every])
        made[INDICATORS] = pl.concat([one.indicators for one in every])
        for table in (CONSUMPTION, INDICATORS):
            if lake.replace(table, site.id, made[table]):
                changed.append(table.name)
        with suppress(OSError):  # it only saves the next refresh its work
            done.write_text(origin, encoding="utf-8")
    return Refreshed({table.name: len(frame) for table, frame in made.items()}, tuple(changed))


def provenance(site: Site, lake: Lake) -> str:
    """JSON that says what figures are made from: table versions, hashes, the program's version."""
    versions = lake.versions()
    return json.dumps(
        {
            "tables": {t.name: versions[t.name] for t in SOURCES if t.name in versions},
            "config": site.config_hash,
            "standards": site.library.version,
            "kgce": version("kgce"),
        },
        sort_keys=True,
    )


def figures(
    site: Site,
    lake: Lake,
    by: By,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    required_coverage_ratio: float | None = None,
    origin: str | None = None,
) -> Figures:
    """Consumption and indicators by 15min, hour, day, month or year.

    ``start`` and ``end`` (aware) default to the time that has data. Periods that reach past the
    data are clipped to it and ``partial``. ``required_coverage_ratio`` goes before the
    configuration's.
    """
    rules = rules_of(site)
    required = required_coverage_ratio
    if required is None:
        required = site.plant.quality.required_coverage_ratio
    calendar = _calendar(site, lake, by, start, end)
    by_meter = meter_periods(
        lake.scan(INTERVALS, site.id), lake.scan(GAPS, site.id), calendar, rules
    )
    nodes = node_consumption(by_meter, weights(site.plant.nodes, site.plant.meters))
    consumption = add_coal(
        judged(nodes, required).with_columns(plant_id=pl.lit(site.id)), site.library
    ).select(CONSUMPTION.names)
    product_of = pl.DataFrame(
        list(output_meters(site).items()),
        schema={"meter_id": pl.String, "product_id": pl.String},
        orient="row",
    )
    output = product_output(by_meter, product_of, lake.scan(OUTPUTS, site.id), calendar)
    outputs = (
        judged(output.rename({"quantity": "amount"}), required)
        .rename({"amount": "quantity"})
        .with_columns(plant_id=pl.lit(site.id))
    )
    indicators = product_indicators(
        consumption, outputs, site, provenance=origin or provenance(site, lake)
    )
    return Figures(
        consumption.cast(CONSUMPTION.polars_schema()).sort("node_id", "energy_code", "start_utc"),
        indicators.select(INDICATORS.names).sort("subject", "indicator", "norm", "start_utc"),
    )


def output_meters(site: Site) -> dict[str, str]:
    """The product of each meter that is read and counts as its output.

    A meter of the ledger without a connection is not read: its product's output is imported.
    """
    return {
        meter_id: meter.product
        for meter_id, meter in site.plant.meters.items()
        if meter.product is not None and meter.role == "output" and meter.connection is not None
    }


def _calendar(
    site: Site, lake: Lake, by: By, start: datetime | None, end: datetime | None
) -> pl.DataFrame:
    """The periods to compute: those asked for, inside the time that has data."""
    info = site.plant.plant
    known = data_span(site, lake)
    if known is None:
        return PERIOD_SCHEMA.to_frame()
    first, last = known
    if info.metering_since is not None:
        first = datetime.combine(info.metering_since, time(0), info.zone).astimezone(UTC)
    elif not start:
        # Without a stated first day, the time before the first reading is missing, not absent.
        around = periods(by, first, first + timedelta(seconds=1), info.zone, info.month_end_day)
        reach = periods(
            by,
            first - timedelta(days=400),
            first + timedelta(days=400),
            info.zone,
            info.month_end_day,
        ).filter(pl.col("period") == around["period"][0])
        first = reach["start_utc"][0]
    span = max(start or first, first), min(end or last, last)
    return periods(by, *span, info.zone, info.month_end_day)


def data_span(site: Site, lake: Lake) -> tuple[datetime, datetime] | None:
    """First time with data, and the last grid boundary up to which the plant was read.

    None where there is no data. Statements count where there are no readings.
    """
    # A meter whose clock runs ahead must not make everybody else look silent.
    believed = pl.col("time_utc") <= pl.col("received_utc") + CLOCK_AHEAD
    read = (
        lake.scan(READINGS, site.id)
        .filter(believed)
        .select(first=pl.col("time_utc").min(), last=pl.col("time_utc").max())
    )
    typed = lake.scan(STATEMENTS, site.id).select(
        first=pl.col("start_utc").min(), last=pl.col("end_utc").max()
    )
    for first, last in (read.collect().row(0), typed.collect().row(0)):
        if first is not None:
            us = round(last.timestamp() * 1e6) // GRID_US * GRID_US
            return first, datetime.fromtimestamp(us / 1e6, UTC)
    return None
