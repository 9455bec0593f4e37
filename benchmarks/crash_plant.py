"""A plant to crash: what is sent to it is numbered, so that afterwards each reading can be counted.

Messages come over MQTT from a real broker (QoS 1), files into a watched folder, and two units of a
Modbus server are polled. Everything is on loopback and in one folder.
"""

from __future__ import annotations

import json
import shutil
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

from app import jobs
from app.sites import load_site
from tests.app.commands import Daemon, inside
from tests.app.lab import (
    NUMBERED,
    ONE,
    TWO,
    UNLIMITED,
    Publisher,
    Units,
    in_lake,
    status,
    write_lab,
)
from tests.mosquitto import running_broker

MESSAGES_EVERY_S = 0.1
FILED = {
    "meter_id": "e-filed", "name": "By files", "node": "kiln", "energy": "electricity",
    "kind": "counter", "unit": "kWh", "connection": "historian",
}  # fmt: skip
MADE = {
    "meter_id": "p-filed", "name": "Cement by files", "node": "kiln", "product": "cement",
    "role": "output", "kind": "counter", "unit": "t", "connection": "historian",
}  # fmt: skip
STEP = timedelta(minutes=1)
FIRST = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=6)  # noqa: DTZ005
"""Of the files, in the plant's time; near to now, so that a full computation is a short one."""
ROWS_PER_FILE = 8
POLLED = (ONE["meter_id"], TWO["meter_id"])
BY_FILES = (FILED["meter_id"], MADE["meter_id"])
PATIENCE_S = 60.0
OFTEN = {"poll_s": 0.2, "flush_s": 0.3, "refresh_s": 1}


@dataclass(frozen=True)
class Came:
    """What came of numbered readings: how many the sender knows to be taken, and of those in the
    lake; the numbers that are not there, and those that are there more than once."""

    sent: str
    acknowledged: int
    in_lake: int
    lost: Sequence[int]
    doubled: Sequence[int]

    def __str__(self) -> str:
        return (
            f"{self.sent}: {self.acknowledged} acknowledged, {self.in_lake} in the lake, "
            f"{len(self.lost)} lost, {len(self.doubled)} doubled"
        )


@dataclass(frozen=True)
class Account:
    """The loss account of one meter, as `kgce status` gives it."""

    meter_id: str
    expected: int
    good: int
    missing: int
    dropped: int
    duplicates: int
    reasons: dict[str, int]

    @property
    def balanced(self) -> bool:
        return self.expected == self.good + self.missing + self.dropped

    def __str__(self) -> str:
        return (
            f"{self.meter_id}: expected {self.expected} = good {self.good} + missing "
            f"{self.missing} + dropped {self.dropped}; by reason {self.reasons}; "
            f"{self.duplicates} came again and were refused"
        )


@dataclass
class CrashPlant:
    """plant.yaml, what sends to it, and what has been sent. A context manager."""

    folder: Path
    storage: Path | None = None  # beside plant.yaml where not given
    intervals: Mapping[str, float] = field(default_factory=lambda: OFTEN)
    lives: list[tuple[str, int]] = field(default_factory=list)
    """Of each life how it ended, and how many messages had been published by then."""
    files: int = 0

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            self.units = opened.enter_context(Units())
            broker = opened.enter_context(running_broker(self.folder, extra=UNLIMITED))
            self.publisher = opened.enter_context(Publisher(broker.port))
            self.inbox = self.folder / "lab" / "in"
            self.inbox.mkdir(parents=True)
            watched = {"type": "folder", "path": "in", "look_s": 0.1, "settle_s": 0.1}
            storage: dict[str, Any] = {"path": str(self.storage or "data")}
            self.plant = write_lab(
                self.folder / "lab",
                modbus_port=self.units.port,
                mqtt_port=broker.port,
                # Alone at its node, so that every file changes the product's figures.
                meters=[{**ONE, "node": "mill"}, TWO, NUMBERED, FILED, MADE],
                connections={"historian": watched},
                products={"cement": {"name": "Cement", "unit": "t", "boundary": ["kiln"]}},
                imports={
                    "filed": {
                        "time": {"columns": ["time"]},
                        "values": {FILED["meter_id"]: "kWh", MADE["meter_id"]: "t"},
                    }
                },
                intervals=dict(self.intervals),
                storage=storage,
                quality={"required_coverage_ratio": 0},  # a figure of every file
            )
            self.log = self.folder / "log"
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @contextmanager
    def daemon(self, *program: str | Path) -> Iterator[Daemon]:
        """A daemon from its first moment on; killed at the end if it is still there."""
        started = partial(Daemon, program=program) if program else Daemon
        daemon = started(self.plant, self.log)
        try:
            yield daemon
        finally:
            if daemon.process.poll() is None:
                daemon.kill()
            daemon.close()

    def begin(self) -> None:
        """Let the broker know the session, and publish from then on without end."""
        with self.daemon() as daemon:
            daemon.wait_until_it_collects()
            wait_for(lambda: "connection broker: up" in status(self.plant).err)
        self.publisher.publish_all_the_time(MESSAGES_EVERY_S)

    def drop_file(self) -> None:
        """Put the next file of readings into the watched folder, whole as a careful sender does."""
        rows = ["time,kWh,t"]
        for number in range(self.files * ROWS_PER_FILE, (self.files + 1) * ROWS_PER_FILE):
            rows.append(f"{FIRST + number * STEP:%Y-%m-%d %H:%M:%S},{number},{number}")
        writing = self.inbox.parent / "writing"
        writing.write_text("\n".join(rows) + "\n", encoding="utf-8")
        writing.rename(self.inbox / f"filed-{self.files:05}.csv")
        self.files += 1

    def settle(self) -> int:
        """Publish nothing more and run until everything is taken; the daemon's exit code."""
        self.publisher.stop()
        self.publisher.wait_until_acknowledged()
        with self.daemon() as daemon:
            daemon.wait_until_it_collects()
            # What is lost never comes: not the last message, but the end of progress.
            seen, still_since_s = (-1, -1), time.monotonic()
            while time.monotonic() - still_since_s < PATIENCE_S / 4:
                now = (self.account(NUMBERED["meter_id"]).good, len(self.taken()))
                if now == (self.publisher.published, self.files):
                    break
                if now != seen:
                    seen, still_since_s = now, time.monotonic()
                time.sleep(0.2)
            return daemon.stop()

    def taken(self) -> list[str]:
        """The files that the daemon has put away as taken."""
        folder = self.inbox / "taken"
        return sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []

    def messages(self) -> Came:
        return came(
            NUMBERED["meter_id"],
            self.publisher.acknowledged,
            [int(value) for value in in_lake(self.plant, NUMBERED["meter_id"])["value"]],
        )

    def filed(self, meter_id: str) -> Came:
        """Readings of files; a file that lies in `taken` is one that kgce has acknowledged."""
        rows = (
            int(name[6:11]) * ROWS_PER_FILE + row
            for name in self.taken()
            for row in range(ROWS_PER_FILE)
        )
        there = in_lake(self.plant, meter_id)["value"]
        return came(f"{meter_id}", set(rows), [int(value) for value in there])

    def polled(self, meter_id: str) -> Came:
        """Polls by tick: acknowledged is a tick of which the account does not say not_running."""
        account = self.account(meter_id)
        ticks = in_lake(self.plant, meter_id)["sequence"].to_list()
        every = range(min(ticks), max(ticks) + 1)
        there = Counter(ticks)
        not_running = account.reasons.get("not_running", 0)
        missing = [tick for tick in every if tick not in there]
        return Came(
            meter_id,
            account.expected - not_running,
            len(ticks),
            # Whatever is not in the lake, less what the account knows not to have been polled.
            missing[not_running:],
            [tick for tick, times in there.items() if times > 1],
        )

    def account(self, meter_id: str) -> Account:
        (row,) = (row for row in status(self.plant).records() if row["meter_id"] == meter_id)
        names = ("expected", "good", "missing", "dropped", "duplicates")
        counts = {name: int(row[name]) for name in names}
        return Account(meter_id, **counts, reasons=json.loads(row["reasons"] or "{}"))

    def accounts(self) -> list[Account]:
        return [self.account(meter_id) for meter_id in (*POLLED, NUMBERED["meter_id"])]

    def faults(self) -> list[str]:
        """What of everything that was sent did not arrive, or more than once; what is off."""
        found = [self.messages(), *map(self.filed, BY_FILES), *map(self.polled, POLLED)]
        wrong = [str(one) for one in found if one.lost or one.doubled]
        return wrong + [str(account) for account in self.accounts() if not account.balanced]

    def life_of(self, message: int) -> str:
        """In which life a message was published, and how that ended: where to look for a loss."""
        life = bisect_left([published for _, published in self.lives], message)
        how = self.lives[life][0] if life < len(self.lives) else "the last"
        return f"message {message}: life {life + 1}, ended at: {how}"

    def wrong_figures(self) -> str:
        """What a full computation changes after a refresh; empty where they agree.

        Looks at a copy: the crash is left for the next daemon to deal with.
        """
        copy = self.folder / "copy"
        shutil.copytree(self.folder / "lab", copy, ignore=shutil.ignore_patterns("in", ".lock"))
        try:
            plant = copy / "plant.yaml"
            (copy / "in").mkdir()
            site, lake = load_site(plant), jobs.open_lake(load_site(plant))
            jobs.refresh(site, lake)
            before = shown(plant)
            rows = jobs.refresh(site, lake, force=True).rows
            if not any(rows.values()) and shown(plant) == before:
                return ""
            return f"rows that differ: {rows}"
        finally:
            shutil.rmtree(copy)


def shown(plant: Path) -> list[str]:
    """Every figure of consumption, by day and by month."""
    return [
        inside("show", "consumption", "--by", by, "-p", plant, "--format", "json").out
        for by in ("day", "month")
    ]


def came(sent: str, acknowledged: set[int], there: Sequence[int]) -> Came:
    """Compare the numbers that were acknowledged with those in the lake."""
    count = Counter(there)
    return Came(
        sent,
        len(acknowledged),
        len(there),
        sorted(acknowledged - count.keys()),
        sorted(number for number, times in count.items() if times > 1),
    )


def wait_for(condition: Any, patience_s: float = PATIENCE_S) -> bool:
    """Whether ``condition`` came about within ``patience_s``."""
    until_s = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > until_s:
            return False
        time.sleep(0.05)
    return True


__all__ = ["BY_FILES", "POLLED", "Account", "Came", "CrashPlant", "came", "wait_for"]
