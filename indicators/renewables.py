"""Renewable rate: what of the plant's energy is renewable, each kilowatt-hour counted once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import polars as pl

from config.carbon import Certificate
from config.node_tree import NodeTree
from config.sheets.carbon import RENEWABLES
from config.site import Site
from config.standards import weakest
from indicators.carbon import NOTHING, UNKNOWN, metered, plus, status_of, times
from indicators.carbon_intensity import Part, plant_energy
from indicators.coal import coefficient, label_day
from indicators.intensity import Bounded, intensity
from indicators.numerators import STATUSES

# What counts first: power that flows to the plant, then what is only stated for it.
ORDER = ("own", "direct_line", "traded", "certificate")


class Claim(NamedTuple):
    """Renewable energy of one kind [unit]: what was metered or stated, and what may count of it."""

    item: str
    subject: str
    technology: str
    energy: str
    unit: str
    stated: Bounded
    eligible: Bounded
    coverage_ratio: float = 1.0
    status: str = STATUSES[0]
    source: str = ""
    note: str = ""


class Counted(NamedTuple):
    """A claim with what counts of it [unit and tce]; ``unknown``: why that is not known."""

    claim: Claim
    counts: Bounded
    tce: Bounded
    confidence: str
    unknown: str


def within(amounts: Sequence[float | None], limit: float | None) -> list[float | None]:
    r"""What counts of each amount, in their order, where all together are at most ``limit``.

    .. math:: c_i = \min(a_i, \; L - \sum_{j<i} c_j)

    Amounts and limit in one unit [kWh]. After an unknown amount, and with an unknown limit, nothing
    is known. kgce's own rule for GB/T 36132-2025, B.5: never more than was consumed.

    >>> within([30.0, 50.0, 40.0], 100.0)
    [30.0, 50.0, 20.0]
    >>> within([30.0, None, 40.0], 100.0)
    [30.0, None, None]
    """
    left, counted = limit, []
    for amount in amounts:
        part = None if left is None or amount is None else max(0.0, min(amount, left))
        left = None if left is None or part is None else left - part
        counted.append(part)
    return counted


def retained(generated: float, sold: float, certificates_sold: float) -> float:
    r"""What counts of the plant's own generation [kWh].

    .. math:: G - \max(S, Z)

    Generated, sold as electricity, sold as certificates [kWh]. A kilowatt-hour that was sold with
    its certificate is taken away once; one that the plant used but whose certificate it sold, too.
    kgce's own rule for GB/T 36132-2025, B.5.

    >>> retained(100.0, 30.0, 30.0), retained(100.0, 30.0, 50.0), retained(100.0, 0.0, 120.0)
    (70.0, 50.0, 0.0)
    """
    return max(0.0, generated - max(sold, certificates_sold))


def of_period(certificates: Iterable[Certificate], period: str) -> list[Certificate]:
    """The certificates of a month, or of a year and its months; a year's are in no month.

    kgce's own rule.

    >>> rows = [{"id": p, "kwh": 1, "period": p, "source": "GEC"} for p in ("2026", "2026-10")]
    >>> ours = [Certificate.model_validate(row) for row in rows]
    >>> [one.id for one in of_period(ours, "2026-10")], len(of_period(ours, "2026"))
    (['2026-10'], 2)
    """
    return [one for one in certificates if period in (one.period, one.period[:4])]


def renewable_rates(
    consumption: pl.DataFrame, meter_periods: pl.DataFrame, site: Site, period: str
) -> pl.DataFrame:
    r"""The rows of the sheet RENEWABLES: claims, sums and rates.

    .. math:: R_{re} = E_{re} / E

    ``consumption``: rows of CONSUMPTION without feedstock, ``meter_periods``: of METER_PERIODS, of
    one period. E_re [tce] are own generation used, direct line, green power traded, certificates,
    and biomass; E [tce] the plant's energy, both calorific. Claims on electricity together never
    count more than the electricity consumed; ``non_fossil`` counts nuclear power besides. GB/T
    36132-2025, B.5.

    >>> from config.book_tables import METER_PERIODS
    >>> from config.example import used, works
    >>> from indicators.coal import add_coal
    >>> no_meters = pl.DataFrame(schema=METER_PERIODS.polars_schema())
    >>> whole = used()[[0, 1, 3]].with_columns(node_id=pl.lit("works"))
    >>> whole = add_coal(whole, works().library)
    >>> rows = renewable_rates(whole, no_meters, works(), "2026-10")
    >>> rows.filter(item="renewable_rate")["value"].to_list()
    [0.0]
    """
    power, energy = _of_root(consumption, site, "electricity"), plant_energy(consumption, site)
    status = status_of(consumption)
    claims = [*_claims(meter_periods, site, period, status), *_biomass(consumption, site)]
    counted = [
        *_capped([one for one in claims if one.energy == "electricity"], power, site, period),
        *(_count(o, o.eligible, site, period) for o in claims if o.energy != "electricity"),
    ]
    rows = [*(_row(one, period) for one in counted), *_sold_rows(site, period)]
    rows += [_sum("electricity", power, "kWh", period), _sum("energy", energy, "tce", period)]
    for item, left_out in (("renewable", "nuclear"), ("non_fossil", "")):
        part = _together([one for one in counted if one.claim.technology != left_out])
        rows.append({**_sum(item, part, "tce", period), "note": _yearly(site, period)})
        rows.append(_rate(f"{item}_rate", part, energy, period))
    return pl.DataFrame(rows, schema=RENEWABLES.polars_schema(), orient="row")


def _of_root(consumption: pl.DataFrame, site: Site, energy: str) -> Part:
    root = NodeTree(site.plant.nodes, site.plant.all_meters).root
    asked = {"plant_id": site.id, "node_id": root, "energy_code": energy}
    rows = consumption.filter(*(pl.col(name) == value for name, value in asked.items()))
    if rows.is_empty():
        metered_at_all = any(one.energy == energy for one in site.plant.all_meters.values())
        if not metered_at_all:
            return Part(NOTHING, 1.0, STATUSES[0], "seen")
        why = f"no consumption of {energy} is published"
        return Part(UNKNOWN, 0.0, STATUSES[-1], "seen", reason=why)
    row = rows.row(0, named=True)
    amount = Bounded(row["amount"], row["low"], row["high"])
    known = amount.value is not None
    why = f"{energy} is refused, with a coverage of {row['coverage_ratio']:.1%}"
    return Part(amount, row["coverage_ratio"], row["status"], "seen", reason="" if known else why)


def _biomass(consumption: pl.DataFrame, site: Site) -> Iterator[Claim]:
    used = {meter.energy for meter in site.plant.all_meters.values()}
    for energy in site.plant.assessment.carbon.biomass:
        if energy in used:
            part = _of_root(consumption, site, energy)
            unit = site.library.energies[energy]
            yield Claim(
                "biomass", energy, "biomass", energy, unit, part.amount, part.amount,
                part.coverage_ratio, part.status,
            )  # fmt: skip


def _claims(meter_periods: pl.DataFrame, site: Site, period: str, status: str) -> Iterator[Claim]:
    """Metered renewable energy, then what traded power and certificates state; in their ORDER."""
    found = [*_metered_claims(meter_periods, site, period, status), *_stated_claims(site, period)]
    yield from sorted(found, key=lambda one: ORDER.index(one.item))


def _metered_claims(
    meter_periods: pl.DataFrame, site: Site, period: str, status: str
) -> Iterator[Claim]:
    left = sum(one.kwh for one in _sold_of(site, period))
    for tag in site.plant.assessment.carbon.renewable_meters:
        energy = site.plant.all_meters[tag.meter].energy or ""
        made, gone = metered(meter_periods, [tag.meter]), metered(meter_periods, tag.sold)
        certificates = 0.0
        if energy == "electricity" and tag.way == "own" and made.amount.value is not None:
            certificates = min(left, made.amount.value)
            left -= certificates
        yield Claim(
            tag.way, tag.meter, tag.technology, energy, site.library.energies[energy],
            made.amount, _retained(made.amount, gone.amount, certificates),
            min(made.coverage_ratio, gone.coverage_ratio), status,
            note=f"certificates of {certificates:g} kWh were sold" if certificates else "",
        )  # fmt: skip


def _retained(made: Bounded, gone: Bounded, certificates: float) -> Bounded:
    def end(generated: float | None, sold: float | None) -> float | None:
        if generated is None or sold is None:
            return None
        return retained(generated, sold, certificates)

    return Bounded(end(made.value, gone.value), end(made.low, gone.high), end(made.high, gone.low))


def _stated_claims(site: Site, period: str) -> Iterator[Claim]:
    for one in of_period(site.plant.assessment.carbon.certificates, period):
        if one.kind != "sold":
            amount = Bounded(one.kwh, one.kwh, one.kwh)
            yield Claim(
                one.kind, one.id, one.technology, "electricity", "kWh", amount, amount,
                source=one.source,
            )  # fmt: skip


def _sold_of(site: Site, period: str) -> list[Certificate]:
    stated = of_period(site.plant.assessment.carbon.certificates, period)
    return [one for one in stated if one.kind == "sold"]


def _capped(claims: list[Claim], power: Part, site: Site, period: str) -> Iterator[Counted]:
    """Claims on electricity, together at most what was consumed."""
    ends = [
        within([one.eligible[k] for one in claims], power.amount[k])
        for k in range(len(Bounded._fields))
    ]
    for index, one in enumerate(claims):
        counts = Bounded(*(end[index] for end in ends))
        yield _count(one, counts, site, period, power.reason)


def _count(one: Claim, counts: Bounded, site: Site, period: str, unknown: str = "") -> Counted:
    """The claim with what counts of it [unit, tce]; refused where that is not known."""
    short = one.coverage_ratio < site.plant.quality.required_coverage_ratio
    if short or one.eligible.value is None:
        unknown = f"{one.subject} is refused, with a coverage of {one.coverage_ratio:.1%}"
        counts = counts._replace(value=None)
    elif counts.value is None:
        unknown = unknown or "what counts before it is not known"
    factor = coefficient(site.library, one.energy, one.unit, "calorific", label_day(period))
    size = None if factor.kgce_per_unit is None else factor.kgce_per_unit / 1000
    if size is None and not unknown:
        unknown = f"{one.energy} has no factor to standard coal"
    return Counted(one, counts, times(counts, size), factor.confidence or "seen", unknown)


def _row(one: Counted, period: str) -> dict[str, Any]:
    claim, counts, reason = one.claim, one.counts, one.unknown
    known = counts.value is not None and claim.stated.value is not None
    return {
        "item": claim.item, "subject": claim.subject, "period": period,
        "technology": claim.technology, "stated": claim.stated.value, "value": counts.value,
        "low": counts.low, "high": counts.high,
        "unused": (claim.stated.value or 0.0) - (counts.value or 0.0) if known else None,
        "unit": claim.unit, "tce": one.tce.value, "coverage_ratio": claim.coverage_ratio,
        "status": STATUSES[-1] if reason else claim.status, "confidence": one.confidence,
        "source": claim.source, "reason": reason, "note": claim.note,
    }  # fmt: skip


def _sold_rows(site: Site, period: str) -> Iterator[dict[str, Any]]:
    """Certificates that the plant sold: shown, and counted as nothing."""
    for one in _sold_of(site, period):
        amount = Bounded(one.kwh, one.kwh, one.kwh)
        claim = Claim("sold", one.id, one.technology, "electricity", "kWh", amount, NOTHING,
            source=one.source, note="sold: taken off the plant's own generation",
        )  # fmt: skip
        yield _row(Counted(claim, NOTHING, NOTHING, "seen", ""), period)


def _together(counted: list[Counted]) -> Part:
    """What counts of all claims [tce]."""
    tce = plus(one.tce for one in counted)
    ranks = [STATUSES.index(one.claim.status) for one in counted]
    return Part(
        tce,
        min((one.claim.coverage_ratio for one in counted), default=1.0),
        STATUSES[max(ranks, default=0)] if tce.value is not None else STATUSES[-1],
        weakest(one.confidence for one in counted),
        reason="; ".join(dict.fromkeys(one.unknown for one in counted if one.unknown)),
    )


def _yearly(site: Site, period: str) -> str:
    """What a month leaves to its year."""
    if len(period) == 4:
        return ""
    stated = site.plant.assessment.carbon.certificates
    kwh = sum(one.kwh for one in stated if one.period == period[:4] and one.kind != "sold")
    return f"{kwh:g} kWh stated for {period[:4]} are in no month" if kwh else ""


def _sum(item: str, part: Part, unit: str, period: str) -> dict[str, Any]:
    amount = part.amount
    return {
        "item": item, "subject": "all", "period": period, "technology": "", "stated": None,
        "value": amount.value, "low": amount.low, "high": amount.high, "unused": None,
        "unit": unit, "tce": amount.value if unit == "tce" else None,
        "coverage_ratio": part.coverage_ratio, "status": part.status,
        "confidence": part.confidence, "source": "", "reason": part.reason, "note": part.note,
    }  # fmt: skip


def _rate(item: str, part: Part, energy: Part, period: str) -> dict[str, Any]:
    """The share of the plant's energy; never above 1."""
    found = intensity(part.amount, energy.amount)
    ends = [None if one is None else min(1.0, one) for one in found[:3]]
    known = found.value is not None
    worst = max(STATUSES.index(one.status) for one in (part, energy))
    rate = Part(
        Bounded(*ends),
        min(part.coverage_ratio, energy.coverage_ratio),
        STATUSES[worst] if known else STATUSES[-1],
        weakest((part.confidence, energy.confidence)),
        reason="" if known else part.reason or energy.reason or "the energy is not above zero",
    )
    return _sum(item, rate, "1", period)
