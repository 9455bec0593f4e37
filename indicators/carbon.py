"""Energy-related CO2 of a plant, by source: fuels burnt, electricity and heat from outside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import polars as pl

from config.node_tree import NodeTree
from config.sheets.carbon import CARBON
from config.site import Site
from config.standards import weakest
from indicators.coal import label_day
from indicators.emission_factors import CarbonRules, EmissionFactor, emission_factor
from indicators.intensity import Bounded
from indicators.numerators import STATUSES, energy_kinds

COUNTED = ("direct", "electricity", "heat", "exported")
UNKNOWN = Bounded(None, None, None)
NOTHING = Bounded(0.0, 0.0, 0.0)
_SCOPES = {"fuel": "direct", "electricity": "electricity", "heat": "heat"}
_ZERO = {
    "own_renewable": "renewable energy of the plant's own or by a direct line: no CO2",
    "biomass": "CO2 of biomass is not counted",
    "feedstock": "not burnt: the CO2 that a process makes of it is not in these figures",
}
_BOUNDARY = "energy-related CO2, without that of processes and of upstream"


class Used(NamedTuple):
    """An amount of one energy, by how it enters the total; ``reason`` where it is unknown."""

    scope: str
    energy: str
    amount: Bounded
    unit: str
    coverage_ratio: float
    status: str
    reason: str = ""


class Metered(NamedTuple):
    """What some meters counted in a period, and the weakest coverage of them."""

    amount: Bounded
    coverage_ratio: float


def plus(parts: Iterable[Bounded]) -> Bounded:
    r"""Sum of bounded quantities [their unit]; what one part does not know, the sum does not.

    .. math:: \sum_i a_i, \quad \left[ \sum_i a_{l,i}, \sum_i a_{h,i} \right]

    kgce's own rule.

    >>> plus([Bounded(1.0, 0.5, 2.0), Bounded(3.0, 3.0, None)])
    Bounded(value=4.0, low=3.5, high=None)
    """
    sums: list[float | None] = []
    for ends in zip(*parts, strict=True):
        known = sorted(end for end in ends if end is not None)
        sums.append(sum(known) if len(known) == len(ends) else None)
    return Bounded(*sums) if sums else NOTHING


def times(amount: Bounded, factor: float | None) -> Bounded:
    r"""CO2 of an amount [tCO2], or any other multiple of it; the bounds change sides below zero.

    .. math:: C = A f, \quad [A_l f, A_h f]

    ``factor`` [tCO2/unit]; None: unknown. GB/T 32150-2015 (clause not checked against the print).

    >>> times(Bounded(10.0, 8.0, None), -0.5)
    Bounded(value=-5.0, low=None, high=-4.0)
    """
    if factor is None:
        return UNKNOWN
    value, low, high = (None if one is None else one * factor for one in amount)
    return Bounded(value, high, low) if factor < 0 else Bounded(value, low, high)


def metered(meter_periods: pl.DataFrame, meters: Iterable[str]) -> Metered:
    r"""Sum of what meters counted in the period of ``meter_periods`` [their unit].

    .. math:: A = \sum_m A_m

    Rows of METER_PERIODS of one period. A meter without a row makes it unknown, with coverage 0;
    no meters at all are nothing, known for sure. kgce's own rule.

    >>> columns = {"meter_id": ["m"], "amount": [5.0], "low": [4.0], "high": [6.0]}
    >>> frame = pl.DataFrame({**columns, "coverage_ratio": [0.95]})
    >>> metered(frame, ["m"])
    Metered(amount=Bounded(value=5.0, low=4.0, high=6.0), coverage_ratio=0.95)
    >>> metered(frame, ["m", "n"]).amount.value is None
    True
    """
    rows = {row["meter_id"]: row for row in meter_periods.iter_rows(named=True)}
    found = [rows.get(meter_id) for meter_id in meters]
    present = [row for row in found if row is not None]
    if len(present) < len(found):
        return Metered(UNKNOWN, 0.0)
    coverage = min((row["coverage_ratio"] for row in present), default=1.0)
    return Metered(plus(Bounded(r["amount"], r["low"], r["high"]) for r in present), coverage)


def status_of(consumption: pl.DataFrame) -> str:
    """``partial`` where the period of ``consumption`` [rows] is not whole, else ``complete``.

    kgce's own rule, as for unit consumption.

    >>> status_of(pl.DataFrame({"status": ["refused", "partial"]}))
    'partial'
    """
    return STATUSES[1] if STATUSES[1] in consumption["status"] else STATUSES[0]


def carbon_balance(
    consumption: pl.DataFrame, meter_periods: pl.DataFrame, site: Site, period: str
) -> pl.DataFrame:
    r"""The rows of the sheet CARBON: one a source, then the sums and the total [tCO2].

    .. math:: C = \sum_i A_i f_i + (E_{in} - E_{out}) f_{grid} + (H_{in} - H_{out}) f_{heat}

    ``consumption``: rows of CONSUMPTION without feedstock, ``meter_periods``: of METER_PERIODS, of
    one period. Electricity and heat that come in and go out are rows of their own. Not in the
    total, by rule: renewable energy of the plant's own, biomass, feedstock. A source that is
    unknown makes the total unknown. GB/T 32150-2015 (clause not checked against the print), without
    process emissions.

    >>> from config.book_tables import METER_PERIODS
    >>> from config.example import used, works
    >>> no_meters = pl.DataFrame(schema=METER_PERIODS.polars_schema())
    >>> bought = used()[[1]].with_columns(node_id=pl.lit("works"))  # 56 MWh of 0.5306 tCO2/MWh
    >>> rows = carbon_balance(bought, no_meters, works(), "2026-10")
    >>> rows.filter(source="electricity")["value"].round(6).to_list()
    [29.7136]
    """
    rules, on = CarbonRules.of(site), label_day(period)
    sources, media = [], []
    for used in _used(consumption, meter_periods, site):
        factor = emission_factor(rules, used.energy, used.unit, on)
        if factor is None:
            media.append(used.energy)
        else:
            sources.append(_row(used, factor, period))
    counted = [row for row in sources if row["scope"] in COUNTED]
    sums = [
        _sum(scope, [row for row in sources if row["scope"] == scope], period) for scope in COUNTED
    ]
    said = [f"{_BOUNDARY}; nor that of {', '.join(media)}" if media else _BOUNDARY]
    said += [f"{row['source']}: {row['note']}" for row in counted if row["note"]]
    note = "; ".join(dict.fromkeys(said))
    rows = [*sources, *sums, {**_sum("total", counted, period), "note": note}]
    return pl.DataFrame(rows, schema=CARBON.polars_schema(), orient="row")


def _used(consumption: pl.DataFrame, meter_periods: pl.DataFrame, site: Site) -> Iterator[Used]:
    """What crosses the plant's boundary, by energy; media too."""
    tree = NodeTree(site.plant.nodes, site.plant.all_meters)
    kinds = energy_kinds(site.library)
    rows = {
        row["energy_code"]: row
        for row in consumption.filter(
            pl.col("node_id") == tree.root, pl.col("plant_id") == site.id
        ).iter_rows(named=True)
    }
    for energy in tree.energies:
        if not tree.weights(tree.root, energy, feedstock=False):
            pass
        elif energy not in rows:
            why = "no consumption of it is published"
            unit = site.library.energies[energy]
            scope = _SCOPES.get(kinds.get(energy, ""), "")
            yield Used(scope, energy, UNKNOWN, unit, 0.0, STATUSES[-1], why)
        else:
            yield from _parts(rows[energy], meter_periods, tree, site)
        if raw := _feedstock_meters(site, energy):
            found = metered(meter_periods, raw)
            yield _metered_part("feedstock", energy, found, site, status_of(consumption))


def _parts(
    row: dict[str, Any], meter_periods: pl.DataFrame, tree: NodeTree, site: Site
) -> Iterator[Used]:
    """What comes in of one energy; and, of electricity and heat, what goes out and what is own."""
    energy, carbon = row["energy_code"], site.plant.assessment.carbon
    scope = _SCOPES.get(energy_kinds(site.library).get(energy, ""), "")
    if energy in carbon.biomass and not any(one.energy == energy for one in carbon.fuels):
        scope = "biomass"
    net, tags = Bounded(row["amount"], row["low"], row["high"]), site.plant.renewables(energy)
    out: list[str] = []
    if scope in ("electricity", "heat"):
        out = tree.own(tree.root, energy, "output")
    sold = [meter_id for tag in tags for meter_id in tag.sold]
    made = metered(meter_periods, [tag.meter for tag in tags])
    gone = metered(meter_periods, out)
    other = metered(meter_periods, [meter_id for meter_id in out if meter_id not in sold])
    bought = _undone(_undone(net, gone.amount, 1), made.amount, -1)
    reason = "" if row["amount"] is not None else _refused(row["coverage_ratio"])
    coverage, status = row["coverage_ratio"], row["status"]
    yield Used(scope, energy, bought, row["unit"], coverage, status, reason)
    if len(sold) < len(out):
        yield _metered_part("exported", energy, other, site, status)
    if tags:
        own = metered(meter_periods, sold)
        used = plus([made.amount, times(own.amount, -1.0)])
        least = min(made.coverage_ratio, own.coverage_ratio)
        yield _metered_part("own_renewable", energy, Metered(used, least), site, status)


def _feedstock_meters(site: Site, energy: str) -> list[str]:
    return [
        meter_id
        for meter_id, meter in site.plant.all_meters.items()
        if (meter.energy, meter.role) == (energy, "feedstock")
    ]


def _metered_part(scope: str, energy: str, found: Metered, site: Site, of_period: str) -> Used:
    """A part that is read from meters alone; refused under the required coverage."""
    enough = found.coverage_ratio >= site.plant.quality.required_coverage_ratio
    known = enough and found.amount.value is not None
    amount = found.amount if known else found.amount._replace(value=None)
    status, reason = STATUSES[-1], _refused(found.coverage_ratio)
    if known:
        status, reason = (STATUSES[1] if of_period == STATUSES[1] else STATUSES[0]), ""
    unit = site.library.energies[energy]
    return Used(scope, energy, amount, unit, found.coverage_ratio, status, reason)


def _refused(coverage_ratio: float) -> str:
    return f"refused, with a coverage of {coverage_ratio:.1%}"


def _undone(net: Bounded, part: Bounded, sign: int) -> Bounded:
    """``net`` before ``part`` was deducted (sign 1) or added (-1): each end with its own."""
    ends = (part.value, part.high, part.low) if sign > 0 else part
    return Bounded(
        *(None if a is None or b is None else a + sign * b for a, b in zip(net, ends, strict=True))
    )


def _row(used: Used, factor: EmissionFactor, period: str) -> dict[str, Any]:
    """The row of one source; by rule no CO2 of what is outside the total."""
    zero = _ZERO.get(used.scope)
    per_unit = 0.0 if zero else factor.tco2_per_unit
    sign = -1.0 if used.scope == "exported" else 1.0
    carbon = times(used.amount, None if per_unit is None else sign * per_unit)
    known = carbon.value is not None
    reason = "" if known else used.reason or factor.note
    return {
        "scope": used.scope, "source": used.energy, "period": period,
        "amount": used.amount.value, "amount_unit": used.unit, "factor": per_unit,
        "value": carbon.value, "low": carbon.low, "high": carbon.high, "unit": "tCO2",
        "coverage_ratio": used.coverage_ratio, "status": used.status if known else STATUSES[-1],
        "factors": "" if zero else factor.row,
        "confidence": "seen" if zero else factor.confidence,
        "reason": reason, "note": zero or (factor.note if per_unit is not None else ""),
    }  # fmt: skip


def _sum(scope: str, rows: list[dict[str, Any]], period: str) -> dict[str, Any]:
    """The sum of rows; zero where the plant has no such source, unknown where one is unknown."""
    carbon = plus(Bounded(row["value"], row["low"], row["high"]) for row in rows)
    unknown = [f"{row['source']}: {row['reason']}" for row in rows if row["value"] is None]
    worst = max((STATUSES.index(row["status"]) for row in rows), default=0)
    return {
        "scope": scope, "source": "all", "period": period, "amount": None, "amount_unit": "",
        "factor": None, "value": carbon.value, "low": carbon.low, "high": carbon.high,
        "unit": "tCO2", "coverage_ratio": min((row["coverage_ratio"] for row in rows), default=1.0),
        "status": STATUSES[worst],
        "factors": ";".join(dict.fromkeys(row["factors"] for row in rows if row["factors"])),
        "confidence": weakest(row["confidence"] for row in rows),
        "reason": "; ".join(dict.fromkeys(unknown)),
        "note": "" if rows else "no such source is metered",
    }  # fmt: skip
