"""`kgce simulate`: what it serves, what it counts, and what it refuses."""

from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from app.simulate import parse_units
from collectors.memory import MemorySink
from collectors.modbus.collector import ModbusCollector
from collectors.modbus.connection import ReadOnlyConnection
from collectors.simulator.spoiling import Fault
from config.connections import ModbusRtu, ModbusTcp
from config.errors import CollectError, InputError
from config.tables import Reading
from tests.app.commands import inside
from tests.collectors.sites import meter, site_of
from tests.collectors.waiting import running, until
from tests.simulating import simulating


def read(port: int, function: int, address: int, count: int, *, rtu: bool = False) -> bytes:
    async def scenario() -> bytes:
        here = {"host": "127.0.0.1", "port": port, "timeout_s": 10.0}
        settings = (
            ModbusRtu(type="modbus_rtu", **here) if rtu else ModbusTcp(type="modbus_tcp", **here)
        )
        connection = ReadOnlyConnection(settings, Path.cwd())
        try:
            return await connection.read(1, function, address, count)
        finally:
            connection.close()

    return asyncio.run(scenario())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serves_until_it_is_told_to_end(number: int) -> None:
    with simulating("--port", "0") as simulation:
        assert read(simulation.port, 3, 258, 2) == bytes.fromhex("01020103")
        simulation.end(number)
    assert simulation.said == [
        f"Modbus TCP on 127.0.0.1:{simulation.port}",
        "unit 1: every register holds its own number, counted from 0",
        "no faults",
    ]
    assert simulation.summary == ["1 requests, 1 without a fault"]


def test_rtu_over_tcp() -> None:
    with simulating("--port", "0", "--rtu", "tcp") as simulation:
        assert simulation.said[0].startswith("Modbus RTU over TCP on 127.0.0.1:")
        assert read(simulation.port, 4, 0, 2, rtu=True) == bytes.fromhex("00000001")
        simulation.end()


def test_faults_are_served_and_counted() -> None:
    with simulating("--port", "0", "--faults", "exception-4", "--rate", "1") as simulation:
        with pytest.raises(CollectError, match="exception 4"):
            read(simulation.port, 3, 0, 1)
        simulation.end()
    assert "100 % of the replies meet a fault (seed 1), one of" in simulation.said
    assert simulation.summary == ["1 requests, 0 without a fault", "  exception_4       1"]


def values_read(
    folder: Path, connection: dict[str, Any], rows: dict[str, dict[str, Any]]
) -> dict[str, list[float]]:
    """The first values of each meter, all of which have to be good."""

    async def scenario() -> list[Reading]:
        sink = MemorySink()
        site = site_of(folder, {"gw": {"timeout_s": 10, **connection}}, rows)
        async with running(ModbusCollector(site, "gw", sink, interval_s=0.2)):
            await until(lambda: sum(r.status == "good" for r in sink.readings) >= 5 * len(rows))
        return sink.readings

    readings = asyncio.run(scenario())
    assert {reading.status for reading in readings} <= {"good", "skipped"}
    values: dict[str, list[float]] = {name: [] for name in rows}
    for reading in readings:
        if reading.value is not None:
            values[reading.meter_id].append(reading.value)
    return values


def assert_counters(values: dict[str, list[float]]) -> None:
    for counted in values.values():
        assert counted[0] > 0
        assert counted == sorted(counted)


def test_a_device_is_read_by_its_register_map(tmp_path: Path) -> None:
    rows = {
        f"m{unit}": meter("gw", device="eastron-sdm630", quantity="energy_import", unit_id=unit)
        for unit in (5, 6)
    }
    device = ("--device", "eastron-sdm630", "--units", "5-6")
    with simulating("--port", "0", *device) as simulation:
        here = {"type": "modbus_tcp", "host": "127.0.0.1", "port": simulation.port}
        values = values_read(tmp_path, here, rows)
        simulation.end()
    assert_counters(values)
    assert 1_000 <= values["m5"][0] <= 100_000
    assert values["m5"][0] != values["m6"][0]


PLANT_METERS = {
    "a": meter("gw", register=40005, register_base=40001, type="u32", order="CDAB", unit_id=7),
    "b": meter("gw", device="eastron-sdm630", quantity="energy_import", unit_id=8),
    "c": meter("bus", register=3, type="bcd32", unit_id=9, function=4),
}


def plant(folder: Path) -> Path:
    connections = {
        "gw": {"type": "modbus_tcp", "host": "127.0.0.1", "port": 502},
        "bus": {"type": "modbus_rtu", "serial": {"device": "/dev/ttyS0"}},
        "broker": {"type": "mqtt", "host": "127.0.0.1"},
    }
    return site_of(folder, connections, PLANT_METERS).file


def test_the_meters_of_a_plant(tmp_path: Path) -> None:
    file = plant(tmp_path)
    with simulating("--port", "0", "-p", file, "--connection", "gw") as simulation:
        assert simulation.said[1] == "unit 7: function 3: 1 values in registers 4 to 5"
        assert simulation.said[2].startswith("unit 8: function 4: ")
        here = {"type": "modbus_tcp", "host": "127.0.0.1", "port": simulation.port}
        gateway = {name: PLANT_METERS[name] for name in ("a", "b")}
        assert_counters(values_read(tmp_path / "gw", here, gateway))
        simulation.end()
    with simulating("--port", "0", "-p", file, "--connection", "bus") as simulation:
        assert simulation.said[0].startswith("Modbus RTU over TCP on ")
        assert simulation.said[1] == "unit 9: function 4: 1 values in registers 3 to 4"
        here = {"type": "modbus_rtu", "host": "127.0.0.1", "port": simulation.port}
        bus = {"c": {**PLANT_METERS["c"], "connection": "gw"}}
        assert_counters(values_read(tmp_path / "bus", here, bus))
        simulation.end()


REFUSED: dict[str, tuple[tuple[str, ...], str, str]] = {
    "fault": (("--faults", "late,lazy"), "--faults: lazy", "all, none, or with TCP frames: late"),
    "no fault": (("--faults", "late,"), "--faults: an empty name", "late, duplicate"),
    "fault of RTU": (("--faults", "crc_error"), "--faults: crc_error", "with TCP frames"),
    "fault of TCP": (
        ("--faults", "reset", "--rtu", "/dev/ttyX"),
        "--faults: reset",
        "with a serial port: late",
    ),
    "device": (("--device", "eastron-sdm63"), "unknown device 'eastron-sdm63'", "eastron-sdm630"),
    "device of DL/T 645": (("--device", "dlt645-2007"), "no Modbus registers", ""),
    "units": (("--units", "1-300"), "--units '1-300'", "unit ids of 0 to 247"),
    "port name": (("--rtu", "/dev/none-such"), "/dev/none-such", "a serial port"),
    "no serial port": (("--rtu", "/dev/null"), "/dev/null", "a serial port"),
    "host": (("--host", "no-such-host.invalid"), "no-such-host.invalid:0", ""),
    "connection": (("--connection", "gw"), "--connection without --plant", "--plant with"),
    "no plant": (("-p", "no-such.yaml"), "no-such.yaml", "kgce init"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_options(name: str) -> None:
    arguments, given, allowed = REFUSED[name]
    ended = inside("simulate", "--port", "0", *arguments)
    assert ended.code == 2
    assert given in ended.err
    assert allowed in ended.err
    assert ended.out == ""


@pytest.mark.parametrize(
    "arguments",
    [("--rate", "1.5"), ("--rate", "-1"), ("--port", "70000"), ("--baud", "9"), ("--late", "-1")],
)
def test_numbers_out_of_range(arguments: tuple[str, str]) -> None:
    ended = inside("simulate", *arguments)
    assert ended.code == 2
    assert arguments[0] in ended.err


def test_bad_options_of_a_plant(tmp_path: Path) -> None:
    file = plant(tmp_path)
    for arguments, allowed in (
        ((), "--connection with one of: gw, bus"),
        (("--connection", "broker"), "gw, bus"),
        (("--connection", "gw", "--units", "1"), "--device and --units"),
        (("--connection", "gw", "--device", "eastron-sdm630"), "--device and --units"),
    ):
        ended = inside("simulate", "--port", "0", "-p", file, *arguments)
        assert ended.code == 2
        assert allowed in ended.err


def test_a_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = inside("simulate", "--port", port)
    assert ended.code == 2
    assert f"127.0.0.1:{port}" in ended.err
    assert "take another --port" in ended.err


@pytest.mark.parametrize("text", ["", "a", "3-1", "1,1", "1-3,2", "-1", "248", "1-", "1;2", "²"])
def test_unit_ids_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="--units"):
        parse_units(text)


def test_all_faults_of_a_line() -> None:
    with simulating("--port", "0", "--faults", "all", "--rate", "0.5") as simulation:
        named = {line.split()[0] for line in simulation.said[3:]}
        simulation.end()
    assert named == {fault.value for fault in Fault} - {"crc_error"}
