"""`kgce surcharge`: what tiered and differential prices add to the electricity of each line."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, NamedTuple

import polars as pl

from app.cost_products import energy_rows
from app.published import Published, grain_of
from config.errors import InputError
from config.sheets.cost import SURCHARGE
from config.site import Site
from config.standards import weakest
from config.standards_tiered import TieredPriceRow
from config.tables import CONSUMPTION, INDICATORS
from config.tiered_price import TieredPrice
from indicators.intensity import Bounded
from indicators.numerators import STATUSES, energy_kinds
from indicators.shares import sum_or_none
from indicators.tiered_price import Judged, judged, rules_for

SCREEN = (
    "product", "edition", "kind", "indicator_zh", "judged_by", "figure", "figure_unit",
    "threshold", "value", "unit", "low", "high", "kwh", "cny", "status", "confidence", "reason",
)  # fmt: skip
NOTHING = Bounded(None, None, None)


class Basis(NamedTuple):
    """The figure that a line is judged by; ``reason`` says why there is none."""

    judged_by: str
    figure: Bounded
    status: str
    confidence: str
    reason: str


class Charged(NamedTuple):
    """Electricity that a surcharge is paid on [kWh]."""

    kwh: Bounded
    coverage_ratio: float
    status: str


def surcharges(published: Published, year: str) -> pl.DataFrame:
    """The sheet SURCHARGE of a calendar year: each line by each rule that holds in it.

    Raises InputError for what is no year, or where no line is stated.
    """
    site = published.site
    if grain_of(year) != "year":
        raise InputError(f"period {year!r}", allowed="a year, 2026")
    lines = site.plant.assessment.tiered_price
    if not lines:
        raise InputError(
            "no product is said to be under a tiered price",
            allowed="rows of assessment.tiered_price in plant.yaml",
            todo="state the product, its sector and province there",
        )
    rows = [row for line in lines for row in _rows(published, line, int(year))]
    return pl.DataFrame(rows, schema=SURCHARGE.polars_schema())


def _rows(published: Published, line: TieredPrice, year: int) -> Iterator[dict[str, Any]]:
    site, province = published.site, province_of(published.site, line)
    found = False
    for scheme, first, last in _schemes(site, line, province, year):
        found = True
        by = _basis(published, line, scheme, year - 1)
        one = judged(scheme, by.figure, line, by.reason)
        charged = _charged(published, line, year, first, last)
        yield _row(line, province, year, scheme, one, by, charged)
    if not found:
        reason = (
            f"the data have no rule for {line.sector} in {province or 'no province'} in {year}: "
            "state it in a file under assessment.standards.tiered_price"
        )
        none = Judged(None, NOTHING, None, (), reason)
        by = Basis("", NOTHING, "refused", weakest([]), "")
        charged = _charged(published, line, year, date(year, 1, 1), date(year, 12, 31))
        yield _row(line, province, year, [], none, by, charged)


def province_of(site: Site, line: TieredPrice) -> str:
    """The line's province, or else the plant's; empty where neither is stated."""
    region = line.province or site.plant.plant.region or ""
    return region[:2] + "0000" if region else ""


def _schemes(
    site: Site, line: TieredPrice, province: str, year: int
) -> list[tuple[list[TieredPriceRow], date, date]]:
    """The schemes that hold in the year, with the first and last day of it on which they do."""
    rows = site.rows(TieredPriceRow)
    first, last = date(year, 1, 1), date(year, 12, 31)
    starts = {row.effective_from for row in rows.values() if row.effective_from}
    starts |= {row.effective_to + timedelta(1) for row in rows.values() if row.effective_to}
    marks = sorted({first, *(day for day in starts if first < day <= last)})
    found: list[tuple[list[TieredPriceRow], date, date]] = []
    for day, after in zip(marks, [*marks[1:], last + timedelta(1)], strict=True):
        for scheme in rules_for(rows, line, province, day):
            yesterday = day - timedelta(1)
            same = [i for i, (one, _, to) in enumerate(found) if (one, to) == (scheme, yesterday)]
            begun = found.pop(same[-1])[1] if same else day
            found.append((scheme, begun, after - timedelta(1)))
    return found


def _basis(
    published: Published, line: TieredPrice, scheme: list[TieredPriceRow], year: int
) -> Basis:
    if scheme[0].kind == "class":
        return Basis(line.unit_class, NOTHING, "complete", weakest([]), "")
    stated = line.stated(year)
    if stated is not None:
        low = stated.value if stated.low is None else stated.low
        high = stated.value if stated.high is None else stated.high
        figure = Bounded(stated.value, low, high)
        return Basis(f"{year}, as stated: {stated.source}", figure, "complete", weakest([]), "")
    unit, judged_by = scheme[0].unit, f"{line.indicator} of {year}"
    mine = published.of(INDICATORS, str(year)).filter(
        pl.col("subject") == line.product,
        pl.col("indicator") == line.indicator,
        pl.col("unit") == unit,
    )
    if line.norm is not None:
        mine = mine.filter(pl.col("norm") == line.norm)
    if mine.is_empty():
        reason = f"there is no {judged_by} in {unit or 'the unit of the rule'}"
        return Basis(judged_by, NOTHING, "refused", weakest([]), reason)
    if mine["value"].n_unique() > 1:
        norms = ", ".join(sorted(mine["norm"]))
        reason = f"{judged_by} differs by norm ({norms}): name one under `norm`"
        return Basis(judged_by, NOTHING, "refused", weakest([]), reason)
    row = mine.sort("norm").row(0, named=True)
    figure = Bounded(row["value"], row["low"], row["high"])
    reason = f"{judged_by} is refused, with a coverage of {row['coverage_ratio']:.1%}"
    return Basis(
        judged_by,
        figure,
        row["status"],
        row["confidence"],
        reason if row["value"] is None else "",
    )


def _charged(
    published: Published, line: TieredPrice, year: int, first: date, last: date
) -> Charged:
    """The product's electricity in the year, or in the months that begin inside the days."""
    if (first, last) == (date(year, 1, 1), date(year, 12, 31)):
        labels = [str(year)]
    else:
        labels = [
            f"{year}-{month:02}" for month in range(1, 13) if first <= date(year, month, 1) <= last
        ]
    kinds = energy_kinds(published.site.library)
    found, statuses, coverage = [], ["complete"], []
    for label in labels:
        if published.of(CONSUMPTION, label).is_empty():
            return Charged(NOTHING, 0.0, "refused")
        rows, missing = energy_rows(published, label, line.product)
        some = [r for r in rows.iter_rows(named=True) if kinds[r["energy_code"]] == "electricity"]
        if any(kinds[energy] == "electricity" for _, energy in missing) or not some:
            return Charged(NOTHING, 0.0, "refused")
        ends = ("amount", "low", "high")
        found.append(Bounded(*(sum_or_none(row[end] for row in some) for end in ends)))
        statuses += [row["status"] for row in some]
        coverage += [row["coverage_ratio"] for row in some]
    kwh = Bounded(*(sum_or_none(column) for column in zip(*found, strict=True)))
    return Charged(kwh, min(coverage, default=0.0), max(statuses, key=STATUSES.index))


def _row(
    line: TieredPrice,
    province: str,
    year: int,
    scheme: list[TieredPriceRow],
    one: Judged,
    by: Basis,
    charged: Charged,
) -> dict[str, Any]:
    ends = zip(one.surcharge, charged.kwh, strict=True)
    cny = [None if rate is None or kwh is None else rate * kwh for rate, kwh in ends]
    # A surcharge of nothing is nothing, whatever the electricity turns out to be.
    cny = [0.0 if rate == 0 else money for rate, money in zip(one.surcharge, cny, strict=True)]
    head = one.rule or (scheme[0] if scheme else None)
    sure = one.surcharge.value is not None
    unknown = f"the electricity of {year} is not known" if sure and cny[0] is None else ""
    weak = [row.confidence for row in one.rows] + [
        row.step_confidence for row in one.rows if row.step_confidence
    ]
    return {
        "year": str(year),
        "product": line.product,
        "rule": head.id if head else "",
        "edition": head.edition if head else "",
        "kind": head.kind if head else "",
        "province": province,
        "indicator_zh": head.indicator_zh if head else "",
        "judged_by": by.judged_by,
        "figure": by.figure.value,
        "figure_low": by.figure.low,
        "figure_high": by.figure.high,
        "figure_unit": head.unit if head else "",
        "threshold": one.threshold,
        "value": one.surcharge.value,
        "low": one.surcharge.low,
        "high": one.surcharge.high,
        "unit": "CNY/kWh",
        "kwh": charged.kwh.value,
        "cny": cny[0],
        "cny_low": cny[1],
        "cny_high": cny[2],
        "coverage_ratio": charged.coverage_ratio,
        "status": _status(by, charged) if sure else "refused",
        "confidence": weakest((*weak, by.confidence)),
        "sources": "; ".join(row.id for row in one.rows),
        "reason": "; ".join(filter(None, [one.reason, unknown])),
    }


def _status(by: Basis, charged: Charged) -> str:
    """Complete or partial, where the surcharge is known; its money may still be unknown."""
    partial = "partial" in (by.status, charged.status)
    return "partial" if partial or charged.kwh.value is None else "complete"
