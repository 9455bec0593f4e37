"""Surcharges on electricity by tiered and differential prices (阶梯电价、差别电价)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from config.standards_tiered import TieredPriceRow
from config.tiered_price import TieredPrice
from indicators.intensity import Bounded

UNKNOWN = Bounded(None, None, None)
ROUNDING_DIGITS = 9  # 20.000000000000004 kWh over is one step of 20, not two


class Judged(NamedTuple):
    """A surcharge [CNY/kWh] with bounds; ``rows`` made it; without value ``reason`` says why."""

    rule: TieredPriceRow | None
    surcharge: Bounded
    threshold: float | None
    rows: tuple[TieredPriceRow, ...]
    reason: str


def step_surcharge(figure: float, threshold: float, step: float, cny_per_kwh_step: float) -> float:
    r"""Surcharge that grows by a step for each begun step above a threshold [CNY/kWh].

    .. math:: d = p \lceil \max(0, e - T) / s \rceil

    ``figure`` e, ``threshold`` T and ``step`` s are of one unit, such as kWh/t;
    ``cny_per_kwh_step`` p [CNY/kWh]. 发改价格〔2021〕1239号 (article not checked against the
    print).

    >>> step_surcharge(13_330.0, 13_300.0, 20.0, 0.01), step_surcharge(13_300.0, 13_300.0, 20, 0.01)
    (0.02, 0.0)
    """
    over = max(0.0, figure - threshold)
    return cny_per_kwh_step * math.ceil(round(over / step, ROUNDING_DIGITS))


def discount_factor(renewable_percent: float, free_percent: float, per_percent: float) -> float:
    r"""What is left of a surcharge for a share of renewable electricity [1].

    .. math:: f = 1 - q \max(0, r - r_0), \quad f \ge 0

    ``renewable_percent`` r without water power, ``free_percent`` r_0 [%], ``per_percent`` q [1/%].
    发改价格〔2021〕1239号 (article not checked against the print).

    >>> discount_factor(15.0, 15.0, 0.01), discount_factor(25.0, 15.0, 0.01)
    (1.0, 0.9)
    """
    return max(0.0, 1 - per_percent * max(0.0, renewable_percent - free_percent))


def band_of(figure: float, bands: Iterable[TieredPriceRow]) -> TieredPriceRow | None:
    """The band that a figure is in: above ``over``, up to ``up_to``; None where none holds it.

    All three in one unit, such as [kWh/t]. The lowest band takes its lower end too.
    发改价格〔2013〕2530号, 发改价格〔2016〕75号 (articles not checked against the print).

    >>> from config.standards_files import read_dataset
    >>> rows = read_dataset(TieredPriceRow).values()
    >>> bands = [row for row in rows if row.kind == "band" and "2530" in row.id]
    >>> [band_of(figure, bands).surcharge_cny_per_kwh for figure in (13_700.0, 13_701.0, 13_801.0)]
    [0.0, 0.02, 0.08]
    """
    some = sorted(bands, key=lambda row: row.over if row.over is not None else -math.inf)
    for place, row in enumerate(some):
        above = row.over is None or figure > row.over or (place == 0 and figure == row.over)
        if above and (row.up_to is None or figure <= row.up_to):
            return row
    return None


def rules_for(
    rows: Mapping[str, TieredPriceRow], line: TieredPrice, province: str, day: date
) -> list[list[TieredPriceRow]]:
    """The rules that hold for a line on a day: each the rows of one scheme.

    A scheme by the unit's class, where it has one, then a scheme by its figure, but where both are
    of one edition. Rules of the province go before national ones, later ones before earlier, and
    a row that another one replaces is out. kgce's own rule of choice.

    >>> from config.standards_files import read_dataset
    >>> line = TieredPrice(product="ingot", sector="aluminium")
    >>> scheme, = rules_for(read_dataset(TieredPriceRow), line, "350000", date(2025, 1, 1))
    >>> scheme[0].up_to, scheme[-1].kind
    (13300.0, 'discount')
    """
    there = [row for row in rows.values() if row.is_for(line.sector, province)]
    there = [row for row in there if row.in_force(day, day)]
    gone = {row_id for row in there for row_id in row.replaces.split(";")}
    left = [row for row in there if row.id not in gone and _is_for_start(row, line)]
    classes = [r for r in left if r.kind == "class" and r.unit_class == line.unit_class]
    of_class = _first([[row] for row in classes])
    figures = [row for row in left if row.kind in ("band", "step")]
    editions = dict.fromkeys((row.edition, row.provinces) for row in figures)
    schemes = [[r for r in figures if (r.edition, r.provinces) == one] for one in editions]
    of_figure = _first(schemes)
    if of_class and of_figure and of_class[0].edition == of_figure[0].edition:
        of_figure = []
    discounts = [r for r in left if r.kind == "discount"]
    of_figure += [r for r in discounts if of_figure and r.edition == of_figure[0].edition]
    return [scheme for scheme in (of_class, of_figure) if scheme]


def judged(
    scheme: Sequence[TieredPriceRow], figure: Bounded, line: TieredPrice, why_unknown: str = ""
) -> Judged:
    """The surcharge of one scheme (of `rules_for`) at the figure of the year before [CNY/kWh].

    ``figure``: in the unit of the scheme's thresholds, such as kWh/t; ``why_unknown``: why it has
    no value. Its bounds bound the surcharge. Bands or thresholds that the data do not have give no
    surcharge. By the policy that the scheme's rows name, such as
    发改价格〔2021〕1239号 (article not checked against the print).

    >>> from config.standards_files import read_dataset
    >>> line = TieredPrice(
    ...     product="ingot", sector="aluminium", renewable_percent=15, renewable_source="bills")
    >>> scheme, = rules_for(read_dataset(TieredPriceRow), line, "350000", date(2025, 1, 1))
    >>> judged(scheme, Bounded(13_330.0, 13_330.0, 13_330.0), line).surcharge.value
    0.02
    """
    first = scheme[0]
    if first.kind == "class":
        price = first.surcharge_cny_per_kwh
        return Judged(first, Bounded(price, price, price), None, (first,), "")
    if (first.production_from or first.production_to) and line.in_production_since is None:
        reason = "the rule asks since when the line produces: state in_production_since"
        return Judged(None, UNKNOWN, None, tuple(scheme), reason)
    if reason := _gap_in(scheme):
        return Judged(None, UNKNOWN, None, tuple(scheme), reason)
    found = _by_steps(scheme, figure, line) if first.kind == "step" else _by_bands(scheme, figure)
    return found._replace(reason=why_unknown or found.reason) if figure.value is None else found


def _by_bands(bands: Sequence[TieredPriceRow], figure: Bounded) -> Judged:
    """A figure that nothing bounds is bounded by the cheapest and the dearest band."""
    found = [None if one is None else band_of(one, bands) for one in figure]
    every = [row.surcharge_cny_per_kwh or 0.0 for row in bands]
    ends = [min(every), min(every), max(every)]
    prices = [
        row.surcharge_cny_per_kwh if row else end if one is None else None
        for row, one, end in zip(found, figure, ends, strict=True)
    ]
    rule = found[0]
    reason = "" if rule or figure.value is None else f"no band of the rule holds {figure.value:g}"
    threshold = None if rule is None else rule.up_to if rule.up_to is not None else rule.over
    value = prices[0] if rule else None
    return Judged(rule, Bounded(value, prices[1], prices[2]), threshold, tuple(bands), reason)


def _by_steps(scheme: Sequence[TieredPriceRow], figure: Bounded, line: TieredPrice) -> Judged:
    rule = max(
        (row for row in scheme if row.kind == "step"), key=lambda r: r.effective_from or date.min
    )
    discounts = [row for row in scheme if row.kind == "discount"]
    full = [
        None
        if one is None
        else step_surcharge(
            one, rule.up_to or 0.0, rule.step or 0.0, rule.surcharge_cny_per_kwh or 0.0
        )
        for one in figure
    ]
    rows = (rule, *discounts)
    if not discounts or not any(full):
        return Judged(rule, Bounded(*full), rule.up_to, rows, "")
    if line.renewable_percent is None:
        least = None if full[1] is None else full[1] * _left(discounts, 100.0)
        value = 0.0 if full[0] == 0 else None
        reason = "" if value == 0 else "renewable_percent is not stated, and would lower it"
        return Judged(rule, Bounded(value, least, full[2]), rule.up_to, rows, reason)
    factor = _left(discounts, line.renewable_percent)
    lowered = Bounded(*(None if one is None else one * factor for one in full))
    return Judged(rule, lowered, rule.up_to, rows, "")


def _left(discounts: Sequence[TieredPriceRow], renewable_percent: float) -> float:
    return math.prod(
        discount_factor(renewable_percent, row.over or 0.0, row.step or 0.0) for row in discounts
    )


def _gap_in(scheme: Sequence[TieredPriceRow]) -> str:
    """Why the scheme's numbers do not suffice; empty where they do."""
    for row in scheme:
        missing = {
            "band": row.surcharge_cny_per_kwh is None or (row.over is None and row.up_to is None),
            "step": None in (row.up_to, row.step, row.surcharge_cny_per_kwh),
            "discount": None in (row.over, row.step),
        }
        if missing.get(row.kind):
            return (
                f"the numbers of {row.id} are not known: state them from the notice, in a file "
                "under assessment.standards.tiered_price"
            )
    return ""


def _is_for_start(row: TieredPriceRow, line: TieredPrice) -> bool:
    """Whether the row is for lines of that first day; a day that is not stated rules out none."""
    day = line.in_production_since
    if day is None:
        return True
    begun = row.production_from is None or row.production_from <= day
    return begun and (row.production_to is None or day <= row.production_to)


def _first(schemes: list[list[TieredPriceRow]]) -> list[TieredPriceRow]:
    """The scheme that goes before the others: the province's, then the latest."""

    best: list[TieredPriceRow] = []
    for scheme in schemes:
        if not best or _rank(scheme) > _rank(best):
            best = scheme
    return [*best]


def _rank(scheme: Sequence[TieredPriceRow]) -> tuple[bool, date]:
    return bool(scheme[0].provinces), max(row.effective_from or date.min for row in scheme)


def doubts_of_tiered_price(row: TieredPriceRow) -> Iterator[str]:
    """What is wrong with a row: numbers that its kind has no use for. kgce's own rule.

    >>> from config.standards_files import read_dataset
    >>> rows = read_dataset(TieredPriceRow).values()
    >>> [message for row in rows for message in doubts_of_tiered_price(row)]
    []
    """
    if row.over is not None and row.up_to is not None and row.over >= row.up_to:
        yield f"{row.over:g} to {row.up_to:g} is no band"
    if row.kind == "class" and row.unit_class == "none":
        yield "a class rule without a class"
    if row.kind == "class" and row.surcharge_cny_per_kwh is None:
        yield "a class rule without a surcharge"
    if row.step is not None and row.step <= 0:
        yield f"a step of {row.step:g}"
    if row.effective_to and row.effective_from and row.effective_to < row.effective_from:
        yield "it ends before it begins"
