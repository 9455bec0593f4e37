"""`kgce watch`: live values in the terminal.

Beside a running daemon it looks into the spool and the lake, and never at a line: a gateway that
serves one client goes on serving the daemon. Without a daemon it can poll the meters itself.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from app.collection import Collection
from app.language import Lang
from app.latest import Beside, Latest
from app.options import Format
from app.output import emit
from app.watch_rows import NEVER, Row, frame_of, rows_of, table_of, watched
from collectors.base import Collector
from collectors.connections import make_collector
from collectors.memory import MemorySink
from config.connections import POLLED
from config.errors import InputError
from config.models import Meter
from config.site import Site
from storage.lake import Lake

REFRESH_S = 1.0
SKIPPED = "skipped"
FIRST_VALUES_S = 60.0
"""How long `--read --once` waits for every meter's first outcome."""
_FRAME_LINES = 6  # title, headings, rule, and what is left out

NO_DAEMON = (
    "no daemon runs here: these are the last values seen. `kgce run` starts one; "
    "`kgce watch --read` polls the meters itself"
)


@dataclass(frozen=True)
class Wish:
    """How the values are to be shown."""

    lang: Lang
    once: bool = False
    form: Format = Format.table
    output: Path | None = None
    every_s: float = 5.0


class DaemonSource:
    """What a running daemon wrote down."""

    interval_s: float | None = None

    def __init__(self, site: Site, lake: Lake, meters: Sequence[Meter], lang: Lang) -> None:
        self._beside = Beside(site, lake, [meter.meter_id for meter in meters])
        self._site = site
        self._lang = lang

    @property
    def daemon_runs(self) -> bool:
        return self._beside.daemon_runs

    def runs_now(self) -> bool:
        """Whether a daemon runs; looks at nothing else. Raises StorageError."""
        self._beside.look_at_daemon()
        return self.daemon_runs

    def look(self) -> tuple[Latest, dict[str, str]]:
        """What is known now, and the connections' states."""
        self._beside.look()
        state = self._beside.state
        connections = state.get("connections", ()) if self.daemon_runs else ()
        return self._beside.latest, {one["connection"]: one["state"] for one in connections}

    def title(self) -> str:
        zh = self._lang == "zh"
        if self.daemon_runs:
            said = "采集程序运行中" if zh else "daemon running"
        else:
            said = "采集程序未运行，数值为最后所见" if zh else "NO DAEMON RUNS: last values seen"
        return f"{self._site.plant.plant.name} · {said}"


class OwnSource:
    """What collectors of this process read."""

    daemon_runs = True

    def __init__(
        self, site: Site, collectors: Sequence[Collector], sink: MemorySink, interval_s: float,
        lang: Lang,
    ) -> None:  # fmt: skip
        self._site = site
        self._collectors = collectors
        self._sink = sink
        self._latest = Latest()
        self._lang = lang
        self.interval_s = interval_s

    def look(self) -> tuple[Latest, dict[str, str]]:
        taken, self._sink.readings = self._sink.readings, []
        # Here nobody is hurt by a tick that is passed over.
        self._latest.take(reading for reading in taken if reading.status != SKIPPED)
        healths = [collector.health for collector in self._collectors]
        return self._latest, {health.connection: health.state for health in healths}

    def title(self) -> str:
        every = f"{self.interval_s:g} s"
        said = f"自行读取，间隔 {every}" if self._lang == "zh" else f"reading every {every}"
        return f"{self._site.plant.plant.name} · {said}"


Source = DaemonSource | OwnSource


Said = tuple[int, str]
"""Exit code, and what is to be said at the end; empty where nothing is."""


def watch(site: Site, lake: Lake, names: Sequence[str], wish: Wish) -> Said:
    """Show what a daemon collects, until Ctrl-C; without one, the last values once, and say so.

    Raises InputError for a name that fits no meter.
    """
    meters = watched(site, names)
    source = DaemonSource(site, lake, meters, wish.lang)
    rows = _rows(site, meters, source)
    if wish.once or not source.daemon_runs:
        _show_once(site, rows, source, wish)
        return (0, "") if source.daemon_runs else (1, NO_DAEMON)
    console = Console()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(_screen(rows, source, wish, console), refresh=True)
            time.sleep(REFRESH_S)
            rows = _rows(site, meters, source)


def watch_own(site: Site, lake: Lake, names: Sequence[str], wish: Wish) -> Said:
    """Poll the meters, and show what they say, until Ctrl-C; or once all have been asked.

    Nothing is stored. Raises InputError beside a daemon, which has the lines; for names that fit
    no meter; and where none of the meters is on a line that is polled.
    """
    if DaemonSource(site, lake, (), wish.lang).runs_now():
        raise InputError(
            "a daemon runs here, and a line serves one at a time",
            allowed="--read without a daemon",
            data="nothing was asked of any meter",
            todo="`kgce watch` without --read shows what the daemon reads",
        )
    meters = watched(site, names)
    polled = [meter for meter in meters if isinstance(_connection(site, meter), POLLED)]
    if not polled:
        raise InputError(
            "none of these meters is on a line that is polled",
            allowed="Modbus and DL/T 645; messages are the broker's to send, and taking them "
            "here would take them from the daemon",
            todo="`kgce run`, then `kgce watch`",
        )
    asyncio.run(_watch_own(site, polled, wish))
    others = len(meters) - len(polled)
    return 0, f"{others} meters are on no line that is polled, and were not read" if others else ""


def _connection(site: Site, meter: Meter) -> object:
    return site.plant.connections.get(meter.connection or "")


async def _watch_own(site: Site, meters: Sequence[Meter], wish: Wish) -> None:
    async with _reading(site, meters, wish) as source:
        if wish.once:
            give_up_s = time.monotonic() + FIRST_VALUES_S
            rows = _rows(site, meters, source)
            while any(row.status == NEVER for row in rows) and time.monotonic() < give_up_s:
                await asyncio.sleep(0.1)
                rows = _rows(site, meters, source)
            _show_once(site, rows, source, wish)
            return
        console = Console()
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                rows = _rows(site, meters, source)
                live.update(_screen(rows, source, wish, console), refresh=True)
                await asyncio.sleep(REFRESH_S)


@asynccontextmanager
async def _reading(site: Site, meters: Sequence[Meter], wish: Wish) -> AsyncIterator[OwnSource]:
    """Collectors of these meters alone, into memory."""
    few = {meter.meter_id: meter for meter in meters}
    alone = replace(site, plant=site.plant.model_copy(update={"meters": few}))
    names = dict.fromkeys(meter.connection or "" for meter in meters)
    sink = MemorySink()
    collection = Collection()
    collection.start(
        {name: make_collector(alone, name, sink, interval_s=wish.every_s) for name in names}
    )
    collectors = list(collection.collectors.values())
    try:
        yield OwnSource(site, collectors, sink, wish.every_s, wish.lang)
    finally:
        await collection.end()


def _rows(site: Site, meters: Sequence[Meter], source: Source) -> list[Row]:
    latest, states = source.look()
    return rows_of(site, meters, latest, states, time.time_ns() // 1000, source.interval_s)


def _screen(rows: Sequence[Row], source: Source, wish: Wish, console: Console) -> Table:
    most = console.size.height - _FRAME_LINES
    return table_of(rows, source.title(), wish.lang, most)


def _show_once(site: Site, rows: Sequence[Row], source: Source, wish: Wish) -> None:
    if wish.form is not Format.table or wish.output is not None:
        zone = site.plant.plant.zone
        emit(frame_of(rows), wish.form, wish.output, lang=wish.lang, zone=zone)
        return
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table_of(rows, source.title(), wish.lang))
