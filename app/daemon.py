"""The daemon: collectors that never wait for each other, and three jobs on a schedule.

It runs until SIGTERM or SIGINT, then takes what is on its way, flushes, and ends. Killed at any
moment it loses nothing that it had acknowledged. Changed configuration is taken while it runs.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from app import jobs
from app.clock_steps import ClockSteps, book_steps
from app.collection import Collection, ended, endless
from app.folders import FolderCollector
from app.late import late_after_s
from app.politely import politely
from app.reload import (
    LOOK_S,
    ConfigFiles,
    Prepared,
    Reloads,
    fingerprints,
    polled_intervals_s,
    prepare,
)
from app.scheduled import JobState, Scheduled, intervals_s
from app.sites import load_site
from collectors.base import Clock, Collector
from collectors.connections import describe, make_collector
from collectors.lines.device_clocks import MOST_OFFSET_S
from collectors.stats import Stats
from config.connections import Folder, SqlDatabase
from config.errors import KgceError, StorageBusy, StorageError
from config.site import Site
from config.tables import TABLES
from storage.lake import Lake
from storage.spool import Spool
from storage.writer import SpoolWriter

if TYPE_CHECKING:
    from app.metrics_server import MetricsServer

log = logging.getLogger("kgce.daemon")

HEARTBEAT_S = 2.0
SWITCH_S = 0.0005
"""How long a thread that computes keeps the interpreter from the event loop, which asks for it
after each of its system calls."""
GC_THRESHOLDS = (50_000, 20, 20)  # allocations, and rounds of the younger generations
ON_DISK_S = 10.0
"""How long a change of the configuration waits for readings to reach the disk."""


@dataclass(frozen=True)
class Stopped:
    """What did not reach the lake before the end, and why; ``waiting`` readings are in the spool.

    ``lost`` could not be written to it either: polls that count as not running from now on, and
    messages that the broker sends again.
    """

    waiting: int
    lost: int
    trouble: str | None


@dataclass
class _Running:
    """What is open while the daemon runs; the jobs once the collectors have been made."""

    spool: Spool
    lake: Lake
    writer: SpoolWriter
    scheduled: Scheduled = field(init=False)
    server: MetricsServer | None = None


@dataclass
class Daemon:
    """Collects one plant. ``clock`` and ``interval_s`` go before the wall clock and the
    configured poll intervals (the demo reads 60 days on a fast clock).

    ``look_now`` makes it read its configuration again. What may be looked at from any thread:
    ``site``, ``collectors``, ``job_states``, ``clock_steps``, ``reloads``.
    """

    site: Site
    clock: Clock | None = None
    interval_s: float | None = None
    clock_steps: ClockSteps = field(default_factory=ClockSteps)
    job_states: dict[str, JobState] = field(default_factory=dict)
    reloads: Reloads = field(default_factory=Reloads)
    look_now: asyncio.Event = field(default_factory=asyncio.Event)
    since_us: int = field(default_factory=lambda: time.time_ns() // 1000)
    _collection: Collection = field(default_factory=Collection)
    _made_from: dict[str, str] = field(default_factory=dict)
    _metrics_trouble: str | None = None

    @property
    def collectors(self) -> list[Collector]:
        return list(self._collection.collectors.values())

    async def run(self, stop: asyncio.Event, started: Callable[[], None] | None = None) -> Stopped:
        """Collect until ``stop`` is set. Raises StorageBusy where a daemon runs already."""
        with _alone(jobs.storage_folder(self.site)), self._spool() as spool:
            running = _Running(spool, jobs.open_lake(self.site), SpoolWriter(spool))
            files = ConfigFiles(self.site.file)
            self._made_from = fingerprints(self.site)
            self._collection.start(
                {name: self._make(running.writer, self.site, name) for name in self._made_from}
            )
            running.scheduled = self._scheduled(running)
            beside = [
                endless(self._heartbeat(running), "the heartbeat"),
                endless(self._follow(files, running), "the look at the configuration"),
            ]
            if started is not None:
                started()
            await stop.wait()
            await ended(beside)
            await self._collection.end()
            return await asyncio.to_thread(self._end, running)

    def _end(self, running: _Running) -> Stopped:
        spool, writer = running.spool, running.writer
        if running.server is not None:
            running.server.close()
        running.scheduled.end()
        lost = writer.close()
        running.scheduled.run("flush")
        self._put_state(running, running_on=False)
        return Stopped(spool.waiting(), lost, self.job_states["flush"].trouble or writer.trouble)

    def _make(self, writer: SpoolWriter, site: Site, name: str) -> Collector:
        if isinstance(site.plant.connections[name], Folder):
            return FolderCollector(lambda: self.site, name)
        if isinstance(site.plant.connections[name], SqlDatabase):
            describe(site, name)  # whether it can be asked at all
            from app.databases import SqlCollector

            return SqlCollector(lambda: self.site, name)
        # By its name, so that a connection that comes or goes moves no other.
        stagger_ratio = crc32(name.encode()) / 2**32 if self.clock is None else 0.0
        return make_collector(site, name, writer, self.clock, self.interval_s, stagger_ratio)

    @contextmanager
    def _spool(self) -> Iterator[Spool]:
        spool = jobs.open_spool(self.site)
        if spool.damage is not None:
            log.warning("%s", spool.damage)
        spool.schedule(**self._schedule(self.site))
        try:
            yield spool
        finally:
            spool.close()

    def _schedule(self, site: Site) -> dict[str, Any]:
        """What the spool must know to count what is expected, and late, by the plant's days."""
        return {
            "intervals_s": polled_intervals_s(site, self.interval_s),
            "late_after_s": late_after_s(site),
            "zone": str(site.plant.plant.zone),
        }

    def _scheduled(self, running: _Running) -> Scheduled:
        work: dict[str, Callable[[], object]] = {
            "flush": lambda: self._flush(running),
            "refresh": lambda: self._refresh(running),
            "compact": lambda: jobs.compact_lake(running.lake, TABLES.values()),
        }
        return Scheduled(work, intervals_s(self.site), self.job_states)

    def _flush(self, running: _Running) -> None:
        flushed = jobs.flush_spool(self.site, running.spool, running.lake)
        if flushed.rejected:
            log.error("%d readings were refused by the lake; they are kept", flushed.rejected)

    def _refresh(self, running: _Running) -> None:
        if self.clock_steps.unbooked:
            with running.lake.lock(jobs.LOCK_TIMEOUT_S):
                book_steps(self.site, running.lake, self.clock_steps)
        jobs.refresh(self.site, running.lake)
        jobs.keep_account(self.site, running.spool, running.lake)

    async def _heartbeat(self, running: _Running) -> None:
        while True:
            self.clock_steps.look()
            with suppress(KgceError):  # a full disk is the writer's to report
                await asyncio.to_thread(self._put_state, running, running_on=True)
            await asyncio.sleep(HEARTBEAT_S)

    def _put_state(self, running: _Running, *, running_on: bool) -> None:
        state = {
            "running": running_on,
            "pid": os.getpid(),
            "since_us": self.since_us,
            "at_us": time.time_ns() // 1000,
            "queued": running.writer.queued,
            "spool_trouble": running.writer.trouble,
            "connections": [asdict(collector.health) for collector in self.collectors],
            "clock_offset_s": {
                meter_id: offset_s
                for collector in self.collectors
                for meter_id, offset_s in _clock_offsets(collector).items()
                if abs(offset_s) > MOST_OFFSET_S
            },
            "jobs": {name: asdict(job) for name, job in self.job_states.items()},
            "config_hash": self.site.config_hash,
            "config_trouble": self.reloads.trouble,
            "metrics_trouble": self._metrics_trouble,
        }
        running.spool.put_state("daemon", json.dumps(state))

    async def _follow(self, files: ConfigFiles, running: _Running) -> None:
        """Take changes of the configuration's files, and those that `look_now` asks for."""
        await self._serve_metrics(running)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self.look_now.wait()
            asked = self.look_now.is_set()
            self.look_now.clear()
            if await asyncio.to_thread(files.have_changed) or asked:
                await self._reload(running, asked)
                await asyncio.to_thread(files.take)

    async def _reload(self, running: _Running, asked: bool) -> None:
        """Take the configuration as it is now: whole, or not at all."""
        make = partial(self._make, running.writer)
        try:
            read = partial(prepare, self.site, self._made_from, load_site, make)
            new = await asyncio.to_thread(politely, read)
        except Exception as error:
            expected = isinstance(error, KgceError)
            text = str(error) if expected else f"{type(error).__name__}: {error}"
            if text != self.reloads.trouble:
                log.error(
                    "the changed configuration is refused, the one before goes on: %s",
                    text,
                    exc_info=not expected,
                )
            self.reloads.refused += 1
            self.reloads.trouble = text
            return
        before, swap = self.site.config_hash, new.swap
        after = new.site.config_hash
        if before == after and not swap:
            if asked or self.reloads.trouble:
                log.info("the configuration was read again: it is the one in use (%s)", after)
            self.reloads.trouble = None
            return
        await self._take(new, running)
        self.reloads.taken += 1
        self.reloads.trouble = None
        log.info("the configuration was changed from %s to %s: %s", before, after, swap)

    async def _take(self, new: Prepared, running: _Running) -> None:
        """Put the new configuration in the place of the old. Ticks meanwhile are not_running."""
        old, spool = self.site, running.spool
        await self._collection.stop((*new.swap.stopped, *new.swap.restarted))
        schedule = self._schedule(new.site)
        if schedule != self._schedule(old):
            # Readings of the old ticks belong to the old schedule.
            await _on_disk(running.writer)
            await _told(spool, schedule)
        self.site, self._made_from = new.site, new.made_from
        self._collection.start(new.collectors)
        jobs.set_limits(spool, new.site)
        running.scheduled.change(intervals_s(new.site))
        if new.site.plant.metrics != old.plant.metrics:
            await self._serve_metrics(running)

    async def _serve_metrics(self, running: _Running) -> None:
        """Serve metrics where the configuration says so. They are not worth a plant: what goes
        wrong is logged, and collection goes on."""
        if running.server is not None:
            await asyncio.to_thread(running.server.close)
        running.server = self._metrics_trouble = None
        if self.site.plant.metrics is None:
            return
        from app.metrics import DaemonMetrics
        from app.metrics_server import MetricsServer

        server = MetricsServer(self.site.plant.metrics)
        metrics = DaemonMetrics(self, running.spool, running.writer)
        try:
            await asyncio.to_thread(server.start, metrics)
        except KgceError as error:
            self._metrics_trouble = str(error)
            log.error("%s", error)
        else:
            running.server = server
            log.info("metrics are at %s", server.url)


async def _on_disk(writer: SpoolWriter) -> None:
    """Wait until what was offered up to now is in the spool; not for ever, as a disk may be
    full."""
    loop = asyncio.get_running_loop()
    there = asyncio.Event()

    def tell() -> None:
        with suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(there.set)

    with suppress(TimeoutError):
        async with asyncio.timeout(ON_DISK_S):
            while not writer.offer((), tell):
                await asyncio.sleep(0.05)
            await there.wait()


async def _told(spool: Spool, schedule: dict[str, Any]) -> None:
    """Tell the spool the new schedule. While it cannot be written nothing can be collected."""
    trouble = None
    while True:
        try:
            return await asyncio.to_thread(partial(spool.schedule, **schedule))
        except StorageError as error:
            if str(error) != trouble:
                trouble = str(error)
                log.error("the new schedule waits: %s", error)
            await asyncio.sleep(1.0)


def _clock_offsets(collector: Collector) -> dict[str, float]:
    """How far the clocks of a collector's devices run ahead, by meter id, in seconds."""
    stats: Stats | None = getattr(collector, "stats", None)
    return dict(stats.clock_offset_s) if stats is not None else {}


def run_until_signal(site: Site, started: Callable[[], None] | None = None) -> Stopped:
    """Run the daemon until SIGTERM or SIGINT; on SIGHUP it reads its configuration again."""

    def begun() -> None:
        # What lives as long as the daemon need not be looked through for garbage: everything
        # would stop for a good part of a second.
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        sys.setswitchinterval(SWITCH_S)
        if started is not None:
            started()

    async def main() -> Stopped:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        daemon = Daemon(site)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, daemon.look_now.set)
        return await daemon.run(stop, begun)

    return asyncio.run(main())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one daemon collects into a folder."""
    with (folder / "daemon.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StorageBusy(
                f"a daemon collects into {folder} already",
                data="nothing was changed",
                todo="stop it first, or look at it with `kgce status`",
            ) from error
        yield
