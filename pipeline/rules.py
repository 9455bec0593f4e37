"""What the pipeline needs to know of each meter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from config.installations import Installation
from config.models import Meter
from config.site import Site
from config.units import amount_unit_of, conversion_factor

US_PER_H = 3_600_000_000
GRID_US = 900_000_000  # 15 min, the rate of the national specification
EVER_US = 2**62  # beyond any time


@dataclass(frozen=True)
class MeterRule:
    """How one meter's readings become amounts.

    ``scale`` turns a raw amount (a counter's difference, a gauge's integral, an amount) into
    ``unit``. ``rate_per_us`` is the rated power times the overload factor, in raw amount a
    microsecond; None where the ledger states no rated power. ``span_us`` is the time that one
    reading stands for, 0 where it is an instant.

    The rule holds from ``from_us`` to before ``to_us``; ``later`` holds for what was installed
    afterwards. ``start`` is the raw reading at ``from_us`` and ``final`` the one at ``to_us`` where
    a record states them; ``new_register`` is False where only the ratio changed at ``from_us``;
    ``ledger_scale`` is the scale of the ledger's row where this one's is another.
    """

    meter_id: str
    quantity: str
    kind: str  # counter, gauge, amount
    unit: str
    scale: float
    max_gap_us: int
    span_us: int = 0
    modulus: float | None = None
    rate_per_us: float | None = None
    from_us: int = -EVER_US
    to_us: int = EVER_US
    start: float | None = None
    final: float | None = None
    new_register: bool = True
    ledger_scale: float | None = None
    later: tuple[MeterRule, ...] = ()

    @property
    def max_rate_per_h(self) -> float | None:
        """The bound in ``unit`` an hour."""
        return None if self.rate_per_us is None else self.rate_per_us * US_PER_H * self.scale

    @property
    def eras(self) -> tuple[MeterRule, ...]:
        """The rule of each installation, in order of time."""
        return (self, *self.later)


def rules_of(site: Site) -> list[MeterRule]:
    """One rule for each meter of the ledger.

    Example: a kW gauge of a plant that counts electricity in kWh has scale 1; a MWh counter with
    CT x PT of 40 has scale 40,000.
    """
    quality = site.plant.quality
    records: dict[str, list[Installation]] = {}
    for record in sorted(site.plant.installations, key=lambda r: site.moment(r.from_)):
        records.setdefault(record.meter, []).append(record)
    rules = []
    for meter_id, meter in site.plant.meters.items():
        unit = site.amount_unit(meter_id)
        scale = meter.multiplier * conversion_factor(amount_unit_of(meter.unit), unit)
        rule = MeterRule(
            meter_id=meter_id,
            quantity=meter.quantity_name,
            kind=meter.kind,
            unit=unit,
            scale=scale,
            max_gap_us=round(site.plant.interval_s(meter) * quality.gap_factor * 1e6),
            span_us=round((meter.span_minutes or 0) * 60e6),
            modulus=meter.modulus,
            rate_per_us=_rate_per_us(meter, meter.multiplier, quality.overload_factor),
        )
        rules.append(_with_later(site, meter, rule, records.get(meter_id, [])))
    return rules


def _rate_per_us(meter: Meter, multiplier: float, overload_factor: float) -> float | None:
    # rated_per_h is stated after the multiplier, in the ledger's amount unit
    rated = meter.rated_per_h
    return None if rated is None else rated / multiplier * overload_factor / US_PER_H


def _with_later(
    site: Site, meter: Meter, first: MeterRule, records: list[Installation]
) -> MeterRule:
    """The rule with the rules of its installation records (in order of time)."""
    if not records:
        return first
    starts_us = [round(site.moment(record.from_).timestamp() * 1e6) for record in records]
    ends_us = [*starts_us[1:], EVER_US]
    finals = [*(record.final_reading for record in records[1:]), None]
    base = replace(first, to_us=starts_us[0], final=records[0].final_reading)
    later = []
    multiplier, modulus = meter.multiplier, meter.modulus
    for record, from_us, to_us, final in zip(records, starts_us, ends_us, finals, strict=True):
        multiplier = record.multiplier if record.multiplier is not None else multiplier
        modulus = record.modulus if record.modulus is not None else modulus
        later.append(
            replace(
                first,
                scale=first.scale / meter.multiplier * multiplier,
                modulus=modulus,
                rate_per_us=_rate_per_us(meter, multiplier, site.plant.quality.overload_factor),
                from_us=from_us,
                to_us=to_us,
                start=record.start_reading,
                final=final,
                new_register=record.new_register,
                ledger_scale=first.scale,
            )
        )
    return replace(base, later=tuple(later))


def successions(rule: MeterRule) -> Iterator[tuple[MeterRule, MeterRule]]:
    """Each installation with the one that followed it."""
    return pairwise(rule.eras)
