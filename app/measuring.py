"""Readings to intervals, gaps and findings: only of the meters, and from the days, concerned."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import zip_longest

import polars as pl

from app.increments import replace_rows
from app.progress import Progress
from config.book_tables import CORRECTIONS
from config.site import Site
from config.tables import FINDINGS, GAPS, INTERVALS, READINGS, STATEMENTS, Table
from pipeline.checkpoints import NEVER_US, Checkpoint, joined, latest_before
from pipeline.corrections import in_force
from pipeline.findings import MESSAGES
from pipeline.measure import Known, Measured, measure
from pipeline.rules import GRID_US, MeterRule
from pipeline.virtual import VirtualRule, dependents
from pipeline.virtual_intervals import virtual_intervals
from storage.lake import Lake

HOUR_US = 3_600_000_000
FARTHER_BACK_US = 7 * 24 * HOUR_US
"""Before a dip window: how old a checkpoint a counter tries last, before it begins anew."""
MOST_PARTS = 6
"""Of the times before which only some meters are to be read again, so many are told apart."""
CHUNK_ROWS = 5_000_000
"""Readings measured at a time, in about 1 GB; a longer history is measured in parts."""
CHANGE_SCHEMA = pl.Schema({"meter_id": pl.String(), "t0": pl.Int64(), "t1": pl.Int64()})

_AT = {INTERVALS: "interval_start_utc", GAPS: "gap_start_utc", FINDINGS: "end_utc"}


@dataclass(frozen=True)
class Touched:
    """What is to be measured: by meter the time of the first reading that came. ``anew``: meters to
    be measured from the beginning; ``every``: all there are, whatever was made before."""

    since_us: Mapping[str, int]
    anew: frozenset[str] = frozenset()
    every: bool = False

    @property
    def meters(self) -> frozenset[str]:
        return self.anew | self.since_us.keys()


@dataclass(frozen=True)
class Remeasured:
    """``changes``: meter and time (t0 to t1) in which an interval or gap differs, not told where
    all was measured; ``rows``: rows that differ, by table."""

    changes: pl.DataFrame
    rows: dict[str, int]


def remeasure(
    site: Site, lake: Lake, progress: Progress, todo: Touched, rules: Sequence[MeterRule]
) -> Remeasured:
    """Measure what was touched and put it into the lake; ``progress`` is carried forward."""
    some = [rule for rule in rules if todo.every or rule.meter_id in todo.meters]
    resume = partial(_resume, progress, _stated(site, lake))
    since_us = {m: t for m, t in todo.since_us.items() if m not in todo.anew}
    changes, counts = [CHANGE_SCHEMA.to_frame()], dict.fromkeys((t.name for t in _AT), 0)
    done: list[list[Measured]] = []
    for until in (_parts(site, lake) if todo.every else [None]) if some or todo.every else []:
        done.append(_measured(site, lake, progress.known, some, since_us, until, resume))
        _carry(progress, done[-1], some)
        since_us = {} if until is None else {rule.meter_id: _us(until) for rule in rules}
        if len(done) > 1:
            _count(counts, _put(site, lake, done.pop(0), some, todo, following=done[0]))
    for measured in done:
        differing = _put(site, lake, measured, some, todo)
        _count(counts, differing)
        if not todo.every:
            changes += [_spans(t, rows) for t, (_, rows) in differing.items() if t is not FINDINGS]
    return Remeasured(pl.concat(changes), counts)


def _count(counts: dict[str, int], put: Mapping[Table, tuple[int, pl.DataFrame]]) -> None:
    for table, (changed, _) in put.items():
        counts[table.name] += changed


def _put(
    site: Site,
    lake: Lake,
    measured: Sequence[Measured],
    rules: Sequence[MeterRule],
    todo: Touched,
    following: Sequence[Measured] | None = None,
) -> dict[Table, tuple[int, pl.DataFrame]]:
    """Put into the lake what was measured, but for what the ``following`` part made anew; by table
    the number of rows that differ, and the rows by which."""
    found = {}
    for table, frame in _frames(measured):
        scope = _scope(table, measured, rules, todo, site.plant.virtual)
        meters, to_utc = {rule.meter_id for rule in rules}, None
        if following is not None:
            ends = _starts(table, following)
            meters, to_utc = set(ends), _time(max(ends.values(), default=0))
            scope &= _at_us(table) < _since(table, following)
            frame = frame.filter(scope)
        starts = _starts(table, measured)
        # What is of a meter that is no more goes with the last part.
        anywhen = table is FINDINGS or (todo.every and following is None) or meters - starts.keys()
        first_us = min((starts[meter_id] for meter_id in meters & starts.keys()), default=0)
        from_utc = None if anywhen else _time(first_us)
        done, differing = replace_rows(
            lake, table, site.id, frame, scope, from_utc=from_utc, to_utc=to_utc
        )
        found[table] = done.changed, differing
    return found


def _us(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _time(us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)


def _parts(site: Site, lake: Lake) -> list[datetime | None]:
    """Ends of the parts in which a whole history is measured; the last one has none."""
    day = pl.col("time_utc").dt.truncate("1d")
    counts = lake.scan(READINGS, site.id).group_by(day).len().collect(engine="streaming")
    ends: list[datetime | None] = []
    rows = 0
    for start, count in counts.sort("time_utc").iter_rows():
        if rows and rows + count > CHUNK_ROWS:
            ends.append(start)
            rows = 0
        rows += count
    return [*ends, None]


def _stated(site: Site, lake: Lake) -> dict[str, list[tuple[int, int]]]:
    """By meter the spans for which a person stated an amount."""
    stated: dict[str, list[tuple[int, int]]] = {}
    rows = in_force(lake.scan(CORRECTIONS, site.id)).of("amount")
    for meter_id, *span in rows.select("meter_id", "start_us", "end_us").iter_rows():
        stated.setdefault(meter_id, []).append((span[0], span[1]))
    return stated


def _resume(
    progress: Progress,
    stated: Mapping[str, Sequence[tuple[int, int]]],
    since_us: Mapping[str, int],
) -> dict[str, Checkpoint]:
    """Where meters can go on: at no time inside a span for which an amount is stated, for it is to
    be known which gaps lie in it."""
    found = {}
    for meter_id, time_us in since_us.items():
        points = [
            point
            for point in progress.checkpoints.get(meter_id, ())
            if not any(start < point.at_us <= end for start, end in stated.get(meter_id, ()))
        ]
        point = latest_before(points, time_us)
        if point is not None:
            found[meter_id] = point
    return found


def _measured(
    site: Site,
    lake: Lake,
    known: Known,
    rules: Sequence[MeterRule],
    since_us: Mapping[str, int],
    until: datetime | None,
    resume_at: Callable[[Mapping[str, int]], dict[str, Checkpoint]],
) -> list[Measured]:
    """What is measured from the checkpoints before ``since_us``. Counters that cannot go on from
    theirs do from earlier ones: a dip window before, then days before. The other meters that
    cannot, and counters that cannot from there either, are measured from the beginning."""
    made: list[Measured] = []
    todo = list(rules)
    window_us = round(site.plant.quality.dip_window_h * HOUR_US)
    resume = resume_at(since_us)
    while todo:
        ids = [rule.meter_id for rule in todo]
        whole = [meter_id for meter_id in ids if meter_id not in resume]
        known = Known(
            known.backwards - set(whole),
            {m: value for m, value in known.quanta.items() if m not in whole},
        )
        one = measure(
            _readings(site, lake, whole, resume, until),
            lake.scan(STATEMENTS, site.id).filter(pl.col("meter_id").is_in(whole)),
            todo,
            plant_id=site.id,
            window_us=window_us,
            corrections=lake.scan(CORRECTIONS, site.id).filter(pl.col("meter_id").is_in(ids)),
            resume=resume,
            known=known,
        )
        made.append(one)
        known = one.known
        todo = [rule for rule in todo if rule.meter_id in one.unfit]
        back_us = (window_us, window_us + FARTHER_BACK_US)[len(made) - 1 : len(made)]
        counters = [rule.meter_id for rule in todo if rule.kind == "counter"]
        resume = resume_at({m: since_us[m] - us for us in back_us for m in counters})
    return made


def _readings(
    site: Site,
    lake: Lake,
    whole: Collection[str],
    resume: Mapping[str, Checkpoint],
    until: datetime | None,
) -> pl.LazyFrame:
    """The readings that the meters need: all, or those from their checkpoint's context on."""
    parts: list[tuple[list[str], datetime | None, datetime | None]] = []
    if whole or not resume:
        parts.append((list(whole), None, until))
    starts = _starts_of_parts(resume)
    for start, end in zip_longest(starts, starts[1:], fillvalue=until):
        meters = [
            meter_id
            for meter_id, point in resume.items()
            if end is None or _time(point.from_us) < end
        ]
        parts.append((meters, start, end))
    return pl.concat(
        _only(lake.scan(READINGS, site.id, from_utc=start, to_utc=end), meters, site)
        for meters, start, end in parts
    )


def _only(readings: pl.LazyFrame, meters: Collection[str], site: Site) -> pl.LazyFrame:
    if len(meters) == len(site.plant.meters):
        return readings
    return readings.filter(pl.col("meter_id").is_in(list(meters)))


def _starts_of_parts(resume: Mapping[str, Checkpoint]) -> list[datetime]:
    """Times from which on more meters are to be read, rising; few, for each is a scan."""
    hours = sorted({point.from_us // HOUR_US for point in resume.values()})
    few = [*hours[:1], *hours[1:][-MOST_PARTS:]]
    return [_time(hour * HOUR_US) for hour in few]


def _carry(progress: Progress, measured: Sequence[Measured], rules: Sequence[MeterRule]) -> None:
    for one in measured:
        new: dict[str, list[Checkpoint]] = {}
        for point in one.checkpoints:
            new.setdefault(point.meter_id, []).append(point)
        for rule in rules:
            meter_id = rule.meter_id
            if meter_id in one.starts:
                old = progress.checkpoints.get(meter_id, ())
                kept_us = one.starts[meter_id].kept_us
                progress.checkpoints[meter_id] = joined(old, new.get(meter_id, ()), kept_us)
            elif meter_id in one.meters and meter_id not in one.unfit:
                progress.checkpoints[meter_id] = new.get(meter_id, [])
        lengths = (one.gaps["gap_end_utc"] - one.gaps["gap_start_utc"]).dt.total_microseconds()
        progress.longest_gap_us = max(progress.longest_gap_us, int(lengths.max() or 0))  # type: ignore[arg-type]
        progress.known = one.known


def _frames(measured: Sequence[Measured]) -> Iterator[tuple[Table, pl.DataFrame]]:
    yield INTERVALS, pl.concat(one.intervals for one in measured)
    yield GAPS, pl.concat(one.gaps for one in measured)
    yield FINDINGS, pl.concat(one.findings for one in measured)


def _starts(table: Table, measured: Sequence[Measured]) -> dict[str, int]:
    """By meter that went on from a checkpoint: from when on its rows were made anew."""
    return {
        meter_id: start.at_us if table is FINDINGS else start.lay_us
        for one in measured
        for meter_id, start in one.starts.items()
    }


def _meter(table: Table) -> pl.Expr:
    return pl.col("subject" if table is FINDINGS else "meter_id")


def _at_us(table: Table) -> pl.Expr:
    """By which time rows are told to be from before a checkpoint: a finding is made at its end."""
    return pl.col(_AT[table]).to_physical()


def _since(table: Table, measured: Sequence[Measured]) -> pl.Expr:
    """From when on the rows of a row's meter were made anew."""
    starts = _starts(table, measured)
    return _meter(table).replace_strict(starts, default=NEVER_US, return_dtype=pl.Int64)


def _scope(
    table: Table,
    measured: Sequence[Measured],
    rules: Sequence[MeterRule],
    todo: Touched,
    virtual: Collection[str],
) -> pl.Expr:
    """Which of the table's rows were made anew."""
    scope = _at_us(table) >= _since(table, measured)
    if table is FINDINGS:
        scope &= pl.col("code").is_in(list(MESSAGES))
    if todo.every and table is not FINDINGS:
        scope &= ~_meter(table).is_in(sorted(virtual))  # made of these, later
    return scope if todo.every else scope & _meter(table).is_in([rule.meter_id for rule in rules])


def _spans(table: Table, differing: pl.DataFrame) -> pl.DataFrame:
    start = pl.col(_AT[table]).to_physical()
    end = start + GRID_US if table is INTERVALS else pl.col("gap_end_utc").to_physical()
    return differing.select("meter_id", t0=start, t1=end)


def remeasure_virtual(
    site: Site, lake: Lake, changes: pl.DataFrame, rules: Sequence[VirtualRule], *, every: bool
) -> pl.DataFrame:
    """Bring the virtual meters that have intervals up to ``changes``; their own changes."""
    grid = {rule.meter_id: rule for rule in rules if rule.weights is None}
    touched = [m for m in dependents(rules, set(changes["meter_id"].unique())) if m in grid]
    ids = list(grid) if every else touched
    found = [CHANGE_SCHEMA.to_frame()]
    if not every and not ids:
        return found[0]
    entering = {source for meter_id in ids for source in grid[meter_id].sources}
    mine = changes.filter(pl.col("meter_id").is_in(sorted(entering)))
    from_utc = to_utc = None
    if not every:
        first, last = mine.select(pl.col("t0").min(), pl.col("t1").max()).row(0)
        from_utc = _time(first // GRID_US * GRID_US)
        to_utc = _time(-(-last // GRID_US) * GRID_US)
    rows = lake.scan(INTERVALS, site.id, from_utc=from_utc, to_utc=to_utc)
    made = virtual_intervals(rows, rules, site.id)
    virtual = [rule.meter_id for rule in rules]
    for table, frame in ((INTERVALS, made.intervals), (GAPS, made.gaps)):
        time = pl.col(table.time_column)
        scope = pl.col("meter_id").is_in(ids if not every else virtual)
        if not every:
            scope &= (time >= from_utc) & (time < to_utc)
        new = frame.filter(pl.col("meter_id").is_in(ids))
        _, differing = replace_rows(
            lake, table, site.id, new, scope, from_utc=from_utc, to_utc=to_utc
        )
        found.append(_spans(table, differing))
    return pl.concat(found)
