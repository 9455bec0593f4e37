"""The Modbus server, asked by two clients that nobody here wrote, and by raw bytes."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pyModbusTCP.client import ModbusClient

from collectors.simulator import CementPlant, FastClock, ModbusServer
from collectors.simulator.modbus_server import wire_bytes
from collectors.simulator.plant import DAY_US

PLANT = CementPlant(date(2026, 9, 1))
NOW_US = PLANT.start_us + 3 * DAY_US + 12_345_678


def with_client(
    ask: Callable[[AsyncModbusTcpClient, ModbusServer], Awaitable[Any]], now_us: int = NOW_US
) -> Any:
    async def scene() -> Any:
        async with ModbusServer(PLANT, FastClock(now_us, 1)) as server:
            client = AsyncModbusTcpClient("127.0.0.1", port=server.port)
            assert await client.connect()
            try:
                return await ask(client, server)
            finally:
                client.close()

    return asyncio.run(scene())


def shown(meter_id: str, now_us: int = NOW_US) -> float:
    return PLANT.register_reading(meter_id, now_us)


@pytest.mark.parametrize(
    ("number", "number_type", "order", "scale", "wire"),
    [
        (1234.5, "f32", "ABCD", 1.0, "449a5000"),
        (1234.5, "f32", "CDAB", 1.0, "5000449a"),
        (1234.5, "f32", "BADC", 1.0, "9a440050"),
        (1234.5, "f32", "DCBA", 1.0, "00509a44"),
        (1234.5, "f64", "ABCDEFGH", 1.0, "40934a0000000000"),
        (12.34, "u64", "ABCDEFGH", 0.01, "00000000000004d2"),
        (-1.0, "i32", "ABCD", 1.0, "ffffffff"),
        (65537.0, "u16", "AB", 1.0, "0001"),
    ],
)
def test_wire_bytes(number: float, number_type: str, order: str, scale: float, wire: str) -> None:
    assert wire_bytes(number, number_type, order, scale).hex() == wire


@pytest.mark.parametrize(
    ("meter_id", "unit", "function", "address", "layout", "scale"),
    [
        ("main_incomer", 1, 3, 0x5000, ">Q", 0.01),
        ("raw_mill", 2, 3, 0x0C83, ">q", 0.001),
        ("kiln", 3, 4, 801, ">d", 0.001),
        ("coal_mill", 4, 3, 62, ">i", 0.01),
        ("waste_heat", 5, 3, 0x5004, ">Q", 0.01),
        ("cement_mill_1", 11, 4, 0x0048, ">f", 1.0),
        ("packing", 13, 3, 0x101E, ">f", 1.0),
        ("office", 15, 3, 0x0BF3, ">f", 1.0),
    ],
)
def test_pymodbus_reads_what_the_meter_shows(
    meter_id: str, unit: int, function: int, address: int, layout: str, scale: float
) -> None:
    count = struct.calcsize(layout) // 2

    async def ask(client: AsyncModbusTcpClient, _: ModbusServer) -> float:
        read = client.read_holding_registers if function == 3 else client.read_input_registers
        answer = await read(address, count=count, device_id=unit)
        assert not answer.isError()
        (number,) = struct.unpack(layout, struct.pack(f">{count}H", *answer.registers))
        return float(number * scale)

    assert with_client(ask) == pytest.approx(shown(meter_id), rel=1e-9)


def test_pymodbustcp_reads_two_meters_of_one_unit_at_once() -> None:
    async def scene() -> list[int] | None:
        async with ModbusServer(PLANT, FastClock(NOW_US, 1)) as server:
            client = ModbusClient("127.0.0.1", server.port, unit_id=14, timeout=5.0)
            registers = await asyncio.to_thread(client.read_holding_registers, 40, 4)
            await asyncio.to_thread(client.close)
            return registers

    low_air, high_air, low_water, high_water = asyncio.run(scene()) or []
    assert (high_air << 16 | low_air) * 0.1 == pytest.approx(shown("air"))
    assert (high_water << 16 | low_water) * 0.01 == pytest.approx(shown("water"))


def test_exceptions() -> None:
    async def ask(client: AsyncModbusTcpClient, server: ModbusServer) -> list[int]:
        answers = [
            await client.read_holding_registers(0x5000, count=4, device_id=99),
            await client.read_holding_registers(0x4FFF, count=4, device_id=1),
            await client.read_holding_registers(0x5004, count=5, device_id=1),
            await client.read_input_registers(0x5000, count=4, device_id=1),
            await client.write_register(0x5000, 1, device_id=1),
        ]
        assert server.exceptions == {11: 1, 2: 3, 1: 1}
        assert server.requests == {3: 3, 4: 1, 6: 1}
        return [answer.exception_code for answer in answers]

    assert with_client(ask) == [11, 2, 2, 2, 1]


def test_an_outage_is_exception_11_and_the_meter_counts_on() -> None:
    outage = PLANT.faults.outages[0]

    async def ask(client: AsyncModbusTcpClient, _: ModbusServer) -> Any:
        answer = await client.read_holding_registers(0x5000, count=4, device_id=outage.unit_id)
        if answer.isError():
            return answer.exception_code
        high = answer.registers[2] << 16 | answer.registers[3]
        return high * 0.01

    before = with_client(ask, outage.from_us - 1)
    assert with_client(ask, outage.from_us) == 11
    assert with_client(ask, outage.to_us - 1) == 11
    after = with_client(ask, outage.to_us)
    meter = PLANT.meters["cement_mill_2"]
    truth = PLANT.true_total(meter.meter_id, outage.to_us) - PLANT.true_total(
        meter.meter_id, outage.from_us
    )
    assert (after - before) * meter.multiplier == pytest.approx(truth, abs=0.011 * 4000)


def test_a_dip_shows_0_once() -> None:
    dip = PLANT.faults.dips[0]

    async def ask(client: AsyncModbusTcpClient, _: ModbusServer) -> float:
        answer = await client.read_input_registers(801, count=4, device_id=3)
        (number,) = struct.unpack(">d", struct.pack(">4H", *answer.registers))
        return float(number)

    assert with_client(ask, dip.from_us) == 0.0
    assert with_client(ask, dip.to_us) > 0.0


def test_frames_in_pieces_and_in_heaps_are_answered_in_order() -> None:
    def frame(transaction: int, unit: int) -> bytes:
        return struct.pack(">HHHBBHH", transaction, 0, 6, unit, 3, 0x5000, 4)

    async def scene() -> tuple[bytes, bytes]:
        async with ModbusServer(PLANT, FastClock(NOW_US, 1)) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            for byte in frame(1, 1):
                writer.write(bytes((byte,)))
                await writer.drain()
            one = await reader.readexactly(7 + 10)
            writer.write(frame(2, 1) + frame(3, 1))
            two = await reader.readexactly(2 * (7 + 10))
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert await reader.read() == b""  # not Modbus: hung up
            writer.close()
            return one, two

    one, two = asyncio.run(scene())
    steps = round(shown("main_incomer") / 0.01)
    answer = struct.pack(">HHBBBQ", 0, 11, 1, 3, 8, steps)
    assert one == b"\x00\x01" + answer
    assert two == b"\x00\x02" + answer + b"\x00\x03" + answer
