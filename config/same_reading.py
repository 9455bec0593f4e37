"""Whether two rows of the ledger are one reading: the same register, topic, node or column."""

from __future__ import annotations

from config.models import Meter
from config.register_map import BASES
from config.site import Site

Place = tuple[object, ...]


def places_of(site: Site, meter: Meter) -> set[Place]:
    """Where the meter's value is read; two meters that share a place are one reading."""
    found: set[Place] = {
        ("import", name, mapping.values[meter.meter_id])
        for name, mapping in site.plant.imports.items()
        if meter.meter_id in mapping.values
    }
    place = _on_connection(site, meter)
    return found | {(_line(site, meter), *place)} if place else found


def _line(site: Site, meter: Meter) -> object:
    """Two connections to one address are one line."""
    connection = site.plant.connections.get(meter.connection or "")
    return getattr(connection, "peer", None) or meter.connection


def _on_connection(site: Site, meter: Meter) -> Place | None:
    unit_id = 1 if meter.unit_id is None else meter.unit_id
    if meter.connection is None:
        return None
    if meter.opc_node is not None:
        return ("node", meter.opc_node)
    if meter.topic is not None:
        return ("topic", meter.topic, meter.metric, meter.value_path)
    if meter.meter_address is not None:
        return ("dlt645", meter.meter_address, meter.device, meter.quantity)
    if meter.register_address is not None:
        function = meter.function or BASES[meter.register_base] or 3
        return ("register", unit_id, function, meter.register_address - meter.register_base)
    device = site.devices.get(meter.device or "")
    field = device.fields.get(meter.quantity or "") if device is not None else None
    if device is None or field is None or field.address is None:
        return None
    function = device.function_of(field.function)
    if field.bits is not None:
        return ("bits", unit_id, function, field.address - device.base, field.bits)
    return ("register", unit_id, function, field.address - device.base)
