"""Our client against servers that nobody here wrote: every value right, or a status that says so.

The bytes of each value are written out by hand, as they stand on the wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from collectors.memory import MemorySink
from collectors.modbus.collector import ModbusCollector
from tests.collectors.sites import meter, site_of
from tests.collectors.waiting import running, until
from tests.matrix.servers import ONE_UNIT, OVER_TCP, Held, modbus_tk_rtu, need
from tests.ptys import pty_pair

# modbus-tk's own thread would end on its first use of an old name.
pytestmark = pytest.mark.filterwarnings("ignore:isSet:DeprecationWarning")

FIRST = 100
# type, order, bytes on the wire, value
VALUES: list[tuple[str, str, str, float]] = [
    ("u16", "AB", "FFFE", 65534),
    ("u16", "BA", "FEFF", 65534),
    ("i16", "AB", "FFFE", -2),
    ("u32", "ABCD", "12345678", 305419896),
    ("u32", "CDAB", "56781234", 305419896),
    ("u32", "BADC", "34127856", 305419896),
    ("u32", "DCBA", "78563412", 305419896),
    ("i32", "ABCD", "FFED2979", -1234567),
    ("i32", "CDAB", "2979FFED", -1234567),
    ("u64", "ABCDEFGH", "0000123456789ABC", 20015998343868),
    ("u64", "GHEFCDAB", "9ABC567812340000", 20015998343868),
    ("u64", "BADCFEHG", "000034127856BC9A", 20015998343868),
    ("u64", "HGFEDCBA", "BC9A785634120000", 20015998343868),
    ("i64", "ABCDEFGH", "FFFFFFFFFFFFFFFB", -5),
    ("i64", "GHEFCDAB", "FFFBFFFFFFFFFFFF", -5),
    ("f32", "ABCD", "449A5000", 1234.5),
    ("f32", "CDAB", "5000449A", 1234.5),
    ("f32", "BADC", "9A440050", 1234.5),
    ("f32", "DCBA", "00509A44", 1234.5),
    ("f64", "ABCDEFGH", "40934A0000000000", 1234.5),
    ("f64", "GHEFCDAB", "000000004A004093", 1234.5),
    ("f64", "HGFEDCBA", "00000000004A9340", 1234.5),
]
# The second unit, in input registers: another value at an address that the first unit has too.
SECOND = [("f32", "ABCD", "42F6E979", 123.45600128173828), ("u16", "AB", "0007", 7)]


def layout(two_units: bool) -> tuple[list[Held], dict[str, dict[str, Any]], dict[str, float]]:
    """What the server holds, the meters' rows, and the values that they have to read."""
    held, rows, wanted = [], {}, {}
    for unit, function, values in ((1, 3, VALUES), (2, 4, SECOND))[: 2 if two_units else 1]:
        address = FIRST
        for number_type, order, wire, value in values:
            name = f"u{unit}-{number_type}-{order}".lower()
            held.append(Held(unit, function, address, bytes.fromhex(wire)))
            rows[name] = meter(
                "gw",
                kind="gauge",
                unit="kW",
                unit_id=unit,
                function=function,
                register=address,
                type=number_type,
                order=order,
            )
            wanted[name] = value
            address += len(wire) // 4
    return held, rows, wanted


def end_of(held: Sequence[Held], unit: int) -> int:
    last = [one for one in held if one.unit == unit][-1]
    return last.address + len(last.words)


async def readings_of(
    folder: Path, connection: dict[str, Any], rows: dict[str, dict[str, Any]], ticks: int = 3
) -> dict[str, set[tuple[str, float | None]]]:
    """Status and value of each meter in some ticks, but for what the machine was too slow for."""
    sink = MemorySink()
    site = site_of(folder, {"gw": {"interval_s": 0.5, **connection}}, rows)
    collector = ModbusCollector(site, "gw", sink)

    def found() -> dict[str, set[tuple[str, float | None]]]:
        seen: dict[str, set[tuple[str, float | None]]] = {name: set() for name in rows}
        for reading in sink.readings:
            if reading.status != "skipped":
                seen[reading.meter_id].add((reading.status, reading.value))
        return seen

    def enough() -> bool:
        told = [r.meter_id for r in sink.readings if r.status != "skipped"]
        return all(told.count(name) >= ticks for name in rows)

    async with running(collector):
        await until(enough, "readings of every meter")
    return found()


def tcp(port: int, timeout_s: float = 5.0) -> dict[str, Any]:
    return {"type": "modbus_tcp", "host": "127.0.0.1", "port": port, "timeout_s": timeout_s}


@pytest.mark.parametrize("server", OVER_TCP)
def test_every_value_of_every_server(tmp_path: Path, server: str) -> None:
    held, rows, wanted = layout(two_units=server not in ONE_UNIT)
    with OVER_TCP[server](held, tmp_path) as port:
        found = asyncio.run(readings_of(tmp_path, tcp(port), rows))
    assert found == {name: {("good", value)} for name, value in wanted.items()}


@pytest.mark.parametrize("server", [name for name in OVER_TCP if name != "jsmodbus"])
def test_a_register_that_is_not_there_costs_only_itself(tmp_path: Path, server: str) -> None:
    """It stands right behind the others: they are asked for in one request, and all refused."""
    held, rows, wanted = layout(two_units=server not in ONE_UNIT)
    rows["absent"] = meter("gw", kind="gauge", unit="kW", register=end_of(held, 1), type="u16")
    with OVER_TCP[server](held, tmp_path) as port:
        found = asyncio.run(readings_of(tmp_path, tcp(port), rows))
    assert found.pop("absent") == {("exception_2", None)}
    assert found == {name: {("good", value)} for name, value in wanted.items()}


@pytest.mark.parametrize("behind", [0, 200])
def test_jsmodbus_answers_short_for_a_register_that_is_not_there(
    tmp_path: Path, behind: int
) -> None:
    """No exception, but fewer registers: what is there is read by itself, the other is refused."""
    held, rows, wanted = layout(two_units=False)
    absent = end_of(held, 1) + behind
    rows["absent"] = meter("gw", kind="gauge", unit="kW", register=absent, type="u16")
    with OVER_TCP["jsmodbus"](held, tmp_path) as port:
        found = asyncio.run(readings_of(tmp_path, tcp(port), rows))
    statuses = {status for status, _ in found.pop("absent")}
    assert statuses
    assert statuses <= {"bad_reply", "not_asked"}
    assert found == {name: {("good", value)} for name, value in wanted.items()}


def test_modbus_tk_on_a_serial_line(tmp_path: Path) -> None:
    need("socat", "socat")
    held, rows, wanted = layout(two_units=True)
    rows["absent"] = meter("gw", kind="gauge", unit="kW", register=end_of(held, 1), type="u16")
    with pty_pair(tmp_path / "line") as (here, there), modbus_tk_rtu(held, there):
        port = {"device": str(here), "baud_rate": 115200}
        line = {"type": "modbus_rtu", "serial": port, "timeout_s": 5.0}
        found = asyncio.run(readings_of(tmp_path, line, rows))
    assert found.pop("absent") == {("exception_2", None)}
    assert found == {name: {("good", value)} for name, value in wanted.items()}
