"""Energy of shared nodes, shared out to products by output, by metered drivers, or by fixed shares.

    amount_j = share_j * amount, sum(share_j) = 1

The rule is the one that holds on the period's first day. Where the rule changes inside a period,
the parts before and after are sums of days, each by its own rule. An amount or a driver that is
unknown, negative, or zero for all, refuses the allocation: nothing is shared out evenly instead.

Two worked cases. 900 kWh of offices by 1,000 t of clinker and 2,000 t of cement: 300 and 600 kWh.
A boiler house's 10 t of coal by steam meters of 40 and 10 t: 8 and 2 t.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import fsum
from typing import Any, NamedTuple

import polars as pl

from config.allocation import Allocation, rule_on, rules_by_date
from config.balance_tables import ALLOCATIONS
from config.site import Site
from config.units import conversion_factor

STATUSES = ("complete", "partial", "refused")


class Amount(NamedTuple):
    """An amount with its bounds (None: unknown, or nothing bounds it), coverage and status."""

    value: float | None
    low: float | None
    high: float | None
    coverage_ratio: float
    status: str


@dataclass(frozen=True)
class Part:
    """What one product gets of one energy; ``share_ratio`` of the whole."""

    product_id: str
    share_ratio: float | None
    amount: Amount
    reason: str = ""


class Period(NamedTuple):
    grain: str
    period: str
    start_utc: datetime
    end_utc: datetime


UNKNOWN = Amount(None, None, None, 0.0, "refused")
Amounts = Mapping[str, Amount]  # by what shares: product


def allocate(
    consumption: pl.DataFrame, by_meter: pl.DataFrame, outputs: pl.DataFrame, site: Site
) -> pl.DataFrame:
    """Rows of ALLOCATIONS: what each product gets of each energy of the shared nodes.

    ``consumption``: rows of CONSUMPTION; ``by_meter``: of `meter_periods`; ``outputs``: of
    `product_output` after `judged` (quantity, low, high, coverage_ratio, status); of one grain or
    several. Days must be among them for periods in which a rule changes. Periods before a node's
    first rule have no rows.
    """
    wanted = pl.col("plant_id") == site.id
    nodes = list(dict.fromkeys(one.node for one in site.plant.allocations))
    sharing = _Sharing(site, by_meter, outputs)
    rows: list[tuple[Any, ...]] = []
    for node_id in nodes:
        rules = rules_by_date(site.plant.allocations, node_id)
        of_node = consumption.filter(wanted, pl.col("node_id") == node_id)
        days = _by_energy(of_node.filter(pl.col("grain") == "day"))
        for row in of_node.sort("energy_code", "start_utc", "grain").iter_rows(named=True):
            rows.extend(_allocated(sharing, rules, row, days.get(row["energy_code"], [])))
    schema = ALLOCATIONS.polars_schema()
    return pl.DataFrame(rows, schema=schema, orient="row").sort(list(ALLOCATIONS.key))


def _by_energy(days: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in days.sort("start_utc").iter_rows(named=True):
        found.setdefault(row["energy_code"], []).append(row)
    return found


def _allocated(
    sharing: _Sharing, rules: list[Allocation], row: dict[str, Any], days: list[dict[str, Any]]
) -> Iterator[tuple[Any, ...]]:
    """The rows of one node, energy and period."""
    period = Period(*(row[name] for name in Period._fields))
    first, last = sharing.local_days(period)
    changes = [one.from_ for one in rules if first < one.from_ <= last]
    energy = row["energy_code"]
    if not changes:
        rule = rule_on(rules, first)
        used = [rule] if rule is not None and rule.counts(energy) else []
        parts = [sharing.parts(one, period, _amount(row)) for one in used]
        merged = parts[0] if parts else []
    else:
        inside = [d for d in days if period.start_utc <= d["start_utc"] < period.end_utc]
        used, merged = _by_days(sharing, rules, row, inside)
    names = "+".join(dict.fromkeys(rule.rule for rule in used))
    for part in merged:
        amount = part.amount
        yield (
            row["plant_id"], row["node_id"], energy, part.product_id, *period, part.share_ratio,
            amount.value, row["unit"], amount.low, amount.high, amount.coverage_ratio, names,
            amount.status, part.reason, row["factors"],
        )  # fmt: skip


def _by_days(
    sharing: _Sharing,
    rules: list[Allocation],
    row: dict[str, Any],
    days: list[dict[str, Any]],
) -> tuple[list[Allocation], list[Part]]:
    """The period's parts where the rule changes inside it: sums of its days'."""
    period = Period(*(row[name] for name in Period._fields))
    first, last = sharing.local_days(period)
    every = [first + timedelta(n) for n in range((last - first).days + 1)]
    in_force = {day: rule_on(rules, day) for day in every}
    in_turn = [rule_on(rules, first), *(one for one in rules if first < one.from_ <= last)]
    used = [rule for rule in in_turn if rule is not None and rule.counts(row["energy_code"])]
    products = list(dict.fromkeys(product for rule in used for product in rule.products))
    by_day = {sharing.local_days(Period(*(d[n] for n in Period._fields)))[0]: d for d in days}
    if any(day not in by_day for day in every):
        reason = "the rule changes inside the period, and the figures of its days are not there"
        return used, [Part(product, None, UNKNOWN, reason) for product in products]
    found: dict[str, list[Part]] = {product: [] for product in products}
    for day, rule in in_force.items():
        if rule in used and rule is not None:
            of_day = by_day[day]
            here = Period(*(of_day[name] for name in Period._fields))
            for part in sharing.parts(rule, here, _amount(of_day)):
                found[part.product_id].append(part)
    whole = row["status"]
    return used, [_added(product, found[product], row["amount"], whole) for product in products]


def _added(product_id: str, parts: Sequence[Part], whole: float | None, status: str) -> Part:
    """The sum of a product's parts of several days."""
    refused = next((part for part in parts if part.amount.value is None), None)
    coverage = min((part.amount.coverage_ratio for part in parts), default=0.0)
    amounts = [part.amount for part in parts]
    value = _sum(one.value for one in amounts)
    worst = max((STATUSES.index(s) for s in (status, *(a.status for a in amounts))), default=2)
    known = refused is None and STATUSES[worst] != "refused"
    total = Amount(
        value if known else None,
        _sum(one.low for one in amounts),
        _sum(one.high for one in amounts),
        coverage,
        STATUSES[worst] if known else "refused",
    )
    share = value / whole if known and value is not None and whole else None
    reason = "" if known else (refused.reason if refused else "")
    return Part(product_id, share, total, reason or ("" if known else "consumption unknown"))


def _sum(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if any(one is None for one in known) else fsum(v for v in known if v is not None)


def _amount(row: Mapping[str, Any]) -> Amount:
    return Amount(row["amount"], row["low"], row["high"], row["coverage_ratio"], row["status"])


class _Sharing:
    """What products' shares are made of: outputs and driver meters, by period."""

    def __init__(self, site: Site, by_meter: pl.DataFrame, outputs: pl.DataFrame) -> None:
        self._site = site
        self._required = site.plant.quality.required_coverage_ratio
        drivers = {
            meter_id
            for one in site.plant.allocations
            for group in (one.drivers or {}).values()
            for meter_id in group
        }
        key = ("grain", "period")
        self._meters = {
            (row["meter_id"], row["grain"], row["period"]): row
            for row in by_meter.filter(pl.col("meter_id").is_in(sorted(drivers)))
            .select("meter_id", *key, "unit", "amount", "low", "high", "coverage_ratio")
            .iter_rows(named=True)
        }
        self._outputs = {
            (row["product_id"], row["grain"], row["period"]): row
            for row in outputs.filter(pl.col("plant_id") == site.id).iter_rows(named=True)
        }

    def local_days(self, period: Period) -> tuple[date, date]:
        """The period's first and last day in the plant's time zone."""
        zone = self._site.plant.plant.zone
        end = period.end_utc - timedelta(microseconds=1)
        return period.start_utc.astimezone(zone).date(), end.astimezone(zone).date()

    def parts(self, rule: Allocation, period: Period, whole: Amount) -> list[Part]:
        """The whole, shared out; its refusal where anything that it takes is unknown."""
        if rule.shares:
            exact = {
                name: Amount(share, share, share, 1.0, "complete")
                for name, share in rule.shares.items()
            }
            return shared_out(whole, exact, self._required)
        if rule.output:
            by_output = {one: self._output(one, rule.output[0], period) for one in rule.output}
            return shared_out(whole, by_output, self._required)
        drivers = rule.drivers or {}
        unit = self._site.amount_unit(next(iter(drivers.values()))[0])
        metered = {
            product: _total([self._driver(one, unit, period) for one in group])
            for product, group in drivers.items()
        }
        return shared_out(whole, metered, self._required)

    def _output(self, product_id: str, of: str, period: Period) -> Amount:
        """Standard output, in the unit of the product ``of``."""
        row = self._outputs.get((product_id, period.grain, period.period))
        if row is None:
            return UNKNOWN
        products = self._site.plant.products
        factor = products[product_id].standard_factor
        size = conversion_factor(row["unit"], products[of].unit) * factor
        return _sized(row, "quantity", size, row["status"])

    def _driver(self, meter_id: str, unit: str, period: Period) -> Amount:
        row = self._meters.get((meter_id, period.grain, period.period))
        if row is None:
            return UNKNOWN
        size = conversion_factor(row["unit"], unit)
        return _sized(row, "amount", size, "complete")


def _sized(row: Mapping[str, Any], name: str, size: float, status: str) -> Amount:
    """The row's figure and bounds times ``size``."""
    value, low, high = (
        None if row[key] is None else row[key] * size for key in (name, "low", "high")
    )
    return Amount(value, low, high, row["coverage_ratio"], status)


def _total(amounts: Sequence[Amount]) -> Amount:
    worst = max(STATUSES.index(one.status) for one in amounts)
    return Amount(
        _sum(one.value for one in amounts),
        _sum(one.low for one in amounts),
        _sum(one.high for one in amounts),
        min(one.coverage_ratio for one in amounts),
        STATUSES[worst],
    )


def shared_out(whole: Amount, drivers: Amounts, required_coverage_ratio: float) -> list[Part]:
    """``whole`` in the proportions of ``drivers``, with bounds; refused as a whole or not at all.

    The parts of a known whole add up to it to the last bit (math.fsum), the shares to 1.
    """
    coverage = min(whole.coverage_ratio, *(one.coverage_ratio for one in drivers.values()))
    worst = max(STATUSES.index(one.status) for one in (whole, *drivers.values()))
    bounds = {name: _share_bounds(name, drivers) for name in drivers}
    reason = _why_refused(whole, drivers)
    if not reason and coverage < required_coverage_ratio:
        reason = f"coverage {coverage:.3f} is below the required"
    if reason:
        return [
            Part(name, None, Amount(None, *_product(whole, *bounds[name]), coverage, "refused"),
                 reason)
            for name in drivers
        ]  # fmt: skip
    shares = portions(1.0, {name: one.value or 0.0 for name, one in drivers.items()})
    values = portions(whole.value or 0.0, shares)
    return [
        Part(
            name,
            shares[name],
            Amount(values[name], *_product(whole, *bounds[name]), coverage, STATUSES[worst]),
        )
        for name in drivers
    ]


def _why_refused(whole: Amount, drivers: Amounts) -> str:
    """Why nothing can be shared out; empty where it can."""
    if whole.value is None or whole.status == "refused":
        return "consumption of the node is unknown"
    unknown = [name for name, one in drivers.items() if one.value is None]
    if unknown:
        return f"output or driver of {', '.join(unknown)} is unknown"
    negative = [name for name, one in drivers.items() if (one.value or 0.0) < 0]
    if negative:
        return f"output or driver of {', '.join(negative)} is negative"
    if not any(one.value for one in drivers.values()):
        return "outputs or drivers are all zero"
    refused = [name for name, one in drivers.items() if one.status == "refused"]
    return f"output or driver of {', '.join(refused)} is refused" if refused else ""


def portions(whole: float, parts: Mapping[str, float]) -> dict[str, float]:
    """``whole`` in proportion to ``parts`` (>= 0, not all 0); math.fsum of them is ``whole``.

    The smallest that is not zero takes what rounding leaves: an amount of at most half the whole
    can hold it without rounding again.

    >>> portions(10.0, {"a": 1.0, "b": 2.0, "c": 0.0})
    {'a': 3.333333333333334, 'b': 6.666666666666666, 'c': 0.0}
    """
    total = fsum(parts.values())
    taking = [name for name, part in parts.items() if part > 0]
    rest = min(taking, key=lambda name: parts[name])
    found = {
        name: whole * (part / total) if part > 0 else 0.0
        for name, part in parts.items()
        if name != rest
    }
    found[rest] = fsum((whole, *(-value for value in found.values())))
    return {name: found[name] for name in parts}


def _share_bounds(name: str, drivers: Amounts) -> tuple[float | None, float | None]:
    """Least and greatest share that the bounds of all drivers allow, inside 0 and 1."""
    own = drivers[name]
    others = [one for other, one in drivers.items() if other != name]
    low = _share(own.low, _sum(one.high for one in others))
    high = _share(own.high, _sum(one.low for one in others))
    return low if low is not None else 0.0, high if high is not None else 1.0


def _share(own: float | None, others: float | None) -> float | None:
    if own is None or others is None:
        return None
    own, others = max(own, 0.0), max(others, 0.0)
    return own / (own + others) if own + others > 0 else None


def _product(
    whole: Amount, low: float | None, high: float | None
) -> tuple[float | None, float | None]:
    """Bounds of the whole times a share between ``low`` and ``high``, which are 0 to 1."""
    least, most = low or 0.0, 1.0 if high is None else high
    below = None if whole.low is None else min(whole.low * least, whole.low * most)
    above = None if whole.high is None else max(whole.high * least, whole.high * most)
    return below, above
