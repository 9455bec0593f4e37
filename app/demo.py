"""`kgce demo`: a simulated cement plant, metered over real sockets, its figures held to the truth.

The history is read by the same collectors over the same sockets as live data, on a clock that jumps
from tick to tick; then some seconds follow on the wall clock. Faults are played on the way: an
outage of six hours, a momentary zero, a message sent twice, a counter that rolls over.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app import jobs
from app.daemon import Daemon
from app.language import Lang
from app.options import Format, What
from app.output import emit, number, to_json
from app.show import SCREEN, for_screen, rows
from app.sites import load_site
from collectors.base import WallClock
from collectors.simulator import (
    CementPlant,
    EmbeddedBroker,
    FastClock,
    ModbusServer,
    Publisher,
    layout,
    write_site,
)
from config.errors import InputError
from config.site import Site
from config.tables import FINDINGS, INDICATORS, READINGS
from storage.spool import Spool

if TYPE_CHECKING:
    from collectors.base import Clock
    from storage.lake import Lake

BACKFILL_S = 900.0
LIVE_S = 1.0
LIVE_SLACK_S = 10
GRID_US = 900_000_000
DAY_US = 96 * GRID_US
TOLERANCE_RATIO = 1e-6


@dataclass
class Verdict:
    """Figures held against the simulator's truth."""

    compared: int = 0
    refused: int = 0
    worst_ratio: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def hold(self, name: str, value: float | None, low: Any, high: Any, truth: float) -> None:
        """A figure must equal the truth; a refused one must have it within its bounds."""
        slack = TOLERANCE_RATIO * max(abs(truth), 1e-3)
        if value is None:
            self.refused += 1
            if low is not None and not low - slack <= truth <= (high or truth) + slack:
                self.wrong.append(f"{name}: refused, and {truth} is not within {low} to {high}")
            return
        self.compared += 1
        off = abs(value - truth) / max(abs(truth), 1e-3)
        self.worst_ratio = max(self.worst_ratio, off)
        if off > TOLERANCE_RATIO:
            self.wrong.append(f"{name}: {value} is not {truth} ({off:.1e} off)")


def run_demo(folder: Path, *, days: int, seconds: int, lang: Lang) -> bool:
    """Run the demo into ``folder``; True where every figure equals the truth."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    _make_room(folder)
    started = time.monotonic()
    plant, site = asyncio.run(_collect(folder, days, seconds, console))
    lake = jobs.open_lake(site)
    with _bar(console, "refreshing the figures"):
        jobs.refresh(site, lake)
        again = jobs.refresh(site, lake, force=True)
    indicators = _publish(site, lake, folder, lang)
    verdict = _verdict(plant, site, lake, indicators)
    balanced = _account(site, lake, console)
    for line in verdict.wrong:
        console.print(f"[red]wrong:[/] {line}", markup=True)
    if again.changed:
        console.print(f"[red]wrong:[/] a second refresh changed {', '.join(again.changed)}")
    console.print(
        f"truth: {verdict.compared} figures by day, month and year, {len(verdict.wrong)} wrong, "
        f"worst {verdict.worst_ratio:.1e} off (allowed {TOLERANCE_RATIO:.0e}); "
        f"{verdict.refused} refused for coverage, the truth within their bounds"
    )
    right = not verdict.wrong and not again.changed and balanced and verdict.compared > 0
    console.print(
        f"{'[green]every figure equals the truth[/]' if right else '[red]NOT right[/]'} "
        f"({time.monotonic() - started:.0f} s). Left in {folder}: plant.yaml, meters.csv, data/, "
        f"out/indicators.json"
    )
    kgce = "kgce" if shutil.which("kgce") else sys.argv[0]
    file = folder / "plant.yaml"
    console.print(f"next: {kgce} show consumption --by day -p {file}")
    console.print(f"      {kgce} rubric {datetime.now(site.plant.plant.zone).year} -p {file}")
    return right


def _make_room(folder: Path) -> None:
    """An earlier demo's folder is replaced; anything else is left alone."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(
            f"{folder} is no folder",
            data="nothing was changed",
            todo="name another folder with --dir",
        )
    marker = folder / "plant.yaml"
    if any(folder.iterdir()) and not (
        marker.is_file() and marker.read_text(encoding="utf-8").startswith("# A simulated cement")
    ):
        raise InputError(
            f"{folder} is not empty, and no earlier demo",
            data="nothing was changed",
            todo="name another folder with --dir",
        )
    shutil.rmtree(folder)


async def _collect(
    folder: Path, days: int, seconds: int, console: Console
) -> tuple[CementPlant, Site]:
    """Simulator, broker and collectors: the history on a fast clock, then live."""
    today = datetime.now(ZoneInfo(layout.TIMEZONE)).date()
    plant = CementPlant(today - timedelta(days=days))
    turn = _Clock(WallClock())
    with EmbeddedBroker() as broker:
        async with ModbusServer(plant, turn) as server:
            site = load_site(
                write_site(
                    folder,
                    modbus_port=server.port,
                    mqtt_port=broker.port,
                    since=plant.since,
                    interval_s=BACKFILL_S,
                )
            )
            console.print(
                f"{site.plant.plant.name}: {len(site.plant.meters)} meters over Modbus TCP "
                f"(127.0.0.1:{server.port}) and MQTT (127.0.0.1:{broker.port})"
            )
            read_to_us = plant.start_us - 1
            while (end_us := await _history_end(seconds)) > read_to_us:
                fast = FastClock(read_to_us + 1, participants=3, end_us=end_us)
                turn.use(fast)
                publisher = Publisher(plant, fast, port=broker.port)
                text = f"reading {max(1, (end_us - read_to_us) // DAY_US)} days"
                with _bar(console, text) as bar:
                    follow = _follow(fast, read_to_us, end_us, bar)
                    await _read(site, fast, None, publisher, follow)
                read_to_us = end_us
            turn.use(WallClock())
            publisher = Publisher(plant, WallClock(), port=broker.port, interval_us=1_000_000)
            with _bar(console, f"reading live for {seconds} s", total=seconds) as bar:
                await _read(site, None, LIVE_S, publisher, _wait(seconds, bar))
    return plant, site


async def _history_end(live_s: int) -> int:
    """The quarter hour up to which history is read, so that none ends while reading live.

    At a quarter hour that is met live, a register's step falls between two readings, and the
    truth at that instant is known to nobody.
    """
    clock = WallClock()
    next_us = clock.now_us() // GRID_US * GRID_US + GRID_US
    if next_us - clock.now_us() < (live_s + LIVE_SLACK_S) * 1e6:
        await clock.sleep_until(next_us)
    return clock.now_us() // GRID_US * GRID_US


class _Clock:
    """The clock that the simulated meters count by: first the fast one, then the wall clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def use(self, clock: Clock) -> None:
        self._clock = clock

    def now_us(self) -> int:
        return self._clock.now_us()

    async def sleep_until(self, time_us: int) -> None:
        await self._clock.sleep_until(time_us)


async def _read(
    site: Site, clock: Clock | None, interval_s: float | None, publisher: Publisher, until: Any
) -> None:
    """Run the daemon and the publisher until ``until`` is done, then let both end in order."""
    stop, ready = asyncio.Event(), asyncio.Event()
    daemon = Daemon(site, clock, interval_s)
    collecting = asyncio.create_task(daemon.run(stop, ready.set))
    await asyncio.wait(
        {collecting, asyncio.create_task(ready.wait())}, return_when="FIRST_COMPLETED"
    )
    await _subscribed(daemon)
    publishing = asyncio.create_task(publisher.run())
    waiting = asyncio.create_task(until)
    done, _ = await asyncio.wait(
        {collecting, publishing, waiting}, return_when=asyncio.FIRST_COMPLETED
    )
    for task in done - {waiting}:
        task.result()  # ended too early: raises what went wrong
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)
    await _delivered(daemon, publisher)
    stop.set()
    await collecting


async def _subscribed(daemon: Daemon) -> None:
    """Wait for the broker's session, so that no message is published before it exists."""
    for _ in range(300):
        if all(collector.health.state == "up" for collector in daemon.collectors[-1:]):
            return
        await asyncio.sleep(0.05)
    raise InputError("the demo's collector could not subscribe at the embedded broker")


async def _delivered(daemon: Daemon, publisher: Publisher) -> None:
    """Wait until what the broker acknowledged has reached the collector."""
    health = daemon.collectors[-1].health
    for _ in range(600):
        if health.good >= publisher.readings:
            return
        await asyncio.sleep(0.05)


async def _follow(clock: FastClock, start_us: int, end_us: int, bar: Progress) -> None:
    end = asyncio.create_task(clock.ended())
    task = bar.task_ids[0]
    while not end.done():
        done_ratio = (clock.now_us() - start_us) / (end_us - start_us)
        bar.update(task, total=1.0, completed=done_ratio)
        await asyncio.wait({end}, timeout=0.2)


async def _wait(seconds: float, bar: Progress) -> None:
    for _ in range(round(seconds * 5)):
        await asyncio.sleep(0.2)
        bar.advance(bar.task_ids[0], 0.2)


@contextmanager
def _bar(console: Console, text: str, total: float | None = None) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        bar.add_task(text, total=total)
        yield bar
        bar.update(bar.task_ids[0], total=1, completed=1)


def _publish(site: Site, lake: Lake, folder: Path, lang: Lang) -> pl.DataFrame:
    """Write out/indicators.json and show the months on the screen."""
    every = lake.scan(INDICATORS, site.id).collect()
    out = folder / "out"
    out.mkdir(exist_ok=True)
    (out / "indicators.json").write_text(to_json(every.sort(INDICATORS.key)), encoding="utf-8")
    months = for_screen(
        What.indicators, rows(site, lake, What.indicators, by="month", start=None, end=None)
    )
    columns = SCREEN[What.indicators]
    emit(months, Format.table, None, lang=lang, table=INDICATORS, columns=columns)
    return every


def _verdict(plant: CementPlant, site: Site, lake: Lake, indicators: pl.DataFrame) -> Verdict:
    """Every published figure against what the simulator knows."""
    verdict = Verdict()
    for by in jobs.PUBLISHED:
        shown = rows(site, lake, What.consumption, by=by, start=None, end=None)
        for row in shown.iter_rows(named=True):
            span = _us(row["start_utc"]), _us(row["end_utc"])
            truth = plant.true_consumption(row["node_id"], row["energy_code"], *span)
            name = f"{row['node_id']} {row['energy_code']} {row['period']}"
            verdict.hold(name, row["amount"], row["low"], row["high"], truth)
    for row in indicators.filter(pl.col("indicator") == "unit_product_energy").iter_rows(
        named=True
    ):
        span = _us(row["start_utc"]), _us(row["end_utc"])
        name = f"{row['subject']} {row['period']}"
        if row["value"] is not None or plant.true_output(row["subject"], *span) > 0:
            truth = plant.true_intensity(row["subject"], *span)
            verdict.hold(name, row["value"], row["low"], row["high"], truth)
    return verdict


def _us(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)


def _account(site: Site, lake: Lake, console: Console) -> bool:
    """Say what was read and found; True where the loss account balances."""
    view = Spool.read_only(site.storage_path / "spool.db")
    try:
        accounts, waiting = view.account(), view.waiting()
    finally:
        view.close()
    expected = sum(account.expected for account in accounts)
    good = sum(account.good for account in accounts)
    missing: Counter[str] = Counter()
    for account in accounts:
        missing.update(account.missing)
    dropped = sum(sum(account.dropped.values()) for account in accounts)
    duplicates = sum(account.duplicates for account in accounts)
    in_lake = lake.scan(READINGS, site.id).select(pl.len()).collect().item()
    balanced = all(account.balanced for account in accounts) and waiting == 0
    console.print(
        f"readings: expected {expected:,} = good {good:,} + missing {missing.total():,} "
        f"({', '.join(f'{reason} {count:,}' for reason, count in sorted(missing.items()))}) + "
        f"dropped {dropped:,}; {duplicates} sent twice and refused; {in_lake:,} rows in the lake"
    )
    for finding in lake.scan(FINDINGS, site.id).sort("start_utc").collect().iter_rows(named=True):
        value = json.loads(finding["evidence"]).get("first_value")
        console.print(
            f"found: {finding['code']} at {finding['subject']}, "
            f"{finding['start_utc']:%Y-%m-%d %H:%M} UTC"
            f"{'' if value is None else f' (value {number(value)})'}"
        )
    return balanced
