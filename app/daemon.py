"""The daemon: collectors that never wait for each other, and three jobs on a schedule.

It runs until SIGTERM or SIGINT, then takes what is on its way, flushes, and ends. Killed at any
moment it loses nothing that it had acknowledged.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from app import jobs
from collectors.base import Clock, Collector
from collectors.connections import make_collector
from config.connections import POLLED, Files
from config.errors import KgceError, StorageBusy
from config.site import Site
from config.tables import TABLES
from storage.lake import Lake
from storage.spool import Spool
from storage.writer import SpoolWriter

log = logging.getLogger("kgce.daemon")

HEARTBEAT_S = 2.0


@dataclass
class JobState:
    """What a scheduled job last did; shown by `kgce status`."""

    last_ok_us: int | None = None
    trouble: str | None = None


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
class Daemon:
    """Collects one plant. ``clock`` and ``interval_s`` go before the wall clock and the
    configured poll intervals (the demo reads 60 days on a fast clock)."""

    site: Site
    clock: Clock | None = None
    interval_s: float | None = None
    collectors: list[Collector] = field(default_factory=list)
    job_states: dict[str, JobState] = field(default_factory=dict)
    since_us: int = field(default_factory=lambda: time.time_ns() // 1000)

    async def run(self, stop: asyncio.Event, started: Callable[[], None] | None = None) -> Stopped:
        """Collect until ``stop`` is set. Raises StorageBusy where a daemon runs already."""
        with _alone(jobs.storage_folder(self.site)), self._spool() as spool:
            lake = jobs.open_lake(self.site)
            writer = SpoolWriter(spool)
            self.collectors = [
                make_collector(self.site, name, writer, self.clock, self.interval_s)
                for name, connection in self.site.plant.connections.items()
                if not isinstance(connection, Files)
            ]
            scheduler = self._schedule(spool, lake)
            tasks = [asyncio.create_task(collector.run()) for collector in self.collectors]
            tasks.append(asyncio.create_task(self._heartbeat(spool, writer)))
            if started is not None:
                started()
            await self._until(stop, tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(scheduler.shutdown)
            lost = await asyncio.to_thread(writer.close)
            await asyncio.to_thread(self._job, "flush", lambda: self._flush(spool, lake))
            self._put_state(spool, writer, running=False)
            return Stopped(
                spool.waiting(), lost, self.job_states["flush"].trouble or writer.trouble
            )

    @contextmanager
    def _spool(self) -> Iterator[Spool]:
        spool = jobs.open_spool(self.site)
        if spool.damage is not None:
            log.warning("%s", spool.damage)
        plant = self.site.plant
        spool.schedule(
            {
                meter_id: self.interval_s or plant.interval_s(meter)
                for meter_id, meter in plant.meters.items()
                if meter.connection is not None
                and isinstance(plant.connections[meter.connection], POLLED)
            }
        )
        try:
            yield spool
        finally:
            spool.close()

    async def _until(self, stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
        """Wait for ``stop``. A collector that ends by itself is a bug: it is logged, the others
        go on."""
        stopping = asyncio.create_task(stop.wait())
        watched = set(tasks)
        while not stopping.done():
            done, _ = await asyncio.wait({stopping, *watched}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                watched.discard(task)
                log.critical("a collector ended by itself", exc_info=task.exception())

    def _schedule(self, spool: Spool, lake: Lake) -> Any:
        from apscheduler.schedulers.background import BackgroundScheduler

        every = self.site.plant.intervals
        scheduler = BackgroundScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1}
        )
        work: tuple[tuple[str, float, Callable[[], object]], ...] = (
            ("flush", every.flush_s, lambda: self._flush(spool, lake)),
            ("refresh", every.refresh_s, lambda: jobs.refresh(self.site, lake)),
            (
                "compact",
                every.compact_h * 3600,
                lambda: jobs.compact_lake(lake, TABLES.values()),
            ),
        )
        for name, seconds, job in work:
            self.job_states[name] = JobState()
            scheduler.add_job(
                self._job,
                "interval",
                args=(name, job),
                seconds=seconds,
                id=name,
                misfire_grace_time=None,
            )
        scheduler.start()
        return scheduler

    def _flush(self, spool: Spool, lake: Lake) -> None:
        flushed = jobs.flush_spool(self.site, spool, lake)
        if flushed.rejected:
            log.error("%d readings were refused by the lake; they are kept", flushed.rejected)

    def _job(self, name: str, job: Callable[[], object]) -> None:
        """Run a job; its trouble is logged when it changes, and the next run tries again."""
        state = self.job_states.setdefault(name, JobState())
        try:
            job()
        except Exception as error:
            expected = isinstance(error, KgceError)
            text = str(error) if expected else f"{type(error).__name__}: {error}"
            if text != state.trouble:
                log.error("%s: %s", name, text, exc_info=not expected)
            state.trouble = text
        else:
            if state.trouble is not None:
                log.info("%s works again", name)
            state.last_ok_us, state.trouble = time.time_ns() // 1000, None

    async def _heartbeat(self, spool: Spool, writer: SpoolWriter) -> None:
        while True:
            with suppress(KgceError):  # a full disk is the writer's to report
                await asyncio.to_thread(self._put_state, spool, writer, running=True)
            await asyncio.sleep(HEARTBEAT_S)

    def _put_state(self, spool: Spool, writer: SpoolWriter, *, running: bool) -> None:
        state = {
            "running": running,
            "pid": os.getpid(),
            "since_us": self.since_us,
            "at_us": time.time_ns() // 1000,
            "queued": writer.queued,
            "spool_trouble": writer.trouble,
            "connections": [asdict(collector.health) for collector in self.collectors],
            "jobs": {name: asdict(job) for name, job in self.job_states.items()},
        }
        spool.put_state("daemon", json.dumps(state))


def run_until_signal(site: Site, started: Callable[[], None] | None = None) -> Stopped:
    """Run the daemon until SIGTERM or SIGINT."""

    async def main() -> Stopped:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        return await Daemon(site).run(stop, started)

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
