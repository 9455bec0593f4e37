"""The Modbus client against replies that are wrong on purpose: no crash, no wrong value."""

from __future__ import annotations

import asyncio
import random
import struct
from pathlib import Path

import pytest

from benchmarks.hostile import LATE_S, RATE, UNITS, Line, Tally, run, table
from collectors.modbus.connection import ReadOnlyConnection
from collectors.simulator.contents import SerialContents
from collectors.simulator.hostile import HostileServer
from collectors.simulator.spoiling import Fault, Plan, faults_of
from config.connections import ModbusRtu, ModbusTcp, SerialPort
from config.errors import ReplyRefused, ReplyTimeout
from tests.collectors.servers import SILENCE, Asked, ScriptedServer
from tests.ptys import pty_pair

REFUSED = (
    Fault.short,
    Fault.long,
    Fault.wrong_unit,
    Fault.wrong_function,
    Fault.wrong_transaction,
    Fault.wrong_protocol,
    Fault.wrong_byte_count,
    Fault.crc_error,
    Fault.exception_2,
    Fault.exception_4,
    Fault.exception_6,
    Fault.exception_11,
    Fault.garbage,
    Fault.silence,
    Fault.reset,
    Fault.close,
    Fault.deaf,
    Fault.half_open,
)
TAKEN = (Fault.byte_by_byte, Fault.stuck, Fault.rollover, Fault.clock_jump, Fault.torn)


def assert_harmless(tally: Tally) -> None:
    shown = "\n".join(table(tally))
    assert not tally.crashes, (shown, tally.crashes[:5])
    assert not tally.wrong, (shown, tally.wrong[:5])
    for fault in REFUSED:
        assert tally.count("good", fault=fault.value) == 0, (fault, shown)
    for fault in TAKEN:
        assert tally.count("good", fault=fault.value) > 0, (fault, shown)
    assert tally.count("good", fault="none") > 0, shown


def test_50_000_hostile_replies() -> None:
    tally = run(50_000, seed=3, processes=2)
    assert tally.hostile >= 50_000
    met = set(tally.outcomes)
    for framing in ("tcp", "rtu"):
        assert {(framing, fault.value) for fault in faults_of(framing)} < met
    assert_harmless(tally)
    # TCP tells a second and an earlier reply from the one that is awaited; RTU refuses both.
    for fault in (Fault.duplicate, Fault.reordered):
        assert tally.outcomes["tcp", fault.value]["good"] > 0
        assert tally.outcomes["rtu", fault.value]["good"] == 0
    assert tally.late_replies > 0


def test_hostile_replies_on_serial_ports(tmp_path: Path) -> None:
    async def scenario() -> Tally:
        tally, left = Tally(), {"serial": 1000}
        async with asyncio.TaskGroup() as tasks:
            for number in range(10):
                tasks.create_task(one_bus(number, left, tally))
        return tally

    async def one_bus(number: int, left: dict[str, int], tally: Tally) -> None:
        plan = Plan(faults_of("rtu", serial=True), RATE, number)
        with pty_pair(tmp_path / str(number)) as (here, there):
            bus = SerialPort(device=str(there), baud_rate=115200)
            async with HostileServer(
                SerialContents(UNITS), plan, serial=bus, late_s=LATE_S["rtu"]
            ) as server:
                serial = SerialPort(device=str(here), baud_rate=115200)
                settings = ModbusRtu(type="modbus_rtu", serial=serial, timeout_s=0.05)
                line = Line("serial", left, tally, random.Random(number))
                await line.ask(ReadOnlyConnection(settings, tmp_path), server)

    tally = asyncio.run(scenario())
    assert tally.hostile >= 1000
    for fault in faults_of("rtu", serial=True):
        assert ("serial", fault.value) in tally.outcomes
    assert_harmless(tally)


@pytest.mark.parametrize("missing", [1, 2, 5, 6, 8, 9, 12, 20])
def test_a_late_reply_does_not_fill_what_another_left_out(tmp_path: Path, missing: int) -> None:
    """Found by the campaign: the bytes count right, and some are the head of another reply."""

    async def scenario() -> None:
        held: list[Asked] = []

        def answer(asked: Asked) -> bytes:
            held.append(asked)
            if len(held) == 1:
                return SILENCE
            whole = asked.reply(list(asked.addresses))
            late = held[0].reply(list(held[0].addresses))
            return whole[:-missing] + late if len(held) == 2 else whole

        async with ScriptedServer(answer) as server:
            settings = ModbusTcp(type="modbus_tcp", host="127.0.0.1", port=server.port)
            connection = ReadOnlyConnection(settings, tmp_path)
            with pytest.raises(ReplyTimeout):
                await connection.read(1, 3, 100, 10, 0.2)
            with pytest.raises(ReplyRefused):
                await connection.read(1, 3, 200, 10)
            assert await connection.read(1, 3, 5, 2) == bytes.fromhex("00050006")
            connection.close()

    asyncio.run(scenario())


def test_values_that_look_like_another_request_are_values(tmp_path: Path) -> None:
    """Only the head of a reply that is still to come is refused."""
    words = [1, 0, 5, 0x0103, 0x0200]  # transaction 1, length 5, unit 1, function 3, 2 bytes

    async def scenario() -> None:
        async with ScriptedServer(lambda asked: asked.reply(words)) as server:
            settings = ModbusTcp(type="modbus_tcp", host="127.0.0.1", port=server.port)
            connection = ReadOnlyConnection(settings, tmp_path)
            for _ in range(3):
                assert await connection.read(1, 3, 0, 5) == struct.pack(">5H", *words)
            connection.close()

    asyncio.run(scenario())
