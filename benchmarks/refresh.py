"""How long a refresh takes when one day came, and whether it grows with the history.

    python -m benchmarks.refresh [--meters 500] [--months 1,24] [--days 5] [--keep DIR] [--verify]

Makes a plant of so many counters at one minute (`refresh_plant`), with histories of so many months
that end on the same day, and refreshes each whole. Then, day by day, it appends one day more in
small batches and refreshes again, each in a process of its own. Prints seconds on the wall and of
CPU, peak memory and rows that differ by table, and the ratio of the longest history to the
shortest. ``--keep`` leaves the histories in a folder and takes them from there the next time;
``--verify`` refreshes all anew at the end, which must change nothing. 24 months take 15 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from app import jobs
from benchmarks.pipeline import peak_mb
from benchmarks.refresh_plant import (
    Meters,
    append_day,
    end_of_history,
    fill,
    open_plant,
    write_large_plant,
)
from config.tables import TABLES

_READY = "ready.json"


@dataclass(frozen=True)
class Took:
    """One refresh: seconds on the wall and of CPU, peak memory, rows that differ by table."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    rows: dict[str, int]

    def __str__(self) -> str:
        rows = ", ".join(f"{name} {count:,}" for name, count in self.rows.items() if count)
        took = f"{self.wall_s:.2f} s, CPU {self.cpu_s:.2f} s, peak {self.peak_mb:,.0f} MB"
        return f"{took}; rows that differ: {rows or 'none'}"


def refreshed(folder: Path, *, force: bool = False) -> Took:
    """Refresh a plant in a process of its own; imports and the configuration are not timed."""
    command = [sys.executable, "-m", "benchmarks.refresh", "--one", str(folder)]
    out = subprocess.run(
        [*command, "--force"] if force else command, check=True, capture_output=True, text=True
    ).stdout
    return Took(**json.loads(out))


def refresh_here(folder: Path, *, force: bool) -> None:
    """Print, as JSON, what a refresh took in this process."""
    site, lake = open_plant(folder)
    before = time.perf_counter(), time.process_time()
    done = jobs.refresh(site, lake, force=force)
    wall_s, cpu_s = time.perf_counter() - before[0], time.process_time() - before[1]
    print(json.dumps({"wall_s": wall_s, "cpu_s": cpu_s, "peak_mb": peak_mb(), "rows": done.rows}))


def history(folder: Path, meters: int, months: int) -> dict[str, Any]:
    """A history filled and refreshed whole, or the one that is in the folder; what it took."""
    ready = folder / _READY
    if ready.exists():
        return dict(json.loads(ready.read_text(encoding="utf-8")))
    shutil.rmtree(folder, ignore_errors=True)
    write_large_plant(folder, meters)
    site, lake = open_plant(folder)
    began = time.perf_counter()
    counters = Meters(site)
    readings = fill(lake, counters, months)
    filled_s = time.perf_counter() - began
    print(f"{months} months: {readings:,} readings filled in {filled_s:.0f} s", flush=True)
    took = refreshed(folder)
    print(f"{months} months: refreshed whole in {took}", flush=True)
    jobs.compact_lake(lake, TABLES.values())
    said = {
        "readings": readings,
        "values": counters.values.tolist(),
        "end": end_of_history().isoformat(),
        "wall_s": took.wall_s,
        "peak_mb": took.peak_mb,
    }
    ready.write_text(json.dumps(said), encoding="utf-8")
    return said


def linked(old: Path, new: Path) -> None:
    """A copy of a plant's folder; the lake's data files, which nobody writes to, are linked."""

    def copy(source: str, target: str) -> None:
        is_data = source.endswith(".parquet") and "_delta_log" not in source
        (os.link if is_data and "month=" in source else shutil.copy2)(source, target)

    shutil.copytree(old, new, copy_function=copy)


def day_by_day(folder: Path, said: dict[str, Any], days: int, *, verify: bool) -> list[Took]:
    """Append days and refresh after each; what the refreshes took."""
    site, lake = open_plant(folder)
    counters = Meters(site)
    counters.values[:] = said["values"]
    found = []
    for number in range(days):
        readings = append_day(lake, counters, end_of_history() + timedelta(days=number))
        found.append(refreshed(folder))
        print(f"  {readings:,} readings came: {found[-1]}", flush=True)
    if verify:
        print(f"  all anew: {refreshed(folder, force=True)}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--meters", type=int, default=500)
    parser.add_argument("--months", default="1,24", help="lengths of history, by comma")
    parser.add_argument(
        "--days", type=int, default=5, help="days (at least one) that come one after the other"
    )
    parser.add_argument("--keep", type=Path, help="folder for the histories")
    parser.add_argument("--verify", action="store_true", help="hold against a refresh of all")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--force", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        refresh_here(given.one, force=given.force)
        return
    lengths = sorted(int(text) for text in given.months.split(","))
    print(f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    medians = {}
    with tempfile.TemporaryDirectory(prefix="kgce-bench-", dir=given.keep) as scratch:
        for months in lengths:
            kept = (given.keep or Path(scratch)) / f"{given.meters}-meters-{months}-months"
            said = history(kept, given.meters, months)
            copy = Path(scratch) / f"copy-{months}"
            linked(kept, copy)
            print(f"{months} months, {said['readings']:,} readings:", flush=True)
            found = day_by_day(copy, said, given.days, verify=given.verify)
            medians[months] = (
                statistics.median(took.wall_s for took in found),
                statistics.median(took.cpu_s for took in found),
            )
    for months, (wall_s, cpu_s) in medians.items():
        print(f"{months} months: median {wall_s:.2f} s on the wall, {cpu_s:.2f} s of CPU")
    long, short = medians[lengths[-1]], medians[lengths[0]]
    print(
        f"ratio of {lengths[-1]} to {lengths[0]} months: {long[0] / short[0]:.2f} on the wall, "
        f"{long[1] / short[1]:.2f} of CPU; load average {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
