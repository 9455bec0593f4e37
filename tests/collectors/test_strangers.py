"""Servers that nobody here wrote: modbus-tk and pyModbusTCP, with the register maps of real meters.

The bytes of each register are written out by hand, not by an encoder of our own.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from modbus_tk import modbus_tcp
from pyModbusTCP.server import DataBank, ModbusServer

from collectors.memory import MemorySink
from collectors.modbus.collector import ModbusCollector
from config.devices import place, read_device
from tests.collectors.servers import free_port
from tests.collectors.sites import meter, site_of
from tests.collectors.waiting import running, until

# modbus-tk's own thread would end on its first use of an old name.
pytestmark = pytest.mark.filterwarnings("ignore:isSet:DeprecationWarning")

# function, first register, bytes: what the server holds
Words = list[tuple[int, int, bytes]]

METERS: dict[str, dict[str, tuple[str, bytes, float]]] = {
    "eastron-sdm630": {  # f32, big-endian words: 1234.5 is 449A 5000
        "total_power": ("W", bytes.fromhex("449A5000"), 1234.5),
        "energy_import": ("kWh", bytes.fromhex("42F6E979"), 123.45600128173828),
        "energy_export": ("kWh", bytes.fromhex("00000000"), 0.0),
        "energy_total": ("kWh", bytes.fromhex("47F12040"), 123456.5),
    },
    "schneider-iem3000": {  # i64 in Wh
        "energy_import": ("kWh", bytes.fromhex("00000000075BCD15"), 123456.789),
        "energy_export": ("kWh", bytes.fromhex("FFFFFFFFFFFFFFFF"), -0.001),
    },
    "abb-b-series": {  # u64 in 0.01 kWh
        "energy_import": ("kWh", bytes.fromhex("0000000000BC614E"), 123456.78),
        "energy_export": ("kWh", bytes.fromhex("0000000000000000"), 0.0),
    },
}


def words_of(wire: bytes) -> list[int]:
    return list(struct.unpack(f">{len(wire) // 2}H", wire))


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"nobody listens on {port}")


@contextmanager
def modbus_tk_server(words: Words, unit_id: int) -> Iterator[int]:
    port = free_port()
    server = modbus_tcp.TcpServer(port=port, address="127.0.0.1")
    slave = server.add_slave(unit_id)
    for function, address, wire in words:
        name = f"{function}-{address}"
        slave.add_block(name, {3: 3, 4: 4}[function], address, len(wire) // 2)
        slave.set_values(name, address, words_of(wire))
    server.start()
    try:
        wait_for_port(port)
        yield port
    finally:
        server.stop()


@contextmanager
def pymodbustcp_server(words: Words, unit_id: int) -> Iterator[int]:
    port = free_port()
    bank = DataBank()
    for function, address, wire in words:
        put = {3: bank.set_holding_registers, 4: bank.set_input_registers}[function]
        assert put(address, words_of(wire))
    server = ModbusServer("127.0.0.1", port, no_block=True, data_bank=bank)
    server.start()
    try:
        yield port
    finally:
        server.stop()


Server = Callable[[Words, int], AbstractContextManager[int]]
SERVERS: dict[str, Server] = {"modbus-tk": modbus_tk_server, "pyModbusTCP": pymodbustcp_server}


def rows_of(device: str, unit_id: int) -> dict[str, dict[str, Any]]:
    return {
        quantity.replace("_", "-"): meter(
            "gw",
            device=device,
            quantity=quantity,
            unit=unit,
            kind="gauge" if unit == "W" else "counter",
            unit_id=unit_id,
        )
        for quantity, (unit, _, _) in METERS[device].items()
    }


@pytest.mark.parametrize("device", METERS)
@pytest.mark.parametrize("server", SERVERS)
def test_meters_of_the_field(tmp_path: Path, device: str, server: str) -> None:
    async def scenario(port: int) -> None:
        connection = {"type": "modbus_tcp", "host": "127.0.0.1", "port": port}
        sink = MemorySink()
        collector = ModbusCollector(
            site_of(tmp_path, {"gw": connection}, rows), "gw", sink, interval_s=0.1
        )
        count = len(rows)
        async with running(collector):
            await until(lambda: len(sink.readings) >= 4 * count)
        assert {r.status for r in sink.readings} <= {"good", "skipped"}
        found = {(r.quantity, r.value) for r in sink.readings if r.status == "good"}
        assert found == {(name, value) for name, (_, _, value) in METERS[device].items()}

    rows = rows_of(device, 17)
    words = []
    for name, (_, wire, _) in METERS[device].items():
        where = place(read_device(device), read_device(device).fields[name])
        words.append((where.function, where.address, wire))
    with SERVERS[server](words, 17) as port:
        asyncio.run(scenario(port))


def test_addresses_of_the_maps() -> None:
    """Written here once more: the servers above are filled from the maps, right or wrong."""
    wanted = {
        ("eastron-sdm630", "energy_import"): (4, 72),
        ("eastron-sdm630", "energy_total"): (4, 342),
        ("schneider-iem3000", "energy_import"): (3, 3203),
        ("abb-b-series", "energy_import"): (3, 20480),
    }
    for (name, quantity), (function, address) in wanted.items():
        device = read_device(name)
        where = place(device, device.fields[quantity])
        assert (where.function, where.address) == (function, address)


def test_modbus_tk_is_silent_for_an_unknown_unit_and_the_known_one_is_read(
    tmp_path: Path,
) -> None:
    async def scenario(port: int) -> None:
        connection = {
            "type": "modbus_tcp",
            "host": "127.0.0.1",
            "port": port,
            "timeout_s": 0.2,
            "interval_s": 1,
        }
        rows = {
            "known": meter("gw", register=10, type="f32", unit_id=17),
            "unknown": meter("gw", register=10, type="f32", unit_id=18),
            "absent": meter("gw", register=500, type="f32", unit_id=17),
        }
        sink = MemorySink()
        collector = ModbusCollector(site_of(tmp_path, {"gw": connection}, rows), "gw", sink)
        async with running(collector):
            await until(lambda: len(sink.readings) >= 3)
        assert {r.meter_id: (r.status, r.value) for r in sink.readings[:3]} == {
            "known": ("good", 1234.5),
            "unknown": ("timeout", None),
            "absent": ("exception_2", None),
        }

    with modbus_tk_server([(3, 10, bytes.fromhex("449A5000"))], 17) as port:
        asyncio.run(scenario(port))
