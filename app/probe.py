"""`kgce probe`: one meter, asked once or twice, with everything that came over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from app.language import Lang
from collectors.base import GOOD
from collectors.modbus.connection import ReadOnlyConnection
from collectors.modbus.frames import READ_FUNCTIONS
from collectors.modbus.numbers import Number, decode
from collectors.modbus.probe import ORDERS, Candidate, candidates, likely
from collectors.modbus.values import RegisterValue, Span, field_value, register_values, text_of
from config.connections import Dlt645, Modbus, ModbusRtu, ModbusTcp, SerialPort
from config.devices import read_device
from config.errors import CollectError, ConfigError, InputError
from config.register_map import WIDTH_BYTES, Device
from config.site import Site

WORDS: dict[str, dict[Lang, str]] = {
    "came": {"en": "came", "zh": "应答"},
    "type": {"en": "type", "zh": "类型"},
    "field": {"en": "field", "zh": "字段"},
    "value": {"en": "value", "zh": "值"},
}
_RARE_WIDTH = 6  # bytes: shown where the meter is configured so
_DOUBTS_ZH = {
    "no number": "非数值", "tiny": "过小", "huge": "过大", "negative": "为负",
    "fell": "变小", "round": "末位全零", "leapt": "突跳",
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """Which registers to look at, and how they are configured where they are."""

    connection: Modbus
    folder: Path
    unit_id: int
    function: int
    address: int
    count: int
    is_counter: bool = True
    configured: RegisterValue | None = None
    unit: str = ""

    def __str__(self) -> str:
        last = self.address + self.count - 1
        return (
            f"{self.connection.peer}, unit {self.unit_id}, function {self.function}, registers "
            f"{self.address} to {last} (counted from 0)"
        )


def meter_target(site: Site, meter_id: str) -> Target:
    """The registers of a meter of the ledger. Raises ConfigError for one that is not on Modbus."""
    meter = site.plant.meters.get(meter_id)
    if meter is None:
        raise InputError(f"unknown meter {meter_id!r}", allowed=", ".join(site.plant.meters))
    connection = site.plant.connections.get(meter.connection or "")
    if not isinstance(connection, Modbus):
        raise ConfigError(
            f"meter {meter_id} is on no connection that can be probed",
            allowed="Modbus and DL/T 645",
            todo="`kgce watch` shows what comes from meters on other connections",
        )
    values = register_values(site, meter.connection or "")
    value = next(value for value in values if value.meter_id == meter_id)
    span = value.span
    return Target(
        connection,
        site.folder,
        span.unit_id,
        span.function,
        span.address,
        span.count,
        meter.kind == "counter",
        value,
        meter.unit,
    )


def is_dlt645(site: Site, meter_id: str) -> bool:
    """Whether the meter is on a DL/T 645 connection."""
    meter = site.plant.meters.get(meter_id)
    return meter is not None and isinstance(
        site.plant.connections.get(meter.connection or ""), Dlt645
    )


def connection_of(
    host: str | None, port: int, device: str | None, baud_rate: int, parity: str, timeout_s: float
) -> Modbus:
    """The connection that the options describe. Raises InputError where they do not."""
    if (host is None) == (device is None):
        raise InputError(
            "probe needs a way to the meter",
            allowed="a meter of the ledger; or --host (Modbus TCP), or --serial (Modbus RTU)",
        )
    try:
        if host is not None:
            return ModbusTcp(type="modbus_tcp", host=host, port=port, timeout_s=timeout_s)
        line = {"device": device, "baud_rate": baud_rate, "parity": parity}
        serial = SerialPort.model_validate(line)
        return ModbusRtu(type="modbus_rtu", serial=serial, timeout_s=timeout_s)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{first['loc'][-1]} {first['input']!r}: {first['msg']}") from error


def probe_registers(target: Target, *, again_s: float, lang: Lang) -> bool:
    """Read and print; whether the registers could be read, and hold something plausible.

    ``again_s``: seconds until they are read once more; 0 for once.
    """
    console = Console(width=None if Console().is_terminal else 120, highlight=False)
    console.print(f"{target}")
    try:
        first, later, scales = asyncio.run(_read_twice(target, again_s))
    except CollectError as error:
        console.print(f"[red]{error.status}[/]: {error}")
        return False
    for wire in (first, later):
        if wire is not None:
            console.print(f"{WORDS['came'][lang]}: {wire.hex(' ', 2).upper()}")
    found = candidates(first, later, is_counter=target.is_counter)
    for table in _tables(found, target, lang):
        console.print(table)
    return _verdict(console, found, target, first, scales)


async def _read_twice(
    target: Target, again_s: float
) -> tuple[bytes, bytes | None, dict[Span, Number | str]]:
    """The registers, the same once more, and the numbers that the meter's scale is read from."""
    connection = ReadOnlyConnection(target.connection, target.folder)
    wanted = (target.unit_id, target.function, target.address, target.count)
    scales: dict[Span, Number | str] = {}
    try:
        first, later = await connection.read(*wanted), None
        for scaler in target.configured.scale_from if target.configured is not None else ():
            span = scaler.span
            wire = await connection.read(span.unit_id, span.function, span.address, span.count)
            scales[span] = decode(wire, span.type, span.order)
        if again_s:
            await asyncio.sleep(again_s)
            later = await connection.read(*wanted)
        return first, later, scales
    finally:
        connection.close()


def _is_configured(candidate: Candidate, target: Target) -> bool:
    value = target.configured
    return value is not None and (value.span.type, value.span.order) == (
        candidate.type,
        candidate.order,
    )


def _tables(found: list[Candidate], target: Target, lang: Lang) -> Iterator[Table]:
    """One table for each width: types down, byte orders across."""
    for width, orders in ORDERS.items():
        here = {(one.type, one.order): one for one in found if WIDTH_BYTES[one.type] == width}
        wanted = target.configured is not None and WIDTH_BYTES[target.configured.span.type] == width
        if not here or (width == _RARE_WIDTH and not wanted):
            continue
        table = Table()
        table.add_column(WORDS["type"][lang])
        for order in orders:
            table.add_column(order, justify="right")
        for number_type in dict.fromkeys(kind for kind, _ in here):
            cells = (here.get((number_type, order)) for order in orders)
            table.add_row(number_type, *(_cell(one, target, lang) for one in cells))
        yield table


def _cell(one: Candidate | None, target: Target, lang: Lang) -> str:
    if one is None:
        return "-"
    doubts = ", ".join(_DOUBTS_ZH[doubt] if lang == "zh" else doubt for doubt in one.doubts)
    moved = f" → {one.later:,.7g}" if one.later not in (None, one.number) else ""
    text = f"{one.number:,.7g}{moved}" + (f" ({doubts})" if doubts else "")
    if _is_configured(one, target):
        text = f"[reverse]{text}[/]"
    return text if one.is_plausible else f"[dim]{text}[/]"


def _verdict(
    console: Console,
    found: list[Candidate],
    target: Target,
    first: bytes,
    scales: dict[Span, Number | str],
) -> bool:
    if not any(first):
        console.print("all registers are 0: any type and order fits; try again when it has counted")
        return True
    plausible = [one for one in found if one.is_plausible]
    configured = next((one for one in found if _is_configured(one, target)), None)
    if configured is None or target.configured is None:
        for one in likely(found):
            if WIDTH_BYTES[one.type] == _RARE_WIDTH:
                continue
            console.print(f"{one.type}: of its byte orders only {one.order} is plausible")
        return bool(plausible)
    value, status = target.configured.found(configured.number, scales)
    name = f"{configured.type} {configured.order}, as configured"
    if configured.is_plausible and value is not None:
        console.print(f"{name}, is plausible: {value:,.9g} {target.unit} ({status})")
        return True
    near = [one for one in plausible if WIDTH_BYTES[one.type] == len(first)]
    near.sort(key=lambda one: one.type != configured.type)
    console.print(
        f"[red]{name}, is not plausible: {', '.join(configured.doubts) or status}[/]"
        + (f"; {near[0].type} {near[0].order} would be" if near else "")
    )
    return False


def probe_device(
    connection: Modbus, folder: Path, device_name: str, unit_id: int, lang: Lang
) -> bool:
    """Read and print every field of a register map; whether all of them could be read."""
    device = read_device(device_name, folder)
    console = Console(width=None if Console().is_terminal else 120, highlight=False)
    console.print(f"{device.maker} {device.model}: {connection.peer}, unit {unit_id}")
    table = Table()
    for name in ("field", "value", "came"):
        table.add_column(WORDS[name][lang])
    rows, all_read = asyncio.run(_field_rows(connection, folder, device, unit_id))
    for row in rows:
        table.add_row(*row)
    console.print(table)
    return all_read


async def _field_rows(
    settings: Modbus, folder: Path, device: Device, unit_id: int
) -> tuple[list[tuple[str, str, str]], bool]:
    connection = ReadOnlyConnection(settings, folder)
    rows, all_read = [], True
    try:
        for name, spans in _spans(device, unit_id):
            try:
                wires = [await connection.read(unit_id, *span) for span in spans]
            except CollectError as error:
                rows.append((name, f"{error.status}: {error}", ""))
                all_read = False
                continue
            rows.append((name, _shown_field(device, name, unit_id, wires), wires[0].hex(" ", 2)))
    finally:
        connection.close()
    return rows, all_read


def _spans(device: Device, unit_id: int) -> Iterator[tuple[str, list[tuple[int, int, int]]]]:
    """Function, address and count of what each field needs, its own first."""
    for name, field in device.fields.items():
        if field.address is None:
            continue
        if field.type == "string":
            function = device.function_of(field.function)
            yield name, [(function, field.address - device.base, field.registers or 1)]
            continue
        value = field_value(device, field, name, name, unit_id=unit_id)
        yield name, [(span.function, span.address, span.count) for span in value.spans]


def _shown_field(device: Device, name: str, unit_id: int, wires: list[bytes]) -> str:
    field = device.fields[name]
    if field.type == "string":
        return text_of(wires[0], field.order)
    value = field_value(device, field, name, name, unit_id=unit_id)
    numbers = [
        decode(wire, span.type, span.order) for wire, span in zip(wires, value.spans, strict=True)
    ]
    scales = dict(zip(value.spans[1:], numbers[1:], strict=True))
    found, status = value.found(numbers[0], scales)
    shown = f"{found:,.9g} {field.unit or ''}".strip() if found is not None else status
    return shown if status == GOOD else f"{shown} ({status})"


def registers_target(
    connection: Modbus, folder: Path, unit_id: int, function: int, address: int, count: int
) -> Target:
    """Registers that the command line names. Raises InputError for what cannot be read."""
    if function not in READ_FUNCTIONS or not 1 <= count <= 4 or not 0 <= address <= 65536 - count:
        raise InputError(
            f"function {function}, {count} registers from {address}",
            allowed="function 3 or 4, 1 to 4 registers of 0 to 65535",
        )
    return Target(connection, folder, unit_id, function, address, count)
