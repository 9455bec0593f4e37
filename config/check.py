"""What no single model can see: names that must meet, units that fit, a tree that closes."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from datetime import date

from config.connections import Dlt645, Modbus, Mqtt, OpcUa
from config.devices import byte_order
from config.errors import ConfigError
from config.models import Meter
from config.opc_node import ALLOWED as OPC_NODES
from config.opc_node import parse_opc_node
from config.register_map import WIDTH_BYTES
from config.site import Site
from config.topic_filter import filter_problem, sparkplug_problem
from config.units import AMOUNT_UNITS, RATE_UNITS, amount_unit_of, conversion_factor
from config.yaml import KeyPath, Source

LEVELS = ("plant", "process", "equipment")
Problems = Iterator[ConfigError]


def problems_of(site: Site, source: Source) -> list[ConfigError]:
    """Every problem of the configuration that is not one model's own."""
    rules: tuple[Callable[[Site, Source], Problems], ...] = (
        _nodes,
        _own_factors,
        _meters,
        _products,
        _imports,
    )
    return [problem for rule in rules for problem in rule(site, source)]


def _unknown(place: str, what: str, given: str, allowed: Iterable[str], todo: str) -> ConfigError:
    names = list(allowed)
    near = difflib.get_close_matches(given, names, 1)
    return ConfigError(
        f"{place}: unknown {what} {given!r}",
        allowed=", ".join(names) or f"none: no {what} is defined",
        todo=f"did you mean {near[0]!r}?" if near else todo,
    )


def _nodes(site: Site, source: Source) -> Problems:
    nodes = site.plant.nodes
    roots = [node_id for node_id, node in nodes.items() if node.parent is None]
    if len(roots) != 1:
        yield ConfigError(
            f"{source.place(('nodes',))}: {len(roots)} nodes without a parent "
            f"({', '.join(roots) or 'none'})",
            allowed="exactly one, the plant",
        )
    for node_id, node in nodes.items():
        if node.parent is None:
            continue
        place = source.place(("nodes", node_id, "parent"))
        if node.parent not in nodes:
            yield _unknown(place, "node", node.parent, nodes, "define it under nodes")
        elif LEVELS.index(node.level) < LEVELS.index(nodes[node.parent].level):
            yield ConfigError(
                f"{place}: {node.level} {node_id!r} under {nodes[node.parent].level} "
                f"{node.parent!r}",
                allowed="plant over process over equipment",
            )
        elif node_id in ancestors(site, node_id):
            yield ConfigError(f"{place}: {node_id!r} is its own ancestor", allowed="a tree")


def ancestors(site: Site, node_id: str) -> list[str]:
    """Nodes above, nearest first; stops where the tree is broken."""
    above: list[str] = []
    here = site.plant.nodes[node_id].parent
    while here is not None and here in site.plant.nodes and here not in above:
        above.append(here)
        here = site.plant.nodes[here].parent
    return above


def _own_factors(site: Site, source: Source) -> Problems:
    # Not library.energies: that has the plant's own rows in it, and would know every name.
    known = {f.energy: f.unit for f in reversed(site.library.factors) if f.scope != "plant"}
    seen: list[tuple[str, str, date]] = []
    for index, row in enumerate(site.plant.factors):
        key = (row.energy, row.basis, row.effective_from)
        if key in seen:
            yield ConfigError(
                f"{source.place(('factors', index))}: {row.energy} on basis {row.basis!r} from "
                f"{row.effective_from} stands twice",
                allowed="one factor for an energy, basis and date",
            )
        seen.append(key)
        if row.energy not in known:
            yield _unknown(
                source.place(("factors", index, "energy")),
                "energy",
                row.energy,
                known,
                "see config/standards/factors.csv for the codes",
            )
        elif row.unit != known[row.energy]:
            yield ConfigError(
                f"{source.place(('factors', index, 'unit'))}: {row.energy} is counted in "
                f"{known[row.energy]}, not {row.unit!r}",
                todo=f"state the factor per {known[row.energy]}",
            )


def _meters(site: Site, source: Source) -> Problems:
    for meter_id, meter in site.plant.meters.items():

        def at(key: str, path: KeyPath = ("meters", meter_id)) -> str:
            return source.place((*path, key))

        if meter.meter_id != meter_id:
            yield ConfigError(f"{at('meter_id')}: key {meter_id!r} holds {meter.meter_id!r}")
            continue
        if meter.node not in site.plant.nodes:
            yield _unknown(
                at("node"), "node", meter.node, site.plant.nodes, "define it under nodes"
            )
        yield from _subject(site, meter, at)
        if meter.connection is None:
            if meter.kind != "amount":
                yield ConfigError(
                    f"{at('connection')}: {meter.kind} {meter_id!r} has no connection",
                    allowed="; ".join(site.plant.connections),
                    todo="name its connection; only statements (kind amount) have none",
                )
            continue
        connection = site.plant.connections.get(meter.connection)
        if connection is None:
            yield _unknown(
                at("connection"),
                "connection",
                meter.connection,
                site.plant.connections,
                "define it under connections",
            )
        elif isinstance(connection, Modbus):
            yield from _modbus(site, meter, at)
        elif isinstance(connection, Dlt645):
            yield from _dlt645(site, meter, at)
        elif isinstance(connection, Mqtt):
            yield from _mqtt(meter, at)
        elif isinstance(connection, OpcUa):
            yield from _opcua(meter, at)


def _subject(site: Site, meter: Meter, at: Callable[[str], str]) -> Problems:
    if meter.product is not None and meter.product not in site.plant.products:
        yield _unknown(
            at("product"), "product", meter.product, site.plant.products, "define it under products"
        )
        return
    energies = site.library.energies
    if meter.energy is not None and meter.energy not in energies:
        yield _unknown(
            at("energy"),
            "energy",
            meter.energy,
            energies,
            "see config/standards/factors.csv for the codes",
        )
        return
    wanted_kind = "gauge" if meter.unit in RATE_UNITS else "counter or amount"
    known_unit = meter.unit in AMOUNT_UNITS or meter.unit in RATE_UNITS
    if known_unit and (meter.kind == "gauge") != (meter.unit in RATE_UNITS):
        yield ConfigError(
            f"{at('unit')}: {meter.kind} in {meter.unit!r}",
            allowed=f"{meter.unit!r} is the unit of a {wanted_kind}",
        )
        return
    try:
        conversion_factor(amount_unit_of(meter.unit), site.amount_unit(meter.meter_id))
    except ConfigError as error:
        yield ConfigError(f"{at('unit')}: {error.given}", allowed=error.allowed, todo=error.todo)
    if meter.energy is not None:
        yield from _factor_exists(site, meter, at)


def _factor_exists(site: Site, meter: Meter, at: Callable[[str], str]) -> Problems:
    energy = meter.energy or ""
    row = site.library.factor(energy, "calorific", date.max)
    if row is None or row.kgce_per_unit is None:
        ranged = row is not None and row.kgce_low is not None and row.kgce_high is not None
        yield ConfigError(
            f"{at('energy')}: {energy} has no single factor to standard coal"
            + (f" ({row.kgce_low} to {row.kgce_high} kgce/{row.unit})" if row and ranged else ""),
            todo="state yours under `factors:` in plant.yaml, with date and source",
        )


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
        yield _unknown(
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


def _products(site: Site, source: Source) -> Problems:
    for product_id, product in site.plant.products.items():
        path: KeyPath = ("products", product_id)
        if product.unit not in AMOUNT_UNITS:
            yield ConfigError(
                f"{source.place((*path, 'unit'))}: {product.unit!r} is no unit of output",
                allowed=", ".join(AMOUNT_UNITS),
            )
        for key, names in (("boundary", product.boundary), ("norms", product.norms)):
            for name in sorted({name for name in names if names.count(name) > 1}):
                yield ConfigError(f"{source.place((*path, key))}: {name!r} stands twice")
        for node_id in product.boundary:
            place = source.place((*path, "boundary"))
            above = set(ancestors(site, node_id)) if node_id in site.plant.nodes else set()
            if node_id not in site.plant.nodes:
                yield _unknown(place, "node", node_id, site.plant.nodes, "define it under nodes")
            elif inside := (above - {node_id}) & set(product.boundary):
                yield ConfigError(
                    f"{place}: {node_id!r} lies inside {inside.pop()!r}: its energy would count "
                    "twice",
                    allowed="nodes none of which is inside another",
                )
        for norm in product.norms:
            place = source.place((*path, "norms"))
            if norm not in site.library.norms:
                yield _unknown_norm(site, place, norm)


def _unknown_norm(site: Site, place: str, norm: str) -> ConfigError:
    standard = norm.split("|")[0]
    rows = [row for row in site.library.norms if row.startswith(standard + "|")]
    near = difflib.get_close_matches(norm, rows or site.library.norms, 1, 0.3)
    return ConfigError(
        f"{place}: unknown norm {norm!r}",
        allowed="standard|product|indicator of config/standards/norm_limits.csv"
        + (f"; {standard} has {len(rows)} rows" if rows else ""),
        todo=f"did you mean {near[0]!r}?" if near else "look the row up in the file",
    )


def _imports(site: Site, source: Source) -> Problems:
    for name, mapping in site.plant.imports.items():
        for meter_id in mapping.values:
            if meter_id not in site.plant.meters:
                yield _unknown(
                    source.place(("imports", name, "values", meter_id)),
                    "meter",
                    meter_id,
                    site.plant.meters,
                    "put it into the ledger",
                )
            elif mapping.time.label == "start" and site.plant.meters[meter_id].span_minutes is None:
                yield ConfigError(
                    f"{source.place(('imports', name, 'time', 'label'))}: stamps mark the start of "
                    f"a span, and the ledger states no span of {meter_id!r}",
                    todo="give the meter span_minutes, or state label: instant or end",
                )
