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
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import polars as pl

from app.balancing import balance
from app.calendar import data_span
from app.figures import Figures, by_meter, figures_of, only, output_meters, outputs_of
from app.loss_booking import book_losses
from app.measuring import remeasure, remeasure_virtual
from app.news import SOURCES, News, everything, joined, news_of
from app.progress import Progress, begin, read_progress, was_cut_short
from app.publishing import PUBLISHED, compute, put, sum_meters, targets, with_days
from app.revising import Entry, closed_periods
from config.errors import StorageError
from config.site import Site
from config.tables import Table
from pipeline.periods import By
from pipeline.rules import rules_of
from pipeline.virtual import rolled_up, virtual_rules_of
from storage.compaction import Compacted
from storage.flush import Flushed, flush
from storage.lake import Lake
from storage.spool import Spool

__all__ = ["PUBLISHED", "SOURCES", "Figures", "data_span", "output_meters"]

FLUSH_ROWS = 200_000
LOCK_TIMEOUT_S = 60.0
PROGRESS = "progress.parquet"
LATER = "readings, entries or corrections that came later"
CONFIGURED = "the configuration, the standards data or the program changed"


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
    return Lake(site.lake_path)


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


def keep_account(site: Site, spool: Spool, lake: Lake) -> int:
    """The spool's loss account to the table ``losses``; the number of rows written."""
    with lake.lock(LOCK_TIMEOUT_S):
        return book_losses(site, spool, lake)


def compact_lake(lake: Lake, tables: Iterable[Table]) -> list[Compacted]:
    with lake.lock(LOCK_TIMEOUT_S):
        return [lake.compact(table) for table in tables if lake.version(table) is not None]


@dataclass(frozen=True)
class Refreshed:
    """What a refresh did: rows that differ from before, by table."""

    rows: dict[str, int]
    skipped: bool = False

    @property
    def changed(self) -> tuple[str, ...]:
        """Names of the tables in which something differs."""
        return tuple(name for name, rows in self.rows.items() if rows)


def refresh(site: Site, lake: Lake, *, force: bool = False) -> Refreshed:
    """Readings, outputs, statements and corrections of the lake to published figures.

    Only what depends on rows that came since the last refresh is computed; everything where the
    configuration changed, or with ``force``. Either way the figures are the same to the last bit.
    Twice in a row, nothing changes.
    """
    with lake.lock(LOCK_TIMEOUT_S), lake.at_hand():
        file = storage_folder(site) / PROGRESS
        anew = force or was_cut_short(file)
        progress = None if anew else read_progress(file, origin(site))
        news = None if progress is None else news_of(site, lake, progress)
        if progress is not None and news is not None:
            if not news.nothing:
                begin(file)
                rows = _advance(site, lake, progress, news, every=False)
            elif news.versions == progress.versions:
                return Refreshed({}, skipped=True)
            else:
                rows = {}
        else:
            progress, news = Progress(origin(site)), everything(site, lake)
            begin(file)
            rows = _advance(site, lake, progress, news, every=True)
        progress.versions = news.versions
        progress.save(file)
    return Refreshed(rows, skipped=news.nothing)


def _advance(
    site: Site, lake: Lake, progress: Progress, news: News, *, every: bool
) -> dict[str, int]:
    """Bring the tables up to the news; rows that differ, by table."""
    rules = rules_of(site)
    measured = remeasure(site, lake, progress, news.touched, rules)
    virtual = virtual_rules_of(site)
    changes = pl.concat(
        [measured.changes, remeasure_virtual(site, lake, measured.changes, virtual, every=every)]
    )
    rules = [*rules, *rolled_up(virtual)]
    before, progress.span = progress.span, joined(progress.span, news.span)
    todo = targets(site, before, progress.span, changes, news.entered, every=every)
    summed = sum_meters(site, lake, progress, todo, rules, every=every)
    balanced = balance(site, lake, progress.span, todo, rules, every=every)
    todo = with_days(site, progress.span, todo)
    made = compute(site, lake, todo, rules, provenance(site, lake))
    kind, reason = ("configuration", CONFIGURED) if every else ("data", LATER)
    entry = Entry(kind, reason, "kgce", datetime.now(UTC))
    closed = closed_periods(lake, site.id)
    published = put(site, lake, todo, made, entry, every=every, closed=closed)
    return {**measured.rows, "meter_periods": summed, "balances": balanced, **published}


def origin(site: Site) -> str:
    """JSON that says which configuration, standards data and program figures are made by."""
    made_by = {
        "config": site.config_hash,
        "standards": site.library.version,
        "kgce": version("kgce"),
    }
    return json.dumps(made_by, sort_keys=True)


def provenance(site: Site, lake: Lake) -> str:
    """JSON that says what figures are made from: table versions, hashes, the program's version."""
    versions = {table.name: lake.version(table) for table in SOURCES}
    tables = {name: version for name, version in versions.items() if version is not None}
    return json.dumps({"tables": tables, **json.loads(origin(site))}, sort_keys=True)


def figures(
    site: Site,
    lake: Lake,
    by: By,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    required_coverage_ratio: float | None = None,
) -> Figures:
    """Consumption and indicators by 15min, hour, day, month or year, from the intervals.

    ``start`` and ``end`` (aware) default to the time that has data. Periods that reach past the
    data are clipped to it and ``partial``. ``required_coverage_ratio`` goes before the
    configuration's.
    """
    progress = read_progress(storage_folder(site) / PROGRESS, origin(site))
    backwards = progress.known.backwards if progress is not None else frozenset[str]()
    span = data_span(site, lake)
    amounts, periods = by_meter(site, lake, span, by, backwards, start=start, end=end)
    made = figures_of(
        site,
        amounts,
        outputs_of(site, lake, periods),
        periods,
        provenance=provenance(site, lake),
        required_coverage_ratio=required_coverage_ratio,
    )
    return only(made, by)
