"""Run by test_losses: polls, messages, flushes and bookings without end, until it is killed.

Prints a line for each round that is on disk. With ``before`` or ``after`` it kills itself at the
first booking, before the lake has it, or after that and before the spool knows.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from app.loss_booking import book_losses
from app.sites import load_site
from config.tables import Reading
from storage.day_book import DayBook
from storage.flush import flush
from storage.lake import Lake
from storage.rewriting import Rewritten
from storage.spool import Spool

START_US = 1_790_812_800_000_000  # 2026-10-01T00:00Z
HOUR_US = 3_600_000_000


def ends() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


class DiesBefore(Lake):
    def rewrite(self, *_: Any, **__: Any) -> Rewritten:
        ends()
        raise AssertionError("it was killed")


class DiesAfter(Spool):
    def days_booked(self, book: DayBook) -> None:
        ends()


def round_of(number: int) -> list[Reading]:
    """A poll in three hours, a message, one that comes two days late, and a repeat of it."""
    now_us, tick = START_US + 3 * number * HOUR_US, START_US // HOUR_US + 3 * number
    good = number % 5 != 3
    old_us = now_us - 48 * HOUR_US
    old = Reading("e-mill", "kw", old_us, float(number), "good", "broker", now_us)
    return [
        Reading("e-kiln", "energy_import", now_us, float(number) if good else None,
                "good" if good else "timeout", "gateway", now_us, tick),
        Reading("e-mill", "kw", now_us, float(number), "good", "broker", now_us),
        old,
        old,
    ]  # fmt: skip


def main(plant: Path, first: int, dies: str) -> None:
    site = load_site(plant)
    lake_of = DiesBefore if dies == "before" else Lake
    spool_of = DiesAfter if dies == "after" else Spool
    lake = lake_of(site.storage_path / "lake")
    spool = spool_of(site.storage_path / "spool.db", max_bytes=1 << 30, dedupe_s=1e9)
    spool.schedule({"e-kiln": 3600.0}, zone=str(site.plant.plant.zone))
    number = first
    while True:
        spool.append(round_of(number))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        if number % 3 == 0:
            flush(spool, lake, site.id, 5)
        if number % 2 == 0:
            book_losses(site, spool, lake)
        number += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
