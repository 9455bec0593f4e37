"""What the pipeline needs to know of each meter, in the units of its raw readings."""

from __future__ import annotations

from dataclasses import dataclass

from config.site import Site
from config.units import amount_unit_of, conversion_factor

US_PER_H = 3_600_000_000
GRID_US = 900_000_000  # 15 min, the rate of the national specification


@dataclass(frozen=True)
class MeterRule:
    """How one meter's readings become amounts.

    ``scale`` turns a raw amount (a counter's difference, a gauge's integral, an amount) into
    ``unit``. ``rate_per_us`` is the rated power times the overload factor, in raw amount a
    microsecond; None where the ledger states no rated power. ``span_us`` is the time that one
    reading stands for, 0 where it is an instant.
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

    @property
    def max_rate_per_h(self) -> float | None:
        """The bound in ``unit`` an hour."""
        return None if self.rate_per_us is None else self.rate_per_us * US_PER_H * self.scale


def rules_of(site: Site) -> list[MeterRule]:
    """One rule for each meter of the ledger.

    Example: a kW gauge of a plant that counts electricity in kWh has scale 1; a MWh counter with
    CT x PT of 40 has scale 40,000.
    """
    quality = site.plant.quality
    rules = []
    for meter_id, meter in site.plant.meters.items():
        unit = site.amount_unit(meter_id)
        scale = meter.multiplier * conversion_factor(amount_unit_of(meter.unit), unit)
        rated = meter.rated_per_h
        rules.append(
            MeterRule(
                meter_id=meter_id,
                quantity=meter.quantity_name,
                kind=meter.kind,
                unit=unit,
                scale=scale,
                max_gap_us=round(site.plant.interval_s(meter) * quality.gap_factor * 1e6),
                span_us=round((meter.span_minutes or 0) * 60e6),
                modulus=meter.modulus,
                # rated_per_h is stated after the multiplier, in the ledger's amount unit
                rate_per_us=None
                if rated is None
                else rated / meter.multiplier * quality.overload_factor / US_PER_H,
            )
        )
    return rules
