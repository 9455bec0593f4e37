"""What energy cost (能源费用): amounts times dated prices, with bounds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from config.tariffs import Price
from config.units import conversion_factor
from indicators.intensity import Bounded
from indicators.shares import sum_or_none
from indicators.tariff_time import local_midnight


class Use(NamedTuple):
    """An amount of energy in a span of time; ``amount`` None: unknown, or refused."""

    start_utc: datetime
    end_utc: datetime
    amount: float | None
    low: float | None
    high: float | None


class PricedSpan(NamedTuple):
    """A time of one price [CNY/unit of the energy]; ``cny_per_unit`` None: no price is stated."""

    start_utc: datetime
    end_utc: datetime
    cny_per_unit: float | None
    source: str


class Spent(NamedTuple):
    """Money [CNY] with bounds, what it was priced by, and the reason why it is unknown."""

    value: float | None
    low: float | None
    high: float | None
    sources: tuple[str, ...]
    reason: str


def price_spans(
    prices: Sequence[Price], unit: str, start: datetime, end: datetime, zone: ZoneInfo
) -> list[PricedSpan]:
    """The time from ``start`` to ``end`` (aware), cut where the price changes.

    ``prices``: of one energy, by first day (local midnight of ``zone``). The price is stated per
    the energy's ``unit`` [CNY/unit]. Raises ConfigError where units do not convert. kgce's own
    rule.

    >>> at = datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC"))
    >>> price_spans([], "t", at, at.replace(day=2), ZoneInfo("UTC"))[0].cny_per_unit is None
    True
    """
    marks: list[tuple[datetime, Price | None]] = [(start, None)]
    for price in prices:
        marks.append((max(start, local_midnight(price.from_, zone)), price))
    ends = [mark for mark, _ in marks[1:]] + [end]
    return [
        PricedSpan(
            begin,
            min(end, until),
            None if price is None else price.cny_per_unit * conversion_factor(unit, price.unit),
            "" if price is None else f"{price.energy} {price.from_}: {price.source}",
        )
        for (begin, price), until in zip(marks, ends, strict=True)
        if begin < min(end, until)
    ]


def cost(amount: Bounded, cny_per_unit: float) -> Bounded:
    r"""Cost of an amount at one price [CNY].

    .. math:: C = E \cdot p

    ``amount`` [unit], ``cny_per_unit`` [CNY/unit]; an unknown amount has an unknown cost, and its
    bounds stay. Energy sent out has an amount below zero, and is taken off at the same price.
    kgce's own rule.

    >>> cost(Bounded(100.0, 90.0, None), 0.5)
    Bounded(value=50.0, low=45.0, high=None)
    """
    return Bounded(*(None if one is None else one * cny_per_unit for one in amount))


def priced(use: Use, finer: Sequence[Sequence[Use]], spans: Sequence[PricedSpan]) -> Spent:
    r"""Cost of what was used in a span in which the price may change [CNY].

    .. math:: C = \sum_d E_d \cdot p_d

    ``finer``: the same use by month, then by day (or by day alone), any of which may be missing;
    ``spans``: of `price_spans`. Where a part is unknown, or does not lie in one price, the price
    is the mean by time, and the cost is bounded by the lowest and the highest. Time without a
    price makes the cost unknown. kgce's own rule.

    >>> first = datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC"))
    >>> half, last = first.replace(day=2), first.replace(day=3)
    >>> spans = [PricedSpan(first, half, 1.0, "a"), PricedSpan(half, last, 3.0, "b")]
    >>> priced(Use(first, last, 10.0, 10.0, 10.0), [], spans)[:3]
    (20.0, 10.0, 30.0)
    """
    mine = [one for one in spans if one.start_utc < use.end_utc and one.end_utc > use.start_utc]
    sources = tuple(dict.fromkeys(one.source for one in mine if one.source))
    amount = Bounded(*use[2:])
    if tuple(amount) == (0.0, 0.0, 0.0):
        return Spent(*amount, sources, "")
    known = [one.cny_per_unit for one in mine if one.cny_per_unit is not None]
    if not known or len(known) < len(mine):
        return Spent(None, None, None, sources, _no_price(mine))
    unknown = "" if amount.value is not None else "its amount is not known"
    if len(mine) == 1:
        return Spent(*cost(amount, known[0]), sources, unknown)
    outer = _outer([cost(amount, min(known)), cost(amount, max(known))])
    parts = [one for one in (finer[0] if finer else ()) if _inside(one, use)]
    if _tile(parts, use):
        found = total_cost(priced(one, finer[1:], mine) for one in parts)
        if found.value is not None:
            return Spent(found.value, *_inner(found, outer), sources, found.reason)
    mean = cost(amount, mean_by_time(mine, use.start_utc, use.end_utc))
    reason = unknown or "its days are not known: priced by the mean over time"
    return Spent(mean.value, *outer, sources, reason)


def mean_by_time(spans: Iterable[PricedSpan], start: datetime, end: datetime) -> float:
    r"""Mean of prices that are all known, by the time that each held [CNY/unit].

    .. math:: \bar p = \sum_s p_s T_s / \sum_s T_s

    T_s is the time of the span that lies between ``start`` and ``end``. kgce's own rule.

    >>> first = datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC"))
    >>> half, last = first.replace(day=2), first.replace(day=5)
    >>> spans = [PricedSpan(first, half, 1.0, "a"), PricedSpan(half, last, 3.0, "b")]
    >>> mean_by_time(spans, first, last)
    2.5
    """
    held = [
        (
            one.cny_per_unit or 0.0,
            (min(end, one.end_utc) - max(start, one.start_utc)).total_seconds(),
        )
        for one in spans
    ]
    return math.fsum(price * time for price, time in held) / math.fsum(time for _, time in held)


def total_cost(parts: Iterable[Spent]) -> Spent:
    r"""Sum of costs [CNY]; unknown where any is, for missing is never zero.

    .. math:: C = \sum_i C_i

    Bounds are the sums of the bounds. kgce's own rule.

    >>> total_cost([Spent(2.0, 1.0, 3.0, ("a",), ""), Spent(1.0, 1.0, 1.0, ("a",), "")])
    Spent(value=3.0, low=2.0, high=4.0, sources=('a',), reason='')
    """
    some = list(parts)
    ends = [(one.value, one.low, one.high) for one in some]
    sums = [sum_or_none(column) for column in zip(*ends, strict=True)] or [None] * 3
    sources = tuple(dict.fromkeys(source for one in some for source in one.sources))
    return Spent(sums[0], sums[1], sums[2], sources, _joined(one.reason for one in some))


def demand_charge(kw: Bounded, priced_days: Iterable[tuple[float, float]]) -> Bounded:
    r"""Charge of a month for power (基本电费) [CNY].

    .. math:: C = P \sum_s p_s d_s / \sum_s d_s

    ``kw``: highest demand of the month, or contracted power [kW]; ``priced_days``: price
    [CNY/(kW month)] and days (or any measure of time) for which it held. kgce's own rule for a
    price that changes inside the month.

    >>> demand_charge(Bounded(160.0, 160.0, 160.0), [(40.0, 10.0), (46.0, 20.0)]).value
    7040.0
    """
    days = list(priced_days)
    mean = math.fsum(price * held for price, held in days) / math.fsum(held for _, held in days)
    return cost(kw, mean)


def cny_per_kgce(spent: Bounded, kgce: float | None) -> Bounded:
    r"""Money of a kilogram of coal equivalent at the plant's prices [CNY/kgce].

    .. math:: c = C / E

    ``spent`` [CNY] and ``kgce`` are of the same energies and time. Unknown where there is no
    energy to divide by. kgce's own rule.

    >>> cny_per_kgce(Bounded(1500.0, 1400.0, None), 1000.0)
    Bounded(value=1.5, low=1.4, high=None)
    """
    if kgce is None or kgce <= 0:
        return Bounded(None, None, None)
    return Bounded(*(None if one is None else one / kgce for one in spent))


def _inside(part: Use, whole: Use) -> bool:
    return part.start_utc >= whole.start_utc and part.end_utc <= whole.end_utc


def _tile(parts: Sequence[Use], whole: Use) -> bool:
    """Whether the parts, all known, fill the time and make up the amount."""
    length = sum((part.end_utc - part.start_utc).total_seconds() for part in parts)
    amounts = [part.amount for part in parts if part.amount is not None]
    return (
        len(amounts) == len(parts)
        and length == (whole.end_utc - whole.start_utc).total_seconds()
        and math.isclose(math.fsum(amounts), whole.amount or 0.0, rel_tol=1e-9, abs_tol=1e-9)
    )


def _outer(ends: Sequence[Bounded]) -> tuple[float | None, float | None]:
    lows = [one.low for one in ends]
    highs = [one.high for one in ends]
    return (
        None if None in lows else min(one for one in lows if one is not None),
        None if None in highs else max(one for one in highs if one is not None),
    )


def _inner(
    found: Spent, outer: tuple[float | None, float | None]
) -> tuple[float | None, float | None]:
    """The tighter of two bounds on each side, around the value."""
    value = found.value or 0.0
    lows = [one for one in (found.low, outer[0]) if one is not None]
    highs = [one for one in (found.high, outer[1]) if one is not None]
    return (
        min(value, max(lows)) if lows else None,
        max(value, min(highs)) if highs else None,
    )


def _no_price(spans: Sequence[PricedSpan]) -> str:
    bare = next((one for one in spans if one.cny_per_unit is None), None)
    until = f" for the time up to {bare.end_utc:%Y-%m-%d %H:%M} UTC" if bare is not None else ""
    return f"no price is stated{until}"


def _joined(reasons: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason))
