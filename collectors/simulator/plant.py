"""A cement plant whose meters are known at any time, exactly, from the time alone.

``true_total`` is the closed integral of a load; ``register_reading`` is what the meter shows of
it. So whatever collectors, lake and indicators make of the readings can be held against the truth.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import chain
from zoneinfo import ZoneInfo

from collectors.simulator import layout
from collectors.simulator.faults import Dip, Faults, Outage
from collectors.simulator.loads import loads
from config.devices import read_device
from config.errors import InputError
from config.models import Meter, Node, Product
from config.standards import read_library
from config.units import amount_unit_of, conversion_factor

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US

# What each register showed at the start, in the ledger's unit, before the multiplier.
_REGISTER_AT_START = {
    "main_incomer": 61_204.37,
    "raw_mill": 18_770.402,
    "kiln": 20_551.25,
    "coal_mill": 98_700.0,  # about 25 days before it rolls over
    "waste_heat": 44_018.6,
    "cement_mill_1": 2_000_310.0,
    "cement_mill_2": 17_402.88,
    "packing": 5_120.0,
    "air": 40_317.9,
    "water": 512_880.44,
    "coal_burner": 88_102.5,
    "coal_precalciner": 131_870.25,
    "diesel": 402_511.0,
    "clinker_out": 1_530_442.0,
    "cement_ground": 1_880_934.5,
}
_WEIGHING_RESOLUTION = 0.001


@dataclass(frozen=True)
class Encoding:
    """How a meter's value is held: number type and factor to the ledger's unit."""

    type: str
    scale: float


class CementPlant:
    """The sample plant from local midnight of ``since``. ``faults`` default to `usual_faults`.

    A figure of the plant's truth is in the amount unit of the meter's energy or product, and
    covers ``[from_us, to_us)``; times are microseconds since the epoch, UTC.
    """

    def __init__(self, since: date, faults: Faults | None = None) -> None:
        self.since = since
        self.zone = ZoneInfo(layout.TIMEZONE)
        midnight = datetime(since.year, since.month, since.day, tzinfo=self.zone)
        self.start_us = int(midnight.astimezone(UTC).timestamp()) * 1_000_000
        self.nodes: Mapping[str, Node] = layout.NODES
        self.products: Mapping[str, Product] = layout.PRODUCTS
        self.meters: Mapping[str, Meter] = layout.ledger(since)
        self.faults = usual_faults(self.start_us) if faults is None else faults
        self._loads = loads()
        self._encodings = {key: encoding_of(meter) for key, meter in self.meters.items()}
        self._library = read_library()

    def true_total(self, meter_id: str, time_us: int) -> float:
        """Amount that the meter has counted since the start, after the multiplier, in its unit.

        What flows is counted in whole steps of the register: that is the truth which anybody can
        read, and a meter with CT x PT of 12,000 steps by 120 kWh. kWh for a gauge in kW, whose
        rate runs straight between quarter hours. Negative before the start.
        """
        meter = self.meters[meter_id]
        if meter.kind == "gauge":
            return self._flow(meter_id, time_us)
        counted = self._unwrapped(meter_id, time_us) - self._unwrapped(meter_id, self.start_us)
        return counted * meter.multiplier

    def _flow(self, meter_id: str, time_us: int) -> float:
        return self._loads[meter_id].total((time_us - self.start_us) / HOUR_US)

    def true_rate(self, meter_id: str, time_us: int) -> float:
        """The same as a rate per hour at ``time_us``."""
        return self._loads[meter_id].rate((time_us - self.start_us) / HOUR_US)

    def register_reading(self, meter_id: str, time_us: int) -> float:
        """What the meter shows at ``time_us``, before the multiplier, in the ledger's unit.

        A counter: start plus total, in whole steps of its register, modulo its modulus. A gauge:
        the rate. An amount: what flowed in the span before ``time_us``.
        """
        meter = self.meters[meter_id]
        encoding = self._encodings[meter_id]
        if meter.kind == "gauge":
            return _held(self.true_rate(meter_id, time_us) / meter.multiplier, encoding, None)
        if meter.kind == "counter":
            return self._count(meter_id, time_us)
        # The difference of two counts, so that the batches add up to the total.
        span_us = round((meter.span_minutes or 0) * 60e6)
        batch = self._count(meter_id, time_us) - self._count(meter_id, time_us - span_us)
        return round(batch / encoding.scale) * encoding.scale

    def true_output(self, product_id: str, from_us: int, to_us: int) -> float:
        """Output of the product, in its unit."""
        return math.fsum(
            self._amount(meter, from_us, to_us)
            for meter in self.meters.values()
            if meter.product == product_id and meter.role == "output"
        )

    def true_consumption(self, node_id: str, energy: str, from_us: int, to_us: int) -> float:
        """Net consumption of the node, in the unit that the energy is counted in.

        A node's own inputs are its figure, less non-production use at it and below it, less its
        own outputs, plus its own feedstock; a node without inputs is the sum of its children.
        """
        own = [m for m in self.meters.values() if m.node == node_id and m.energy == energy]
        if not any(meter.role == "input" for meter in own):
            return math.fsum(
                self.true_consumption(child, energy, from_us, to_us)
                for child, node in self.nodes.items()
                if node.parent == node_id
            )
        signs = {"input": 1.0, "output": -1.0, "feedstock": 1.0}
        below = self._nodes_below(node_id)
        aside = (
            meter
            for meter in self.meters.values()
            if meter.energy == energy and meter.role == "non_production" and meter.node in below
        )
        return math.fsum(
            chain(
                (signs.get(m.role, 0.0) * self._amount(m, from_us, to_us) for m in own),
                (-self._amount(m, from_us, to_us) for m in aside),
            )
        )

    def true_energy(self, product_id: str, from_us: int, to_us: int) -> float:
        """Energy of the product's boundary, calorific basis, kgce."""
        energies = {meter.energy for meter in self.meters.values() if meter.energy}
        on = datetime.fromtimestamp(from_us / 1e6, self.zone).date()
        kgce: list[float] = []
        for energy in sorted(energies):
            factor = self._library.factor(energy, "calorific", on)
            if factor is None or factor.kgce_per_unit is None:
                raise InputError(f"{energy} has no calorific factor on {on}")
            kgce.extend(
                factor.kgce_per_unit * self.true_consumption(node, energy, from_us, to_us)
                for node in self.products[product_id].boundary
            )
        return math.fsum(kgce)

    def true_intensity(self, product_id: str, from_us: int, to_us: int) -> float:
        """Unit energy consumption of the product, calorific basis, kgce per unit of output."""
        energy_kgce = self.true_energy(product_id, from_us, to_us)
        return energy_kgce / self.true_output(product_id, from_us, to_us)

    def _count(self, meter_id: str, time_us: int) -> float:
        return self._held_by(meter_id, time_us, self.meters[meter_id].modulus)

    def _unwrapped(self, meter_id: str, time_us: int) -> float:
        """The count as if the register never rolled over."""
        return self._held_by(meter_id, time_us, None)

    def _held_by(self, meter_id: str, time_us: int, modulus: float | None) -> float:
        shown = _REGISTER_AT_START.get(meter_id, 0.0)
        shown += self._flow(meter_id, time_us) / self.meters[meter_id].multiplier
        return _held(shown, self._encodings[meter_id], modulus)

    def _amount(self, meter: Meter, from_us: int, to_us: int) -> float:
        to_unit = (
            self.products[meter.product].unit
            if meter.product is not None
            else self._library.energies[meter.energy or ""]
        )
        amount = self.true_total(meter.meter_id, to_us) - self.true_total(meter.meter_id, from_us)
        return amount * conversion_factor(amount_unit_of(meter.unit), to_unit)

    def _nodes_below(self, node_id: str) -> set[str]:
        """The node and all under it."""
        found = {node_id}
        for child, node in self.nodes.items():
            if node.parent == node_id:
                found |= self._nodes_below(child)
        return found


def encoding_of(meter: Meter) -> Encoding:
    """Number type and scale of the meter's value, from its register map, ledger or message."""
    if meter.device is not None:
        field = read_device(meter.device).fields[meter.quantity_name]
        return Encoding(field.type or "f64", field.scale)
    if meter.type is not None:
        return Encoding(meter.type, meter.scale or 1.0)
    return Encoding("decimal", _WEIGHING_RESOLUTION)


def _held(value: float, encoding: Encoding, modulus: float | None) -> float:
    """``value`` as the meter can hold it: whole steps of integers, the nearest float32."""
    if encoding.type == "f64":
        return value % modulus if modulus else value
    if encoding.type == "f32":
        within = value % modulus if modulus else value
        held: float = struct.unpack(">f", struct.pack(">f", within / encoding.scale))[0]
        return held * encoding.scale
    # Rounded first: 18770.402 / 0.001 is a hair under 18770402.
    steps = math.floor(round(value / encoding.scale, 6))
    if modulus:
        steps %= round(modulus / encoding.scale)
    return steps * encoding.scale


def usual_faults(start_us: int) -> Faults:
    """One of each: an outage of six hours, a momentary 0, a message that comes twice.

    (The rollover of the coal mill's counter, about day 25, is the meter's nature and no fault.)
    """
    outage_us = start_us + 20 * DAY_US + 10 * HOUR_US
    dip_us = start_us + 30 * DAY_US + 3 * HOUR_US
    repeat_us = start_us + 12 * DAY_US + 12 * HOUR_US
    minute_us = HOUR_US // 60
    return Faults(
        outages=(Outage(12, outage_us, outage_us + 6 * HOUR_US),),
        # Less than any poll interval, so that one reading meets it; the poll need not be punctual.
        dips=(Dip("kiln", dip_us, dip_us + minute_us),),
        repeats_us=(repeat_us,),
    )
