"""A meter that nobody here wrote: the server of the package dlt645, over TCP and a serial pair.

Where it leaves the standard: it answers for an address that is not its own (error 1; a meter on a
bus keeps silent), it knows no blocks and no following frames, and it takes an address in the order
of the wire.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from dlt645 import MeterServerService
from dlt645.model.data.data_handler import clone_data_map
from dlt645.model.types.dlt645_type import Demand
from dlt645.protocol.protocol import DLT645Protocol

from collectors.base import WallClock
from collectors.dlt645.collector import Dlt645Collector
from collectors.dlt645.frames import Dialogue, encode
from collectors.dlt645.line import MeterLine
from collectors.memory import MemorySink
from config.devices import read_device
from config.errors import DeviceException
from config.models import Plant
from config.site import Site
from tests.collectors.servers import free_port
from tests.collectors.sites import meter, site_of
from tests.collectors.waiting import running, until

METER = "000012345678"
ON_WIRE = bytes.fromhex(METER)[::-1]

# quantity: data identifier, value as the server is told it, unit
HELD: dict[str, tuple[int, float, str]] = {
    "energy_import": (0x00010000, 123492.01, "kWh"),
    "energy_import_tariff_1": (0x00010100, 0.11, "kWh"),
    "energy_import_tariff_4": (0x00010400, 99999.99, "kWh"),
    "energy_export": (0x00020000, 0.0, "kWh"),
    "energy_total": (0x00000000, -12.5, "kWh"),
    "total_power": (0x02030000, -12.3456, "kW"),
    "power_l2": (0x02030200, 79.9999, "kW"),
    "demand": (0x02800004, 1.2345, "kW"),
}


def hold(service: Any) -> None:
    """Tell the server who it is and what it knows."""
    assert service.set_address(ON_WIRE)
    for data_id, value, _ in HELD.values():
        told = service.set_02 if data_id >> 24 == 2 else service.set_00
        assert told(data_id, value)
    assert service.set_01(0x01010000, Demand(1.2345, datetime(2026, 11, 15, 8, 30)))  # noqa: DTZ001
    assert service.set_04(0x04000101, "26112200")
    assert service.set_04(0x04000102, "123456")


@contextmanager
def tcp_meter() -> Iterator[dict[str, Any]]:
    """The connection to a meter behind a transparent gateway."""
    port = free_port()
    service = MeterServerService.new_tcp_server("127.0.0.1", port, 5.0)
    hold(service)
    assert service.start()
    try:
        yield {"host": "127.0.0.1", "port": port}
    finally:
        assert service.stop()


@contextmanager
def serial_meter(folder: Path) -> Iterator[dict[str, Any]]:
    """The connection to a meter on a pair of serial ports, which know no parity."""
    ours, theirs = folder / "ours", folder / "theirs"
    ends = [f"pty,raw,echo=0,link={end}" for end in (ours, theirs)]
    pair = subprocess.Popen(["socat", *ends])
    try:
        asyncio.run(until(lambda: ours.exists() and theirs.exists(), "a pair of ports"))
        service = MeterServerService.new_rtu_server(str(theirs), 8, 1, 2400, "N", 5.0)
        hold(service)
        assert service.start()
        try:
            yield {"serial": {"device": str(ours), "baud_rate": 2400, "parity": "none"}}
        finally:
            assert service.stop()
    finally:
        pair.terminate()
        pair.wait()


@pytest.fixture(params=["tcp", "serial"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    with tcp_meter() if request.param == "tcp" else serial_meter(tmp_path) as reached:
        yield {"type": "dlt645", "timeout_s": 10, "interval_s": 0.5, **reached}


def site_with(folder: Path, connection: dict[str, Any]) -> Site:
    rows = {
        quantity: meter(
            "bus", device="dlt645-2007", quantity=quantity, meter_address=METER,
            kind="gauge" if unit == "kW" else "counter", unit=unit,
        )
        for quantity, (_, _, unit) in HELD.items()
    }  # fmt: skip
    return site_of(folder / "site", {"bus": connection}, rows)


def test_every_value_is_the_one_that_the_meter_holds(
    connection: dict[str, Any], tmp_path: Path
) -> None:
    async def scenario() -> None:
        sink = MemorySink()
        collector = Dlt645Collector(site_with(tmp_path, connection), "bus", sink)
        async with running(collector):
            await until(lambda: len(sink.readings) >= 3 * len(HELD))
        found = {(r.meter_id, r.value, r.status) for r in sink.readings if r.status != "skipped"}
        assert found == {(name, value, "good") for name, (_, value, _) in HELD.items()}

    asyncio.run(scenario())


def line_to(connection: dict[str, Any], folder: Path) -> MeterLine:
    plant: Plant = site_with(folder, connection).plant
    settings: Any = plant.connections["bus"]
    return MeterLine(settings, WallClock(), plant.plant.zone)


def test_what_the_meter_says_besides(connection: dict[str, Any], tmp_path: Path) -> None:
    async def scenario() -> None:
        line = line_to(connection, tmp_path)
        try:
            assert await line.read_address() == METER
            highest = await line.read(METER, "01010000")
            assert highest == bytes.fromhex("45 23 01 30 08 15 11 26")
            assert await line.read(METER, "04000101") == bytes.fromhex("00 22 11 26")
            assert await line.read(METER, "04000102") == bytes.fromhex("56 34 12")
            with pytest.raises(DeviceException, match="no such data"):
                await line.read(METER, "0001FF00")
            with pytest.raises(DeviceException, match="other error"):
                await line.read("000000000001", "00010000")
            assert await line.read(METER, "00010000") == bytes.fromhex("01 92 34 12")
            assert line.connects == 1
        finally:
            line.close()

    asyncio.run(scenario())


def test_its_codec_reads_our_requests_and_we_read_its_replies() -> None:
    for data_id in ("00010000", "0203FF00", "04000102"):
        asked = DLT645Protocol.deserialize(encode(0x11, METER, bytes.fromhex(data_id)[::-1]))
        assert (asked.addr, asked.ctrl_code) == (ON_WIRE, 0x11)
        assert asked.data[::-1].hex().upper() == data_id
        content = bytes(range(1, 60))
        reply = DLT645Protocol.build_frame(ON_WIRE, 0x91, asked.data + content)
        dialogue = Dialogue(4)
        dialogue.read(METER, data_id)
        assert dialogue.take(bytearray(reply)) == content


def test_its_table_of_formats_is_ours() -> None:
    """Digits and decimals of each identifier of the map, but for those that it words as text."""
    known = clone_data_map()
    compared = 0
    for name, field in read_device("dlt645-2007").fields.items():
        item = known[int(field.data_id or "", 16)]
        if field.kind == "clock":
            assert len(item.data_format) == field.digits, name
            continue
        whole, _, decimals = item.data_format.partition(".")
        assert re.fullmatch("[XN]+", whole + decimals), name
        assert len(whole + decimals) == field.digits, name
        assert field.scale == 1 / 10 ** len(decimals), name
        compared += 1
    assert compared >= 40
