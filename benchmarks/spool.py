"""What the durable spool costs, against a bare table of SQLite that is as durable.

    python benchmarks/spool.py [--seconds 20] [--rounds 3]

Two cases. "poll": 1,000 devices of 30 meters, each polled every second: offers of 30 readings,
30,000 readings a second. "message": 20,000 offers a second of one reading with a callback once it
is on disk, as from MQTT. Every reading goes all the way: offered from one thread, committed in
groups by the writer, moved to a Delta lake by a flush every ten seconds, forgotten by the spool.

"paced" offers at that rate and tells the CPU time of a reading, of all threads of the process;
"waited" is the longest that a thread which asks for the interpreter every millisecond waited for
it. "full" offers as fast as it goes. "bare" inserts the same readings with `executemany` into one
table in WAL mode with synchronous=FULL, 300 in a commit: no account, no refusal of repeats, no
lake. Readings are made before the clock starts.
"""

from __future__ import annotations

import argparse
import gc
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

# Run as a script, this file's folder comes first, and `import pipeline` would find another file.
sys.path[0] = str(Path(__file__).parents[1])

from config.tables import READINGS, Reading  # noqa: E402
from storage.flush import flush  # noqa: E402
from storage.lake import Lake  # noqa: E402
from storage.spool import Spool  # noqa: E402
from storage.writer import SpoolWriter  # noqa: E402

START_US = 1_790_812_800_000_000  # 2026-10-01T00:00Z
DEVICES = 1_000
METERS = 30  # of a device
FLUSH_S = 10.0
BURST_S = 0.005
RATES = {"poll": 30_000, "message": 20_000}
FLUSH_ROWS = 200_000
BARE_GROUP = 300


def polls(count: int) -> list[list[Reading]]:
    """Offers of 1,000 devices, all of them in every second."""
    offers = []
    for number in range(count // METERS):
        second, device = divmod(number, DEVICES)
        tick = START_US // 1_000_000 + second
        at_us = tick * 1_000_000 + device * 900
        offers.append(
            [
                Reading(
                    f"m{device:04}-{n:02}", "energy", at_us, second + n / 7, "good",
                    f"line{device % 50}", at_us + 4_000, tick,
                )
                for n in range(METERS)
            ]
        )  # fmt: skip
    return offers


def messages(count: int) -> list[list[Reading]]:
    """Offers of one reading each, of 2,000 meters in turn, 20,000 a second."""
    offers = []
    for number in range(count):
        at_us = START_US + number * 50
        meter = f"meter-{number % 2000:04}"
        offers.append([Reading(meter, "energy", at_us, number / 7, "good", "mqtt", at_us + 900)])
    return offers


Took = dict[str, float]
CONTENDERS = ("paced", "full", "bare")
CASES = {"poll": polls, "message": messages}


class Waits(threading.Thread):
    """Asks for the interpreter every millisecond, as an event loop does."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.longest_ms = 0.0
        self.cpu_s = 0.0
        self.ends = False

    def run(self) -> None:
        while not self.ends:
            before = time.perf_counter()
            time.sleep(0.001)
            self.longest_ms = max(self.longest_ms, (time.perf_counter() - before) * 1e3 - 1.0)
        self.cpu_s = time.thread_time()


def run_spool(folder: Path, offers: list[list[Reading]], case: str, rate: float | None) -> Took:
    """Offer, commit, flush and forget; all readings must arrive."""
    lake = Lake(folder / "lake")
    spool = Spool(folder / "spool.db", max_bytes=2 << 30, dedupe_s=48 * 3600)
    polled = {reading.meter_id: 1.0 for offer in offers[:DEVICES] for reading in offer}
    spool.schedule(polled if case == "poll" else {})
    # The first batch of a lake makes its table.
    spool.append([Reading("first", "energy", START_US, 0.0, "good", "", START_US)])
    flush(spool, lake, "works", FLUSH_ROWS)
    durable = 0

    def on_durable() -> None:
        nonlocal durable
        durable += 1

    ended = threading.Event()

    def flush_now_and_then() -> None:
        while not ended.wait(FLUSH_S):
            flush(spool, lake, "works", FLUSH_ROWS)

    flusher, waits = threading.Thread(target=flush_now_and_then), Waits()
    wall, cpu = time.perf_counter(), time.process_time()
    flusher.start()
    waits.start()
    with SpoolWriter(spool) as writer:
        callback = on_durable if case == "message" else None
        burst = round(BURST_S * rate / len(offers[0])) if rate else 1_000
        for start in range(0, len(offers), burst):
            for offer in offers[start : start + burst]:
                while not writer.offer(offer, callback):
                    time.sleep(BURST_S)
            if rate:
                due = wall + (start + burst) * len(offers[0]) / rate
                time.sleep(max(0.0, due - time.perf_counter()))
    ended.set()
    flusher.join()
    flush(spool, lake, "works", FLUSH_ROWS)
    waits.ends = True
    waits.join()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu - waits.cpu_s
    check(spool, lake, sum(map(len, offers)))
    if callback and durable != len(offers):
        raise SystemExit(f"{durable} of {len(offers)} callbacks were called")
    return {"wall_s": wall, "cpu_s": cpu, "wait_ms": waits.longest_ms}


def check(spool: Spool, lake: Lake, total: int) -> None:
    """Every reading and the first one are in the account and in the lake."""
    rows = lake.scan(READINGS, "works").select("value").collect().height
    good = sum(one.good for one in spool.account())
    waiting = spool.waiting()
    spool.close()
    if (rows, good, waiting) != (total + 1, total + 1, 0):
        raise SystemExit(f"{rows} in the lake, {good} good, {waiting} waiting, of {total + 1}")


def run_bare(folder: Path, offers: list[list[Reading]]) -> Took:
    """The least that durable rows of SQLite cost."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "CREATE TABLE readings(seq INTEGER PRIMARY KEY, meter_id TEXT, quantity TEXT, "
        "time_us INTEGER, value REAL, status TEXT, source TEXT, received_us INTEGER, "
        "sequence INTEGER) STRICT"
    )
    insert = "INSERT INTO readings VALUES(NULL, ?, ?, ?, ?, ?, ?, ?, ?)"
    step = BARE_GROUP // len(offers[0])
    wall, cpu = time.perf_counter(), time.process_time()
    for start in range(0, len(offers), step):
        connection.execute("BEGIN")
        connection.executemany(
            insert, (row for part in offers[start : start + step] for row in part)
        )
        connection.execute("COMMIT")
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    connection.close()
    return {"wall_s": wall, "cpu_s": cpu, "wait_ms": 0.0}


def one(name: str, case: str, seconds: float, folder: Path) -> None:
    """Run one contender and print what it took, as JSON."""
    offers = CASES[case](round(RATES[case] * seconds))
    gc.freeze()
    if name == "bare":
        took = run_bare(folder, offers)
    else:
        took = run_spool(folder, offers, case, RATES[case] if name == "paced" else None)
    print(json.dumps(took))


def measure_case(case: str, seconds: float, rounds: int) -> None:
    took: dict[str, list[Took]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name in CONTENDERS:
            with tempfile.TemporaryDirectory(prefix="kgce-bench-") as folder:
                command = [sys.executable, __file__, "--one", name, "--case", case]
                command += ["--seconds", str(seconds), "--folder", folder]
                out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                took[name].append(json.loads(out))
    readings = round(RATES[case] * seconds)
    print(f"\n{case}: {readings:,} readings, {rounds} rounds, medians")
    print(f"{'':6}{'readings/s':>12}{'CPU us':>9}{'of a core':>11}{'waited ms':>11}")
    for name, runs in took.items():
        middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        print(
            f"{name:6}{readings / middle['wall_s']:>12,.0f}{middle['cpu_s'] / readings * 1e6:>9.2f}"
            f"{middle['cpu_s'] / middle['wall_s']:>11.0%}{middle['wait_ms']:>11.1f}"
        )
    for name in ("paced", "full"):
        cpu = statistics.median(
            a["cpu_s"] / b["cpu_s"] for a, b in zip(took[name], took["bare"], strict=True)
        )
        print(f"{name}: {cpu:.2f} times the CPU time of the bare table")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of a case at its rate")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case", choices=tuple(CASES), help="only this one")
    parser.add_argument("--one", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.one, given.case, given.seconds, given.folder)
        return
    for case in [given.case] if given.case else CASES:
        measure_case(case, given.seconds, given.rounds)


if __name__ == "__main__":
    main()
