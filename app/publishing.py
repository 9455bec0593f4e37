"""Intervals to published figures: only of the periods, meters and parents concerned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from app.calendar import Span, calendar, reach
from app.figures import NO_FIGURES, PARTS, Figures, figures_of, outputs_of, stored_by_meter
from app.increments import replace_rows, runs
from app.progress import Progress
from app.revising import (
    STALE,
    Closed,
    Entry,
    closed_findings,
    inside,
    revisions,
    stale_figures,
    write_revisions,
)
from config.balance_tables import ALLOCATIONS, CONVERSIONS
from config.book_tables import METER_PERIODS
from config.site import Site
from config.tables import CONSUMPTION, FINDINGS, GAPS, INDICATORS, INTERVALS
from pipeline.periods import By
from pipeline.rollup import interval_sums, meter_periods, period_sums
from pipeline.rules import MeterRule
from pipeline.virtual import below_zero, virtual_periods, virtual_rules_of
from storage.lake import Lake

PUBLISHED: tuple[By, ...] = ("day", "month", "year")
KEYS = ("grain", "period")
DAYS_AT_ONCE = 60
"""Days of intervals that are summed at a time: 500 meters have 2.9 million."""
IGNORED = ("provenance",)
"""Says which versions a figure was made from; no figure changes by it alone."""


@dataclass
class Targets:
    """What is to be computed of one grain: ``periods`` of ``meters`` (None: of all there are).

    ``gone``: periods that are no more, such as of a plant whose first day was set later.
    """

    grain: By
    periods: pl.DataFrame
    meters: frozenset[str] | None
    gone: pl.DataFrame

    @property
    def labels(self) -> list[str]:
        return [*self.periods["period"], *self.gone["period"]]


def targets(
    site: Site,
    old_span: Span | None,
    new_span: Span | None,
    changes: pl.DataFrame,
    entered: Iterable[Span],
    *,
    every: bool,
) -> list[Targets]:
    """The periods in which something can differ: where a meter changed, where something was
    entered, and those that reach as far as the data now do and did not before."""
    found = []
    for grain in PUBLISHED:
        now = calendar(site, new_span, grain)
        if every:
            found.append(Targets(grain, now, None, now.clear()))
            continue
        before = calendar(site, old_span, grain)
        moved = now.join(before, on=now.columns, how="anti")
        gone = before.join(now, on=KEYS, how="anti")
        hit = _met(changes, now)
        touched = pl.any_horizontal(
            pl.lit(False),
            *((pl.col("start_utc") < b) & (pl.col("end_utc") > a) for a, b in entered),
        )
        wanted = now.filter(
            pl.col("start_utc").is_in(hit["start_utc"].implode())
            | pl.col("start_utc").is_in(moved["start_utc"].implode())
            | touched
        )
        meters = None if len(moved) or len(gone) else frozenset(hit["meter_id"])
        found.append(Targets(grain, wanted, meters, gone))
    return found


def with_days(site: Site, span: Span | None, todo: Sequence[Targets]) -> list[Targets]:
    """The same with every day of the months concerned, or of the years where a rule of allocation
    changes in the year: what is shared out by days depends on all of them."""
    by_grain = {one.grain: one for one in todo}
    if not site.plant.allocations:
        return list(todo)
    changing = len({one.from_ for one in site.plant.allocations}) > 1
    longer = by_grain["year" if changing else "month"].periods
    days = days_inside(site, span, longer)
    day = by_grain["day"]
    return [Targets("day", days, None, day.gone), *(one for one in todo if one.grain != "day")]


def days_inside(site: Site, span: Span | None, longer: pl.DataFrame) -> pl.DataFrame:
    """All days of some months or years."""
    return calendar(site, span, "day").filter(
        pl.any_horizontal(
            pl.lit(False),
            *(
                (pl.col("start_utc") >= start) & (pl.col("end_utc") <= end)
                for start, end in longer.select("start_utc", "end_utc").iter_rows()
            ),
        )
    )


def _met(changes: pl.DataFrame, periods: pl.DataFrame) -> pl.DataFrame:
    """meter_id and start_utc of the periods (rising, none inside another) that changes meet."""
    starts = periods["start_utc"].to_physical().to_numpy()
    ends = periods["end_utc"].to_physical().to_numpy()
    first = np.searchsorted(ends, changes["t0"].to_numpy(), side="right")
    after = np.searchsorted(starts, changes["t1"].to_numpy(), side="left")
    runs = pl.DataFrame({"meter_id": changes["meter_id"], "first": first, "after": after})
    hits = (
        runs.filter(pl.col("first") < pl.col("after"))
        .unique()
        .select("meter_id", at=pl.int_ranges("first", "after"))
        .explode("at")
        .unique()
    )
    return hits.select("meter_id", start_utc=periods["start_utc"].gather(hits["at"]))


def sum_meters(
    site: Site,
    lake: Lake,
    progress: Progress,
    todo: Sequence[Targets],
    rules: Sequence[MeterRule],
    *,
    every: bool,
) -> int:
    """Bring the table ``meter_periods`` up to date; the number of rows that differ."""
    changed = 0
    known = progress.known.backwards
    backwards = known | below_zero(virtual_rules_of(site), known)
    for one in todo:
        if one.periods.is_empty() and one.gone.is_empty() and not every:
            continue
        some = [rule for rule in rules if one.meters is None or rule.meter_id in one.meters]
        ids = [rule.meter_id for rule in some]
        made = METER_PERIODS.polars_schema().to_frame()
        first = None
        if len(one.periods):
            gaps = _gaps(site, lake, progress, one.periods)
            sums = _sums(site, lake, one, ids)
            amounts = meter_periods(sums, gaps, one.periods, some, backwards)
            made = amounts.with_columns(plant_id=pl.lit(site.id)).select(METER_PERIODS.names)
            made = made.cast(METER_PERIODS.polars_schema())
            first = reach(one.periods)[0]
        scope = pl.col("grain") == one.grain
        if not every:
            scope &= pl.col("period").is_in(one.labels)
            if one.meters is not None:
                scope &= pl.col("meter_id").is_in(ids)
        whole = every or len(one.gone)
        done, _ = replace_rows(
            lake, METER_PERIODS, site.id, made, scope, from_utc=None if whole else first
        )
        changed += done.changed
    return changed


def _gaps(site: Site, lake: Lake, progress: Progress, periods: pl.DataFrame) -> pl.LazyFrame:
    first, last = reach(periods)
    longest = timedelta(microseconds=progress.longest_gap_us)
    gaps = lake.scan(GAPS, site.id, from_utc=first - longest, to_utc=last)
    return gaps.filter(pl.col("gap_end_utc") > first)


def _sums(site: Site, lake: Lake, one: Targets, meters: Sequence[str]) -> pl.DataFrame:
    """What was measured in the periods, from the intervals or from the shorter periods."""
    part = PARTS.get(one.grain)
    mine = pl.col("meter_id").is_in(list(meters))
    if part is not None:
        first, last = reach(one.periods)
        shorter = lake.scan(METER_PERIODS, site.id, from_utc=first, to_utc=last)
        return period_sums(shorter.filter(mine & (pl.col("grain") == part)), one.periods)
    days = {
        start.date() + timedelta(days)
        for start, end in one.periods.select("start_utc", "end_utc").iter_rows()
        for days in range((end.date() - start.date()).days + 1)
    }
    sums = []
    for start, end in runs(days):
        inside = one.periods.filter((pl.col("start_utc") < end) & (pl.col("end_utc") > start))
        for some in inside.iter_slices(DAYS_AT_ONCE):
            first, last = reach(some)
            rows = lake.scan(INTERVALS, site.id, from_utc=first, to_utc=last).filter(mine)
            sums.append(interval_sums(rows, some))
    return pl.concat(sums)


def compute(
    site: Site, lake: Lake, todo: Sequence[Targets], rules: Sequence[MeterRule], provenance: str
) -> Figures:
    """The figures of the periods concerned, from ``meter_periods`` and the typed outputs."""
    periods = pl.concat(one.periods for one in todo)
    if periods.is_empty():
        return NO_FIGURES
    amounts = amounts_of(site, lake, periods, rules)
    outputs = outputs_of(site, lake, periods)
    return figures_of(site, amounts, outputs, periods, provenance=provenance)


def amounts_of(
    site: Site, lake: Lake, periods: pl.DataFrame, rules: Sequence[MeterRule]
) -> pl.DataFrame:
    """Amounts by meter, read and virtual, from ``meter_periods``."""
    amounts = stored_by_meter(site, lake, periods, rules)
    return pl.concat([amounts, virtual_periods(amounts, virtual_rules_of(site))])


def put(
    site: Site,
    lake: Lake,
    todo: Sequence[Targets],
    made: Figures,
    entry: Entry,
    *,
    every: bool,
    closed: Sequence[Closed],
) -> dict[str, int]:
    """Put figures into the lake, but for those of ``closed`` periods; changed rows by table.

    What changes a figure of a whole month or year is written down in ``revisions``, before it
    changes; what would change one of a closed period becomes a finding.
    """
    scope = pl.lit(True) if every else _of(todo)
    first = None if every else _first(todo)
    frozen = inside(closed)
    revised, stale = [], []
    parts = ((CONSUMPTION, made.consumption), (INDICATORS, made.indicators))
    for table, frame in parts:
        there = lake.scan(table, site.id, from_utc=first).filter(scope).collect()
        stale.append(stale_figures(table, there, frame, closed))
        revised.append(revisions(table, there.filter(~frozen), frame.filter(~frozen), entry))
    counts = {"revisions": write_revisions(lake, site.id, pl.concat(revised))}
    for table, frame in parts:
        done, _ = replace_rows(
            lake,
            table,
            site.id,
            frame.filter(~frozen),
            scope & ~frozen,
            from_utc=first,
            ignoring=IGNORED,
        )
        counts[table.name] = done.changed
    for table, frame in ((ALLOCATIONS, made.allocations), (CONVERSIONS, made.conversions)):
        if len(frame) or lake.version(table) is not None:
            kept = scope & ~frozen
            new = frame.filter(~frozen)
            done, _ = replace_rows(lake, table, site.id, new, kept, from_utc=first)
            counts[table.name] = done.changed
    _put_stale(site, lake, todo, pl.concat(stale), closed, every=every)
    return counts


def _of(todo: Sequence[Targets]) -> pl.Expr:
    return pl.any_horizontal(
        pl.lit(False),
        *((pl.col("grain") == one.grain) & pl.col("period").is_in(one.labels) for one in todo),
    )


def _first(todo: Sequence[Targets]) -> datetime | None:
    """Start of the earliest of all periods; None where some are gone, and may have been earlier."""
    if any(len(one.gone) for one in todo):
        return None
    return min((reach(one.periods)[0] for one in todo if len(one.periods)), default=None)


def _put_stale(
    site: Site,
    lake: Lake,
    todo: Sequence[Targets],
    stale: pl.DataFrame,
    closed: Sequence[Closed],
    *,
    every: bool,
) -> None:
    """Findings of closed periods whose figures would be others now."""
    looked_at = [
        one
        for one in closed
        if every or any(one.grain == t.grain and one.period in t.labels for t in todo)
    ]
    if not looked_at:
        return
    rows = closed_findings(site.id, stale, looked_at)
    of_these = pl.col("start_utc").is_in([one.start_utc for one in looked_at])
    scope = (pl.col("code") == STALE) & of_these
    replace_rows(lake, FINDINGS, site.id, rows, scope)
