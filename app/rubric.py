"""`kgce rubric`: every item of one edition scored, from published figures and typed evidence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from app.published import Published, grain_of
from app.rubric_sources import found_of
from config.errors import InputError
from config.rubric import Rubric, RubricEvidence
from config.site import Site
from config.standards_rubric import RubricEditionRow, RubricItemRow, RubricTierRow
from indicators.rubric import Share
from indicators.rubric_inputs import parts_of, reference_of
from indicators.rubric_items import (
    MET,
    NEEDS_EVIDENCE,
    NOT_MET,
    Scored,
    scored,
)
from indicators.rubric_totals import (
    FAILED,
    PASSED,
    Gain,
    Gates,
    Reach,
    Total,
    gains_of,
    gates_of,
    reach_of,
    total_of,
    whole_of,
)


@dataclass(frozen=True)
class Section:
    """A section of the edition, with its points."""

    code: str
    name_zh: str
    name_en: str
    weight: float | None
    total: Total


@dataclass(frozen=True)
class Result:
    """The rubric of one plant and period."""

    site: Site
    period: str
    edition: RubricEditionRow
    settings: Rubric
    items: tuple[Scored, ...]
    gates: Gates
    sections: tuple[Section, ...]
    total: Total
    tiers: tuple[Reach, ...]
    gains: tuple[Gain, ...]

    @property
    def indicative(self) -> bool:
        """A month is an indication: the rubric is judged on a year."""
        return grain_of(self.period) != "year"


def scored_of(published: Published, period: str, edition: str | None = None) -> Result:
    """Every item of the edition (default the plant's own). Raises InputError for a period or an
    edition that there is not."""
    published.require(period)
    site = published.site
    settings = site.plant.assessment.rubric
    editions = site.rows(RubricEditionRow)
    name = edition or settings.edition
    if name not in editions:
        raise InputError(f"edition {name!r}", allowed=", ".join(editions))
    rows = [row for row in site.rows(RubricItemRow).values() if row.edition == name]
    items = [
        _scored(published, period, settings, row) for row in rows if row.kind in ("item", "gate")
    ]
    gates = gates_of(items, editions[name].basic_known == "yes")
    sections = _sections(rows, items)
    total = whole_of([section.total for section in sections])
    tiers = reach_of(_tiers(site), total, gates)
    items += _rules(site, period, settings, gates, tiers)
    return Result(
        site, period, editions[name], settings, tuple(items), gates, tuple(sections), total,
        tuple(tiers), tuple(gains_of(items, settings.steps)),
    )  # fmt: skip


def _scored(published: Published, period: str, settings: Rubric, item: RubricItemRow) -> Scored:
    year = int(period[:4])
    stated = reference_of(settings.references, item.id, "", year)
    found = found_of(published, period, item.input, stated.unit if stated else None)
    parts = parts_of(item, found.measured, settings.references, year)
    missing = "; ".join(filter(None, (found.missing, item.data_needed)))
    evidence = _evidence(settings, item.id, year)
    if evidence is not None and evidence.value is not None and not parts and stated is not None:
        item = _with_reference(item, stated.lead, stated.base, stated.unit)
    return scored(item, parts, evidence, steps=settings.steps, missing=missing)


def _with_reference(
    item: RubricItemRow, lead: float, base: float | None, unit: str
) -> RubricItemRow:
    return replace(item, lead=lead, base=base, unit=unit)


def _evidence(settings: Rubric, item: str, year: int) -> RubricEvidence | None:
    """What is stated of the item for the year, or else for every year."""
    fitting = [one for one in settings.evidence if one.item == item and one.year in (None, year)]
    return max(fitting, key=lambda one: one.year is not None, default=None)


def _sections(rows: list[RubricItemRow], items: list[Scored]) -> list[Section]:
    found = []
    for code in dict.fromkeys(row.section for row in rows if row.section_weight is not None):
        first = next(row for row in rows if row.section == code)
        inside = [one for one in items if one.item.section == code]
        total = total_of(inside, first.section_weight)
        found.append(Section(code, first.section_zh, first.section_en, first.section_weight, total))
    return found


def _same_region(site: Site, region: str) -> bool:
    return bool(region) and (site.plant.plant.region or "")[:2] == region[:2]


def _tiers(site: Site) -> list[RubricTierRow]:
    return [
        tier
        for tier in site.rows(RubricTierRow).values()
        if tier.subject == "factory" and _same_region(site, tier.region)
    ]


def _rules(
    site: Site, period: str, settings: Rubric, gates: Gates, tiers: list[Reach]
) -> list[Scored]:
    """The rules of the plant's region: what follows from gates and totals, or typed evidence."""
    statuses = {PASSED: MET, FAILED: NOT_MET}
    by_tier = {one.tier.tier: one.status for one in tiers}
    known = {"FJ-01": statuses.get(gates.status, NEEDS_EVIDENCE)}
    reasons = {"FJ-01": f"basic requirements: {gates.status}"}
    for rule, tier in (("FJ-02", "provincial"), ("FJ-03", "national")):
        reach = by_tier.get(tier, "")
        out = reach in ("out_of_reach", "barred")
        reasons[rule] = f"{tier}: {reach}"
        known[rule] = MET if reach == "reached" else NOT_MET if out else NEEDS_EVIDENCE
    found = []
    for row in site.rows(RubricItemRow).values():
        if row.kind != "rule" or not _same_region(site, row.region):
            continue
        one = scored(row, [], _evidence(settings, row.id, int(period[:4])), missing=row.data_needed)
        if row.id in known:
            unknown = Share(None, 0.0, 1.0)
            one = one._replace(status=known[row.id], share=unknown, reason=reasons[row.id])
        found.append(one)
    return found


def _last_day(period: str) -> date:
    """A day of the period's last days: enough to see whether an edition came after it."""
    return date.fromisoformat(f"{period}-28" if grain_of(period) == "month" else f"{period}-12-31")


def said_of(result: Result) -> list[str]:
    """What is to be said beside the rows."""
    total, gates = result.total, result.gates
    known = "not all known" if total.value is None else f"{total.value:.2f}"
    lines = [
        f"{result.edition.id} ({result.edition.edition}) {result.period}: points {known}; certain "
        f"{total.certain:.2f}, possible {total.possible:.2f} of {total.most:g}",
        f"basic requirements: {gates.status}"
        + (f"; not met: {', '.join(gates.failed)}" if gates.failed else "")
        + (f"; not known: {', '.join(gates.unknown)}" if gates.unknown else ""),
    ]
    since = result.edition.effective_from
    if since is not None and _last_day(result.period) < since:
        lines.append(f"{result.edition.id} is in force from {since} only")
    if result.indicative:
        lines.append("a month is an indication: the rubric is judged on a year")
    for one in result.tiers:
        award = one.tier.award_cny
        upto = "up to " if one.tier.award_up_to == "yes" else ""
        money = f", award {upto}{award:,.0f} CNY" if award is not None else ""
        missing = f", {one.missing:.2f} points are not certain yet" if one.missing else ""
        lines.append(f"{one.tier.tier} ({one.tier.threshold:g}{money}): {one.status}{missing}")
    if not result.tiers:
        region = result.site.plant.plant.region or "none"
        lines.append(f"no tier is known for the region {region}: state yours as rubric_tiers")
    for gain in result.gains[:3]:
        if gain.kind == "save" and gain.tce_per_year is not None:
            lines.append(
                f"{gain.item} {gain.subject}: {gain.points:.2f} points for saving "
                f"{gain.tce_per_year:,.0f} tce a year"
            )
    unused = [
        one.item
        for one in result.settings.evidence
        if any(x.item.id == one.item and x.source == "figures" for x in result.items)
    ]
    lines += [f"{item}: the typed evidence is not used, for the figures count" for item in unused]
    return lines
