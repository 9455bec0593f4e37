"""Whether a ledger row says what the connection needs to read the meter."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from config.connections import Dlt645, Modbus, Mqtt, OpcUa
from config.devices import byte_order
from config.errors import ConfigError
from config.models import Meter
from config.opc_node import ALLOWED as OPC_NODES
from config.opc_node import parse_opc_node
from config.register_map import WIDTH_BYTES
from config.site import Site
from config.topic_filter import filter_problem, sparkplug_problem
from config.units import AMOUNT_UNITS, RATE_UNITS, amount_unit_of

Problems = Iterator[ConfigError]


def unknown(place: str, what: str, given: str, allowed: Iterable[str], todo: str) -> ConfigError:
    """That ``given`` names no ``what``, with the nearest that is allowed."""
    names = list(allowed)
    near = difflib.get_close_matches(given, names, 1)
    return ConfigError(
        f"{place}: unknown {what} {given!r}",
        allowed=", ".join(names) or f"none: no {what} is defined",
        todo=f"did you mean {near[0]!r}?" if near else todo,
    )


def problems_of_reading(
    site: Site, meter: Meter, connection: Any, at: Callable[[str], str]
) -> Problems:
    """What keeps ``connection`` from reading ``meter``; ``at`` gives the place of a column."""
    if isinstance(connection, Modbus):
        yield from _modbus(site, meter, at)
    elif isinstance(connection, Dlt645):
        yield from _dlt645(site, meter, at)
    elif isinstance(connection, Mqtt):
        yield from _mqtt(meter, at)
    elif isinstance(connection, OpcUa):
        yield from _opcua(meter, at)


def _modbus(site: Site, meter: Meter, at: Callable[[str], str]) -> Problems:
    if meter.device is None and meter.register_address is None:
        yield ConfigError(
            f"{at('device')}: no device and no register",
            allowed="device and quantity of a register map; or register, type and scale",
        )
        return
    if meter.device is None:
        yield from _plain_register(site, meter, at)
        return
    if meter.register_address is not None or meter.type is not None:
        yield ConfigError(
            f"{at('device')}: device {meter.device!r} and a register of its own",
            allowed="one of the two",
            todo="remove device, or remove register and type",
        )
        return
    yield from _mapped(site, meter, at)


def _mapped(site: Site, meter: Meter, at: Callable[[str], str]) -> Problems:
    """A field of a device's map."""
    device = site.devices.get(meter.device or "")
    if device is None:
        return  # reported where it was read
    if meter.quantity is None or meter.quantity not in device.fields:
        yield unknown(
            at("quantity"),
            f"quantity of {meter.device}",
            meter.quantity or "",
            device.fields,
            "name a field of the register map",
        )
        return
    field = device.fields[meter.quantity]
    no_flow = field.kind not in ("counter", "gauge")
    if (
        not (field.unit == meter.unit or _is_linked(field.unit, meter))
        or no_flow
        or (field.kind == "counter") != (meter.kind == "counter")
    ):
        yield ConfigError(
            f"{at('unit')}: ledger says {meter.kind} in {meter.unit!r}; {meter.device} gives "
            f"{meter.quantity} as {field.kind} in {field.unit!r}",
            todo="state kind and unit as the register map has them; where a density or a calorific "
            "value links two units, state it as the multiplier",
        )


def _is_linked(unit: str | None, meter: Meter) -> bool:
    """Whether the ledger's multiplier leads from ``unit`` to a unit of another dimension.

    Such as water in m3 by a register map, and in t by the ledger: the multiplier is the density.
    """
    units = {*AMOUNT_UNITS, *RATE_UNITS}
    if unit not in units or meter.unit not in units or "multiplier" not in meter.model_fields_set:
        return False
    given, wanted = amount_unit_of(unit), amount_unit_of(meter.unit)
    same_rate = (unit in RATE_UNITS) == (meter.unit in RATE_UNITS)
    return same_rate and AMOUNT_UNITS[given][0] != AMOUNT_UNITS[wanted][0]


def _dlt645(site: Site, meter: Meter, at: Callable[[str], str]) -> Problems:
    if meter.meter_address is None or meter.meter_address == "9" * 12:
        yield ConfigError(
            f"{at('meter_address')}: meter_address {meter.meter_address or 'is missing'}",
            allowed="the 12 digits on the meter, with leading zeros; 999999999999 is for everybody",
        )
    if meter.device is None:
        yield ConfigError(
            f"{at('device')}: no device",
            allowed="device and quantity of a map with data_id, such as dlt645-2007",
        )
        return
    device = site.devices.get(meter.device)
    field = device.fields.get(meter.quantity or "") if device is not None else None
    if field is not None and field.data_id is None:
        yield ConfigError(
            f"{at('device')}: {meter.quantity} of {meter.device} is a register, and "
            f"{meter.connection} talks DL/T 645",
            todo="name a map with data_id, such as dlt645-2007; or a Modbus connection",
        )
        return
    yield from _mapped(site, meter, at)


def _plain_register(site: Site, meter: Meter, at: Callable[[str], str]) -> Problems:
    """A register that the ledger states itself, without a map."""
    if meter.type is None:
        yield ConfigError(
            f"{at('type')}: register {meter.register_address} without a type",
            allowed=", ".join(WIDTH_BYTES),
        )
        return
    try:
        byte_order(meter.type, meter.order)
    except ConfigError as error:
        yield ConfigError(f"{at('order')}: {error.given}", allowed=error.allowed)
    registers = WIDTH_BYTES[meter.type] // 2
    if (meter.register_address or 0) + registers > 65536:
        yield ConfigError(
            f"{at('register')}: {meter.type} at {meter.register_address} ends past register 65535",
            allowed="registers 0 to 65535",
        )
    connection = site.plant.connections[meter.connection or ""]
    if isinstance(connection, Modbus) and registers > connection.max_registers:
        yield ConfigError(
            f"{at('type')}: {meter.type} takes {registers} registers, one request of "
            f"{meter.connection} {connection.max_registers}: the value would be torn",
            todo="correct the type, or max_registers of the connection",
        )


def _mqtt(meter: Meter, at: Callable[[str], str]) -> Problems:
    if not meter.topic:
        yield ConfigError(f"{at('topic')}: a meter on MQTT needs a topic")
        return
    problem = filter_problem(meter.topic)
    if problem is None and meter.metric is not None:
        problem = sparkplug_problem(meter.topic)
    if problem is not None:
        what, allowed = problem
        shown = meter.topic if len(meter.topic) <= 80 else meter.topic[:80] + "..."
        yield ConfigError(
            f"{at('topic')}: {shown!r} is no topic filter: it {what}", allowed=allowed
        )
    for key in ("value_path", "time_path", "time_unit"):
        if meter.metric is not None and getattr(meter, key) is not None:
            yield ConfigError(
                f"{at(key)}: {key} of the Sparkplug metric {meter.metric!r}",
                allowed="metric alone: Sparkplug says where value and time are",
            )
    if meter.kind == "amount" and meter.time_path is None and meter.metric is None:
        yield ConfigError(
            f"{at('time_path')}: amounts over MQTT need the time in the payload: a message that "
            "comes twice would be counted twice",
            todo="give time_path",
        )


def _opcua(meter: Meter, at: Callable[[str], str]) -> Problems:
    if not meter.opc_node:
        yield ConfigError(
            f"{at('opc_node')}: a meter on OPC UA needs an opc_node", allowed=OPC_NODES
        )
        return
    try:
        parse_opc_node(meter.opc_node)
    except ConfigError as error:
        yield ConfigError(f"{at('opc_node')}: {error.given}", allowed=error.allowed)
    if meter.kind == "amount":
        yield ConfigError(
            f"{at('kind')}: an amount over OPC UA: a value that stands still is read again and "
            "again, and would be counted each time",
            todo="read the counter behind it, or its rate as a gauge",
        )
