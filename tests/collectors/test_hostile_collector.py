"""The whole Modbus collector on a hostile line: one reading a tick, and none that is wrong."""

from __future__ import annotations

import asyncio
import bisect
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from collectors.memory import MemorySink
from collectors.modbus.collector import ModbusCollector
from collectors.simulator.contents import SerialContents
from collectors.simulator.hostile import HostileServer, Served
from collectors.simulator.spoiling import VALUE_FAULTS, Plan, faults_of
from config.tables import Reading
from tests.collectors.sites import meter, site_of
from tests.collectors.waiting import running, until

UNITS = range(1, 5)
REGISTERS = range(10, 20)
INTERVAL_S = 0.5
LATE_S = (0.21, 0.28)  # behind the time-out, and on RTU before the end of the quiet time
FEWEST_GOOD = 120


class Truth:
    """What each register held at each request, by the time of the request."""

    def __init__(self) -> None:
        self._times: dict[tuple[int, int], list[int]] = {}
        self._words: dict[tuple[int, int], list[int | None]] = {}

    def note(self, served: Served) -> None:
        now_us = time.time_ns() // 1000
        address = int.from_bytes(served.asked.pdu[1:3], "big")
        count = int.from_bytes(served.asked.pdu[3:5], "big")
        for index in range(count):
            right = served.right
            word = int.from_bytes(right[2 * index : 2 * index + 2], "big") if right else None
            place = served.asked.unit, address + index
            self._times.setdefault(place, []).append(now_us)
            self._words.setdefault(place, []).append(word)

    def at(self, unit: int, register: int, received_us: int) -> int | None:
        """What the last request before ``received_us`` ought to have been given."""
        place = unit, register
        return self._words[place][bisect.bisect_right(self._times[place], received_us) - 1]


def rows() -> dict[str, dict[str, Any]]:
    return {
        f"m-{unit}-{register}": meter(
            "gw", kind="gauge", unit="kW", unit_id=unit, register=register, type="u16"
        )
        for unit in UNITS
        for register in REGISTERS
    }


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
def test_no_wrong_reading(tmp_path: Path, framing: str) -> None:
    async def scenario() -> tuple[list[Reading], Truth, Counter[Any]]:
        # A value fault shows another moment's words, and they would be taken for stale ones.
        faults = [fault for fault in faults_of(framing) if fault not in VALUE_FAULTS]
        truth, sink = Truth(), MemorySink()
        contents = SerialContents(UNITS)
        async with HostileServer(
            contents, Plan(faults, 0.4, seed=8), framing=framing, late_s=LATE_S
        ) as server:
            server.told = truth.note
            connection = {
                "type": f"modbus_{framing}",
                "host": "127.0.0.1",
                "port": server.port,
                "timeout_s": 0.2,
                "interval_s": INTERVAL_S,
            }
            site = site_of(tmp_path, {"gw": connection}, rows())
            async with running(ModbusCollector(site, "gw", sink)):
                await until(lambda: goods(sink.readings) >= FEWEST_GOOD, "good readings")
            return list(sink.readings), truth, server.faults

    readings, truth, faults = asyncio.run(scenario())
    assert len([fault for fault in faults if fault is not None]) > 5
    for reading in readings:
        _, unit, register = reading.meter_id.split("-")
        if reading.status == "good":
            right = truth.at(int(unit), int(register), reading.received_us)
            assert reading.value == right, reading
        else:
            assert reading.value is None
    ticks = Counter((reading.meter_id, reading.sequence) for reading in readings)
    assert set(ticks.values()) == {1}
    assert len({reading.status for reading in readings}) > 2


def goods(readings: list[Reading]) -> int:
    return sum(reading.status == "good" for reading in readings)
