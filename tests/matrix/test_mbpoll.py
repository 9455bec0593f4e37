"""Our simulator, read by mbpoll: a client that nobody here wrote, over TCP and a serial line."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path

import pytest

from collectors.simulator.contents import MeterContents
from collectors.simulator.hostile import HostileServer
from collectors.simulator.spoiling import Plan
from config.register_map import Device
from tests.matrix.servers import need
from tests.ptys import pty_pair
from tests.simulating import simulating

LINE = re.compile(r"^\[(\d+)\]: \t(\S+)", re.MULTILINE)
ANSWER_WITHIN_S = "5"

# A meter whose gauges stand still at what its valid range leaves them.
STILL = {
    "power": {"address": 10, "type": "f32", "kind": "gauge", "unit": "kW", "valid": [1234.5, 1235]},
    "below": {"address": 12, "type": "i32", "kind": "gauge", "unit": "kW", "valid": [-9, -7]},
    "volts": {"address": 14, "type": "u16", "kind": "gauge", "unit": "V", "scale": 0.1},
}


def mbpoll(*arguments: str) -> dict[int, str]:
    """What it read, by register. Raises CalledProcessError where it could read nothing."""
    need("mbpoll", "mbpoll")
    command = ["mbpoll", "-0", "-1", "-o", ANSWER_WITHIN_S, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return {int(register): value for register, value in LINE.findall(ran.stdout)}


def test_registers_over_tcp() -> None:
    with simulating("--port", "0", "--units", "3,17") as simulation:
        to = ("-m", "tcp", "-p", str(simulation.port), "127.0.0.1")
        for unit in ("3", "17"):
            for table in ("3", "4"):
                read = mbpoll(*to, "-a", unit, "-t", table, "-r", "1000", "-c", "125")
                assert read == {r: str(r) for r in range(1000, 1125)}
        big_endian = mbpoll(*to, "-a", "3", "-t", "4:int", "-B", "-r", "300", "-c", "2")
        assert big_endian == {300: str(300 << 16 | 301), 302: str(302 << 16 | 303)}
        with pytest.raises(subprocess.CalledProcessError) as refused:
            mbpoll(*to, "-a", "4", "-r", "1")
        assert "Target device failed to respond" in refused.value.stderr
        simulation.end()
    assert simulation.summary == ["6 requests, 6 without a fault"]


def test_registers_on_a_serial_line(tmp_path: Path) -> None:
    need("socat", "socat")
    with (
        pty_pair(tmp_path / "line") as (here, there),
        simulating("--rtu", there, "--baud", "19200", "--units", "9") as simulation,
    ):
        assert simulation.said[0] == f"Modbus RTU on {there} at 19200 Bd"
        read = mbpoll(
            "-m", "rtu", "-b", "19200", "-P", "none", "-a", "9", "-r", "40", "-c", "125", str(here)
        )
        simulation.end()
    assert read == {r: str(r) for r in range(40, 165)}


def test_values_of_a_meter() -> None:
    async def scenario() -> tuple[dict[int, str], ...]:
        contents = MeterContents()
        device = Device.model_validate(
            {"maker": "m", "model": "m", "source": "made up", "ct_pt": "none", "fields": STILL}
        )
        contents.put_device(1, device)
        async with HostileServer(contents, Plan((), 0.0, seed=1)) as server:
            to = ("-m", "tcp", "-p", str(server.port), "127.0.0.1")
            return (
                await asyncio.to_thread(mbpoll, *to, "-t", "4:float", "-B", "-r", "10"),
                await asyncio.to_thread(mbpoll, *to, "-t", "4:int", "-B", "-r", "12"),
                await asyncio.to_thread(mbpoll, *to, "-t", "4", "-r", "14"),
            )

    power, below, volts = asyncio.run(scenario())
    assert 1234.5 <= float(power[10]) <= 1235
    assert -9 <= int(below[12]) <= -7
    assert 2185 <= int(volts[14]) <= 2415
