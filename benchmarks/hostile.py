"""Hostile replies against the Modbus client: which fault ends how, and no wrong value.

usage: python -m benchmarks.hostile [REPLIES] [--seed N] [--processes N]

Half of the lines speak Modbus TCP, half RTU over TCP; each has a server of its own on loopback,
whose registers hold something else for every request, so that a stale or foreign value shows. Nine
of ten requests meet a fault. A value is wrong where it differs from what the server held for that
very request; the faults stuck, rollover, clock_jump and torn are values that the device itself
shows in a right frame: the client has to hand them over, and the pipeline judges them.

RTU cannot tell a reply that comes later than time-out plus quiet time from one to the same question
asked again. So `late` is, on RTU, a reply that comes within both: while the client listens.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from collectors.modbus.connection import ReadOnlyConnection
from collectors.simulator.contents import SerialContents
from collectors.simulator.hostile import HostileServer
from collectors.simulator.spoiling import VALUE_FAULTS, Fault, Plan, faults_of
from config.connections import ModbusRtu, ModbusTcp
from config.errors import CollectError, DeviceException

TIMEOUT_S = 0.05
# On RTU inside the time-out and the least time that the line then listens for, 0.1 s.
LATE_S = {"tcp": (0.06, 0.15), "rtu": (0.06, 0.12)}
RATE = 0.9
LINES = {"tcp": 8, "rtu": 48}  # in one process; an RTU line waits most of the time
HANG_UP_AFTER = 2  # time-outs in a row, as the collector does when nobody answers
UNITS = range(1, 6)
OUTCOMES = ("good", "timeout", "bad_reply", "exception", "not_connected", "asked_again")
Row = tuple[str, str]  # framing, fault or "none"


@dataclass
class Tally:
    """What came of the requests, by framing and fault."""

    outcomes: dict[Row, Counter[str]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    connects: int = 0
    late_replies: int = 0
    unasked: int = 0  # reads that could not connect in time

    def add(self, framing: str, fault: Fault | None, outcome: str) -> None:
        row = framing, fault.value if fault is not None else "none"
        self.outcomes.setdefault(row, Counter())[outcome] += 1

    def merge(self, other: Tally) -> None:
        for row, counts in other.outcomes.items():
            self.outcomes.setdefault(row, Counter()).update(counts)
        self.wrong += other.wrong
        self.crashes += other.crashes
        self.connects += other.connects
        self.late_replies += other.late_replies
        self.unasked += other.unasked

    @property
    def hostile(self) -> int:
        """Requests that met a fault."""
        return sum(
            sum(counts.values()) for (_, fault), counts in self.outcomes.items() if fault != "none"
        )

    def count(self, outcome: str, *, fault: str | None = None) -> int:
        return sum(
            counts[outcome]
            for (_, name), counts in self.outcomes.items()
            if fault is None or name == fault
        )


async def campaign(replies: int, seed: int) -> Tally:
    """``replies`` hostile replies in this process, on all lines at once."""
    tally = Tally()
    drawn = random.Random(seed)
    left = {"tcp": replies - replies // 2, "rtu": replies // 2}
    async with asyncio.TaskGroup() as tasks:
        for framing, many in LINES.items():
            for _ in range(many):
                line = Line(framing, left, tally, random.Random(drawn.getrandbits(32)))
                tasks.create_task(line.run(drawn.getrandbits(32)))
    return tally


@dataclass
class Line:
    """One client that asks until what is ``left`` for its framing is used up."""

    framing: str
    left: dict[str, int]
    tally: Tally
    drawn: random.Random

    async def run(self, seed: int) -> None:
        """Against a server of its own on loopback."""
        plan = Plan(faults_of(self.framing), RATE, seed)
        contents, late_s = SerialContents(UNITS), LATE_S[self.framing]
        async with HostileServer(contents, plan, framing=self.framing, late_s=late_s) as server:
            await self.ask(_connection(self.framing, server.port), server)

    async def ask(self, connection: ReadOnlyConnection, server: HostileServer) -> None:
        silent = 0
        while self.left[self.framing] > 0:
            outcome, met = await self._read(connection, server)
            self.left[self.framing] -= sum(fault is not None for fault in met)
            silent = silent + 1 if outcome == "timeout" else 0
            if silent >= HANG_UP_AFTER:
                connection.close()
                silent = 0
        connection.close()
        self.tally.connects += connection.connects
        self.tally.late_replies += connection.late_replies

    async def _read(
        self, connection: ReadOnlyConnection, server: HostileServer
    ) -> tuple[str, list[Fault | None]]:
        """One read, which may be two requests: its outcome, and the fault of each request."""
        met: list[Fault | None] = []
        server.told = lambda served: met.append(served.fault)
        unit, count = self.drawn.choice(UNITS), self.drawn.randrange(2, 21)
        address, function = self.drawn.randrange(1000 - count), self.drawn.choice((3, 4))
        wire = b""
        try:
            wire = await connection.read(unit, function, address, count)
            outcome = "good"
        except CollectError as error:
            outcome = "exception" if isinstance(error, DeviceException) else error.status
        except Exception as error:
            self.tally.crashes.append(f"{self.framing}, {met}: {error!r}")
            connection.close()
            outcome = "crash"
        for fault in met[:-1]:
            self.tally.add(self.framing, fault, "asked_again")
        if met:
            self.tally.add(self.framing, met[-1], outcome)
        else:
            self.tally.unasked += 1
        if outcome == "good" and (server.last is None or wire != server.last.right):
            where = f"unit {unit}, {count} registers from {address}"
            self.tally.wrong.append(f"{self.framing}, {met}: {where}: {wire.hex()}")
        return outcome, met


def _connection(framing: str, port: int) -> ReadOnlyConnection:
    here = {"host": "127.0.0.1", "port": port, "timeout_s": TIMEOUT_S}
    if framing == "rtu":
        return ReadOnlyConnection(ModbusRtu(type="modbus_rtu", **here), Path.cwd())
    return ReadOnlyConnection(ModbusTcp(type="modbus_tcp", **here), Path.cwd())


def run_part(replies: int, seed: int) -> Tally:
    return asyncio.run(campaign(replies, seed))


def run(replies: int, seed: int, processes: int) -> Tally:
    """``replies`` hostile replies, shared by some processes."""
    total = Tally()
    part = -(-replies // processes)
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        for tally in pool.map(run_part, [part] * processes, range(seed, seed + processes)):
            total.merge(tally)
    return total


def table(tally: Tally) -> Iterator[str]:
    """The lines of the table fault -> outcomes."""
    yield f"{'framing':8}{'fault':18}" + "".join(f"{name:>15}" for name in OUTCOMES)
    for framing in ("tcp", "rtu"):
        for fault in ["none", *(f.value for f in Fault)]:
            if counts := tally.outcomes.get((framing, fault)):
                cells = "".join(f"{counts[name]:>15,}" for name in OUTCOMES)
                yield f"{framing:8}{fault:18}{cells}"
    shown = sum(tally.count("good", fault=fault.value) for fault in VALUE_FAULTS)
    yield (
        f"{tally.hostile:,} hostile replies, {tally.count('good', fault='none'):,} honest ones good"
    )
    yield f"{shown:,} values that the device itself showed wrongly, in right frames: handed over"
    yield f"{tally.connects:,} connections, {tally.late_replies:,} late replies passed over"
    yield f"{tally.unasked:,} reads that had no connection in time, and asked nothing"
    yield f"{len(tally.crashes)} crashes"
    yield f"{len(tally.wrong)} wrong values accepted"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("replies", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    began = time.monotonic()
    tally = run(given.replies, given.seed, given.processes)
    print("\n".join(table(tally)))
    print(f"{time.monotonic() - began:.0f} s, seed {given.seed}")
    for line in [*tally.crashes[:20], *tally.wrong[:20]]:
        print(line)
    return 1 if tally.crashes or tally.wrong else 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
