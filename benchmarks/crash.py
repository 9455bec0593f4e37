"""The daemon killed again and again: readings acknowledged = readings in the lake, each once.

usage: python -m benchmarks.crash [KILLS] [--seed S] [--plants P] [--only TEXT]

`kgce run` is killed with SIGKILL at each write point of `benchmarks/write_points.py` and at random
moments, and started again on the same data. At the end nothing more is sent, and what was sent is
compared with the lake. Half of the kills at random moments come while it starts.

After each kill within a refresh a copy of the data is refreshed and then computed whole: nothing
may change by that. Exit code 1 where a reading was lost or came twice, an account does not balance,
figures differ, or a point was never reached.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from benchmarks.crash_plant import BY_FILES, POLLED, Account, Came, CrashPlant
from benchmarks.write_points import ALL, COMPACTION, REFRESH, Point

ROOT = Path(__file__).parents[1]
LONGEST_LIFE_S = 2.0
START_S = 1.5
REACH_S = 30.0
"""How long a daemon may take to come to its point; then it is killed where it is."""
COMPACT_S = 1.0
RANDOM = "at random"
POINTS_RATIO = 0.7
FILE_RATIO = 0.5


@dataclass
class Tally:
    """What came of a number of kills."""

    kills: Counter[str] = field(default_factory=Counter)
    unreached: Counter[str] = field(default_factory=Counter)
    came: list[Came] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    took_s: float = 0.0

    def merge(self, other: Tally) -> None:
        self.kills += other.kills
        self.unreached += other.unreached
        self.came += other.came
        self.accounts += other.accounts
        self.faults += other.faults
        self.took_s = max(self.took_s, other.took_s)

    @property
    def never(self) -> list[str]:
        """The points that were asked for, and at which no daemon was killed."""
        return sorted(self.unreached.keys() - self.kills.keys())

    @property
    def ok(self) -> bool:
        wrong = any(one.lost or one.doubled for one in self.came)
        unbalanced = any(not account.balanced for account in self.accounts)
        return not (wrong or unbalanced or self.faults or self.never)


def campaign(kills: int, seed: int, folder: Path, only: str = "") -> Tally:
    """So many kills of one plant in ``folder``; what came of everything that was sent to it."""
    since_s, chance = time.monotonic(), random.Random(seed)
    tally = Tally()
    with CrashPlant(folder) as plant:
        points = [point for point in ALL.values() if only in point.name]
        firsts = [point for point in points if point.once]
        for first in firsts[:kills]:
            _kill(plant, tally, first, chance)
        plant.begin()
        others = [point for point in points if not point.once]
        for point in drawn(others, kills - len(firsts), chance, whole=not only):
            _kill(plant, tally, point, chance)
        if plant.settle() != 0:
            tally.faults.append(f"the last run did not end well: see {plant.log}")
        _count(plant, tally)
    tally.took_s = time.monotonic() - since_s
    return tally


def drawn(
    points: list[Point], kills: int, chance: random.Random, *, whole: bool = True
) -> Iterable[Point | None]:
    """Points round by round, each round in an order of its own, and None for a random moment."""
    at_points = max(min(len(points), kills), round(POINTS_RATIO * kills)) if whole else kills
    drawn: list[Point | None] = []
    while len(drawn) < at_points:
        drawn += chance.sample(points, min(len(points), at_points - len(drawn)))
    drawn += [None] * (kills - at_points)
    chance.shuffle(drawn)
    return drawn


def _kill(plant: CrashPlant, tally: Tally, point: Point | None, chance: random.Random) -> None:
    """One life of the daemon."""
    if point is not None or chance.random() < FILE_RATIO:
        plant.drop_file()
    try:
        ended = _at_random(plant, chance) if point is None else _at_or_again(plant, point, chance)
    except AssertionError as error:  # a traceback in what it said, or another end than a kill
        ended = "another end"
        tally.faults.append(f"{point.name if point else RANDOM}: {error}")
    if ended != RANDOM and point is not None and ended != point.name:
        tally.unreached[point.name] += 1
    tally.kills[ended] += 1
    plant.lives.append((ended, plant.publisher.published))
    if point in REFRESH and (wrong := plant.wrong_figures()):
        tally.faults.append(f"after {ended}: a full computation changed figures: {wrong}")


def _at_random(plant: CrashPlant, chance: random.Random) -> str:
    with plant.daemon() as daemon:
        if chance.random() < 0.5:
            time.sleep(chance.uniform(0.0, START_S))
        else:
            daemon.wait_until_it_collects()
            time.sleep(chance.uniform(0.0, LONGEST_LIFE_S))
        daemon.kill()
    return RANDOM


def _at(plant: CrashPlant, point: Point, chance: random.Random) -> str:
    """Run a daemon that dies at ``point``; the name of the point, or that it did not come there."""
    passing = f"{point.name}:{chance.randint(*point.passings)}"
    often = ["--compact-s", str(COMPACT_S)] if point in COMPACTION else []
    program = [sys.executable, "-m", "benchmarks.write_points", *often, passing]
    with plant.daemon(*program) as daemon:
        return point.name if daemon.died(REACH_S) else f"on the way to: {point.name}"


def _at_or_again(plant: CrashPlant, point: Point, chance: random.Random) -> str:
    """The same, and once more where a busy machine did not come there in time."""
    ended = _at(plant, point, chance)
    return ended if ended == point.name else _at(plant, point, chance)


def _count(plant: CrashPlant, tally: Tally) -> None:
    tally.came = [
        plant.messages(),
        *map(plant.filed, BY_FILES),
        *map(plant.polled, POLLED),
    ]
    tally.accounts = plant.accounts()
    messages = tally.came[0]
    for number in (*messages.lost[:20], *messages.doubled[:20]):
        tally.faults.append(plant.life_of(number))
    if len(plant.taken()) != plant.files:
        tally.faults.append(f"{plant.files} files were dropped, {len(plant.taken())} were taken")
    if tally.accounts[-1].expected != plant.publisher.published:
        tally.faults.append(f"{plant.publisher.published} messages were published")
    if wrong := plant.wrong_figures():
        tally.faults.append(f"at the end a full computation changed figures: {wrong}")


def run(kills: int, seed: int, plants: int, only: str = "") -> Tally:
    """Kill ``plants`` plants beside each other."""
    tally = Tally()
    shares = [kills // plants + (number < kills % plants) for number in range(plants)]
    with tempfile.TemporaryDirectory(prefix="kgce-crash-") as name:
        folders = [Path(name) / str(number) for number in range(plants)]
        for folder in folders:
            folder.mkdir()
        seeds = range(seed, seed + plants)
        with ProcessPoolExecutor(plants, mp_context=get_context("spawn")) as pool:
            for one in pool.map(campaign, shares, seeds, folders, [only] * plants):
                tally.merge(one)
    return tally


def table(tally: Tally) -> list[str]:
    """The kills by write point, what came of what was sent, and whether the accounts balance."""
    lines = [f"{count:6} {name}" for name, count in sorted(tally.kills.items())]
    lines += [f"never reached: {name}" for name in tally.never]
    lines += [str(account) for account in tally.accounts]
    lines += [str(one) for one in tally.came]
    lines += [f"! {fault}" for fault in tally.faults]
    lost, doubled = (sum(len(getattr(one, n)) for one in tally.came) for n in ("lost", "doubled"))
    acknowledged, there = (
        sum(getattr(c, n) for c in tally.came) for n in ("acknowledged", "in_lake")
    )
    lines.append(
        f"{tally.kills.total()} kills at {len(tally.kills)} points in {tally.took_s:.0f} s: "
        f"{acknowledged} acknowledged, {there} in the lake, {lost} lost, {doubled} doubled"
    )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kills", nargs="?", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--plants", type=int, default=2, help="killed beside each other")
    parser.add_argument("--only", default="", help="only the points whose name holds this")
    given = parser.parse_args()
    tally = run(given.kills, given.seed, given.plants, given.only)
    print("\n".join(table(tally)))
    raise SystemExit(0 if tally.ok else 1)


if __name__ == "__main__":
    main()
