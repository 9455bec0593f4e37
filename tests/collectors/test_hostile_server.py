"""The hostile server: what each fault puts on the wire, and that it knows what was right."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest
from pymodbus.framer.rtu import FramerRTU

from collectors.modbus.connection import ReadOnlyConnection
from collectors.modbus.numbers import decode
from collectors.simulator.contents import MeterContents, NumberContents, SerialContents
from collectors.simulator.hostile import HostileServer
from collectors.simulator.modbus_server import wire_bytes
from collectors.simulator.spoiling import MEANINGS, VALUE_FAULTS, Fault, Plan, faults_of
from config.connections import ModbusTcp
from config.devices import known_devices, place, read_device
from config.register_map import WIDTH_BYTES

TRANSACTION, UNIT = 0x0102, 3
REQUEST = bytes((3, 0, 16, 0, 2))  # function 3, 2 registers from 16 on
RIGHT = bytes.fromhex("03 04 0010 0011")
SILENT_FOR_S = 0.4


def crc(body: bytes) -> bytes:
    return FramerRTU.compute_CRC(body).to_bytes(2, "big")


def framed(framing: str, pdu: bytes) -> bytes:
    if framing == "tcp":
        return struct.pack(">HHHB", TRANSACTION, 0, len(pdu) + 1, UNIT) + pdu
    return bytes((UNIT,)) + pdu + crc(bytes((UNIT,)) + pdu)


async def answer(fault: Fault | None, framing: str = "tcp", *, seed: int = 1) -> bytes:
    """All that comes for a request; the server hangs up once it has answered."""
    async with hostile(fault, framing, seed) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(framed(framing, REQUEST))
        writer.write_eof()
        try:
            return await reader.read()
        finally:
            writer.close()


def hostile(fault: Fault | None, framing: str, seed: int = 1) -> HostileServer:
    plan = Plan([fault] if fault else [], 1.0, seed)
    return HostileServer(NumberContents([UNIT]), plan, framing=framing, late_s=(0.0, 0.01))


def came_for(fault: Fault | None, framing: str = "tcp", seed: int = 1) -> bytes:
    return asyncio.run(answer(fault, framing, seed=seed))


def test_every_fault_is_named_and_belongs_to_a_line() -> None:
    assert set(MEANINGS) == set(Fault)
    assert set(faults_of("tcp")) | set(faults_of("rtu")) == set(Fault)
    assert set(faults_of("rtu", serial=True)) < set(faults_of("rtu"))


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
def test_without_a_fault(framing: str) -> None:
    assert came_for(None, framing) == framed(framing, RIGHT)


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
@pytest.mark.parametrize("fault", [Fault.late, Fault.byte_by_byte])
def test_the_right_bytes_at_another_time(fault: Fault, framing: str) -> None:
    async def scenario() -> bytes:
        async with hostile(fault, framing) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(framed(framing, REQUEST))
            came = await reader.readexactly(len(framed(framing, RIGHT)))
            writer.close()
            return came

    assert asyncio.run(scenario()) == framed(framing, RIGHT)


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
def test_twice(framing: str) -> None:
    assert came_for(Fault.duplicate, framing) == 2 * framed(framing, RIGHT)


@pytest.mark.parametrize("code", [2, 4, 6, 11])
@pytest.mark.parametrize("framing", ["tcp", "rtu"])
def test_exceptions(code: int, framing: str) -> None:
    assert came_for(Fault(f"exception_{code}"), framing) == framed(framing, bytes((0x83, code)))


@pytest.mark.parametrize("fault", [Fault.silence, Fault.close, Fault.deaf, Fault.half_open])
def test_nothing(fault: Fault) -> None:
    assert came_for(fault) == b""


def test_reset() -> None:
    with pytest.raises(ConnectionResetError):
        came_for(Fault.reset)


def test_the_connection_after_a_deaf_one_is_never_answered() -> None:
    async def scenario() -> None:
        plan = Plan([Fault.deaf], 1.0, 1)
        async with HostileServer(NumberContents([UNIT]), plan) as server:
            for expected in (b"", None):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(framed("tcp", REQUEST))
                try:
                    came = await asyncio.wait_for(reader.read(100), SILENT_FOR_S)
                except TimeoutError:
                    came = None
                assert came == expected
                writer.close()
            assert server.faults == {Fault.deaf: 2}

    asyncio.run(scenario())


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault.short,
        Fault.long,
        Fault.wrong_unit,
        Fault.wrong_function,
        Fault.wrong_byte_count,
        Fault.wrong_transaction,
        Fault.wrong_protocol,
        Fault.crc_error,
        Fault.garbage,
    ],
)
def test_no_right_reply_and_the_same_for_the_same_seed(fault: Fault, framing: str) -> None:
    if fault not in faults_of(framing):
        return
    for seed in range(8):
        came = came_for(fault, framing, seed)
        assert came
        assert framed(framing, RIGHT) not in came
        assert came_for(fault, framing, seed) == came


def test_wrong_fields_are_those_that_were_meant() -> None:
    right = framed("tcp", RIGHT)
    places = {
        Fault.wrong_transaction: slice(0, 2),
        Fault.wrong_protocol: slice(2, 4),
        Fault.wrong_unit: slice(6, 7),
        Fault.wrong_function: slice(7, 8),
        Fault.wrong_byte_count: slice(8, 9),
    }
    for fault, wrong in places.items():
        came = bytearray(came_for(fault))
        assert came[wrong] != right[wrong]
        came[wrong] = right[wrong]
        assert came == right
    came = came_for(Fault.crc_error, "rtu")
    flipped = [a ^ b for a, b in zip(came, framed("rtu", RIGHT), strict=True) if a != b]
    assert [value.bit_count() for value in flipped] == [1]


def test_writes_and_bad_requests_get_exceptions() -> None:
    async def scenario() -> None:
        requests = {
            "06 0000 0001": "86 01",
            "10 0000 0001 02 0001": "90 01",
            "03 0000 0000": "83 03",
            "03 0000 007E": "83 03",
            "03 FFFF 0002": "83 02",
            "03 0000": "83 03",
        }
        async with HostileServer(NumberContents([UNIT]), Plan((), 0, 1)) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            for request, reply in requests.items():
                writer.write(framed("tcp", bytes.fromhex(request)))
                expected = framed("tcp", bytes.fromhex(reply))
                assert await reader.readexactly(len(expected)) == expected
            writer.close()
        async with HostileServer(NumberContents([UNIT]), Plan((), 0, 1), framing="rtu") as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            for request in ("06 0000 0001", "10 0000 0001 02 0001"):
                writer.write(framed("rtu", bytes.fromhex(request)))
                expected = framed("rtu", bytes((int(request[:2], 16) | 0x80, 1)))
                assert await reader.readexactly(len(expected)) == expected
            writer.close()

    asyncio.run(scenario())


async def words(server: HostileServer, many: int) -> list[bytes]:
    """What ``many`` reads of one place give; each as the server says that it is right."""
    settings = ModbusTcp(type="modbus_tcp", host="127.0.0.1", port=server.port, timeout_s=20)
    connection = ReadOnlyConnection(settings, Path.cwd())
    found = []
    for _ in range(many):
        found.append(await connection.read(1, 3, 100, 4))
        assert server.last is not None
        assert found[-1] == server.last.right
    connection.close()
    return found


def shown(fault: Fault | None, many: int = 60) -> list[bytes]:
    async def scenario() -> list[bytes]:
        plan = Plan([fault] if fault else [], 0.1, seed=4)
        async with HostileServer(SerialContents(), plan) as server:
            found = await words(server, many)
            assert server.faults[fault] > 0
            return found

    return asyncio.run(scenario())


def test_values_differ_from_request_to_request() -> None:
    assert len(set(shown(None))) == 60


def test_stuck_values_stand_still_for_a_while() -> None:
    found = shown(Fault.stuck)
    assert len(set(found)) < 60
    assert any(found[i] == found[i + 1] == found[i + 2] for i in range(57))


@pytest.mark.parametrize("fault", [Fault.rollover, Fault.clock_jump, Fault.torn])
def test_values_of_another_moment(fault: Fault) -> None:
    usual = shown(None)
    found = shown(fault)
    assert found[0] == usual[0] or fault is not Fault.torn
    assert found != usual
    if fault is Fault.torn:
        mixed = [n for n in range(1, 60) if found[n] != usual[n]]
        assert mixed
        for n in mixed:
            cut = next(i for i in range(2, 10, 2) if found[n][:i] != usual[n - 1][:i] or i == 8)
            assert found[n][cut:] == usual[n][cut:]
            assert found[n][: cut - 2] == usual[n - 1][: cut - 2]


def test_a_stale_value_of_a_register_is_never_the_right_one() -> None:
    contents = SerialContents([1], range(10))
    seen = [contents.read(1, 3, 4, 1, moment, 0) for moment in range(65536)]
    assert len(set(seen)) == 65536
    assert contents.read(1, 3, 4, 1, 65536, 0) == seen[0]
    assert contents.read(1, 4, 4, 4, 7, 0) != contents.read(1, 3, 4, 4, 7, 0)


def test_value_faults_are_of_the_values_only() -> None:
    for fault in VALUE_FAULTS:
        assert all(len(wire) == 8 for wire in shown(fault, 30))


@pytest.mark.parametrize("name", known_devices())
def test_simulated_meters_show_what_their_map_says(name: str) -> None:
    """Each number of the map decodes to the value that the simulator meant."""
    device = read_device(name)
    contents = MeterContents(seconds=lambda: 0.0)
    contents.put_device(1, device)
    for field in device.fields.values():
        if field.address is None or field.type == "string" or field.bits is not None:
            continue
        where = place(device, field)
        count = WIDTH_BYTES[where.type] // 2
        wire = contents.read(1, where.function, where.address, count, 30.0, 0.0)
        assert isinstance(wire, bytes)
        meant = contents.units[1][where.function][where.address][0].value(30.0, 0.0)
        step = abs(field.scale) if where.type[0] != "f" else 1e-6 * abs(meant)
        number = decode(wire, where.type, where.order)
        assert number * field.scale == pytest.approx(meant, abs=step, rel=1e-6)
        if field.valid is not None:
            assert field.valid[0] <= meant <= field.valid[1]


@pytest.mark.parametrize(
    ("number_type", "order", "wire"),
    [
        ("bcd16", "AB", "0042"),
        ("bcd32", "ABCD", "00000042"),
        ("bcd32", "CDAB", "00420000"),
        ("m10k32", "ABCD", "0000002A"),
        ("u48", "ABCDEF", "00000000002A"),
    ],
)
def test_decimal_numbers(number_type: str, order: str, wire: str) -> None:
    assert wire_bytes(42, number_type, order).hex().upper() == wire


def test_decimal_numbers_carry_over_registers() -> None:
    assert wire_bytes(12345678, "bcd32", "ABCD").hex() == "12345678"
    assert wire_bytes(12345678, "m10k32", "ABCD") == struct.pack(">HH", 1234, 5678)
    assert wire_bytes(112345678, "m10k32", "CDAB") == struct.pack(">HH", 5678, 1234)
