"""The whole of a rubric: gates, sections, totals, tiers within reach, and what gains most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from config.standards_rubric import RubricTierRow
from indicators.rubric import share_of
from indicators.rubric_items import MET, NEEDS_EVIDENCE, NOT_MET, PARTLY, Scored

PASSED, FAILED, UNKNOWN = "passed", "not_passed", "unknown"


class Gates(NamedTuple):
    """Basic requirements: ``passed`` only where every one is met; ids of those that are not."""

    status: str
    failed: tuple[str, ...]
    unknown: tuple[str, ...]


class Total(NamedTuple):
    """Points of items [1]: ``value`` None where one is not known; certain, possible, and most."""

    value: float | None
    certain: float
    possible: float
    most: float


class Reach(NamedTuple):
    """How a tier stands; ``missing`` [points]: what the certain points lack to its threshold."""

    tier: RubricTierRow
    status: str
    missing: float | None


class Gain(NamedTuple):
    """What an item could still bring: points, and the energy to be saved for them [tce/a].

    ``kind``: save (the lead value of a product), or show (evidence that nobody stated).
    """

    item: str
    subject: str
    kind: str
    points: float
    tce_per_year: float | None
    points_per_tce: float | None


def gates_of(items: Sequence[Scored], basic_known: bool) -> Gates:
    """Whether all basic requirements are met; one that is not known is not met, but not failed, and
    one that some products meet has failed.

    ``basic_known``: the edition's basic requirements are in the data. GB/T 36132-2018 and -2025,
    basic requirements, not checked against the print; the Fujian plan of 2018 counts no score
    without them.

    >>> gates_of([], basic_known=False).status
    'unknown'
    """
    gates = [one for one in items if one.item.gate == "yes" and one.item.kind != "rule"]
    failed = tuple(one.item.id for one in gates if one.status in (NOT_MET, PARTLY))
    unknown = tuple(one.item.id for one in gates if one.status not in (MET, NOT_MET, PARTLY))
    if failed:
        return Gates(FAILED, failed, unknown)
    return Gates(PASSED if basic_known and not unknown else UNKNOWN, failed, unknown)


def total_of(items: Sequence[Scored], weight: float | None = None) -> Total:
    r"""Points of some items [1]: known, certain, possible.

    .. math:: \underline P = \sum_i \underline p_i, \quad \overline P = \sum_i \overline p_i

    ``weight``: the section's, for items whose own points were not found: then nothing of them is
    certain, and no more than the weight is possible. GB/T 36132-2025 appendix C.

    >>> total_of([], weight=20.0)
    Total(value=None, certain=0.0, possible=20.0, most=20.0)
    """
    able = [one for one in items if one.item.kind == "item"]
    certain = sum((one.points_low or 0.0 for one in able), 0.0)
    whole = bool(able) and all(one.points is not None for one in able)
    value = sum((one.points or 0.0 for one in able), 0.0) if whole else None
    if able and all(one.item.points is not None or one.points is not None for one in able):
        most = sum(one.item.points or one.points or 0.0 for one in able)
        return Total(value, certain, sum(one.points_high or 0.0 for one in able), most)
    return Total(value, certain, max(certain, weight or 0.0), weight or 0.0)


def whole_of(sections: Sequence[Total]) -> Total:
    r"""Points of the whole [1], from its sections.

    .. math:: P = \sum_s P_s

    GB/T 36132-2025 appendix C.

    >>> whole_of([Total(4.0, 4.0, 4.0, 8.0), Total(None, 0.0, 8.0, 8.0)])
    Total(value=None, certain=4.0, possible=12.0, most=16.0)
    """
    known = all(one.value is not None for one in sections)
    return Total(
        sum(one.value or 0.0 for one in sections) if known else None,
        sum(one.certain for one in sections),
        sum(one.possible for one in sections),
        sum(one.most for one in sections),
    )


def reach_of(tiers: Sequence[RubricTierRow], total: Total, gates: Gates) -> list[Reach]:
    """How each tier stands to the points [1] and the gates, lowest threshold first.

    reached: certain points and gates passed; gates_open: the points are certain and a gate is not
    known; within_reach: possible points get there; out_of_reach; barred: a gate has failed. The
    thresholds are those of a province's plan; the words are kgce's own rule.

    >>> from config.standards_files import read_dataset
    >>> tiers = [tier for tier in read_dataset(RubricTierRow).values() if tier.subject == "factory"]
    >>> stands = reach_of(tiers, Total(None, 82.0, 88.0, 100.0), Gates(PASSED, (), ()))
    >>> [(one.tier.tier, one.status, one.missing) for one in stands]
    [('provincial', 'reached', 0.0), ('national', 'out_of_reach', 8.0)]
    """
    found = []
    for tier in sorted(tiers, key=lambda one: (one.threshold or 0.0, one.id)):
        least = tier.threshold
        if least is None:
            continue
        if gates.status == FAILED:
            status = "barred"
        elif total.certain >= least:
            status = "reached" if gates.status == PASSED else "gates_open"
        else:
            status = "within_reach" if total.possible >= least else "out_of_reach"
        found.append(Reach(tier, status, max(0.0, least - total.certain)))
    return found


def gains_of(items: Sequence[Scored], steps: int | None = None) -> list[Gain]:
    r"""What would gain points, the most for the least energy first; then what has to be shown.

    .. math:: \Delta p_j = p_{max} \frac{w_j}{\sum w} (1 - f_j), \quad
              S_j = (e_j - e_{lead}) P_j

    For each product that an item looks at, the points of reaching its lead value [1], the saving
    that this takes [tce/a] and points per saving [1/(tce/a)]; weights are taken as they are. Items
    without any figure: all their points, for evidence alone. kgce's own rule.

    >>> gains_of([])
    []
    """
    found = [gain for one in items for gain in _gains(one, steps)]
    saving = [gain for gain in found if gain.kind == "save"]
    saving.sort(key=lambda gain: (-(gain.points_per_tce or 0.0), -gain.points, gain.item))
    shown = [gain for gain in found if gain.kind == "show"]
    return saving + sorted(shown, key=lambda gain: (-gain.points, gain.item))


def _gains(one: Scored, steps: int | None) -> Iterator[Gain]:
    most = one.item.points
    if not most or one.item.kind != "item":
        return
    if one.status == NEEDS_EVIDENCE and not one.parts:
        yield Gain(one.item.id, "", "show", most, None, None)
        return
    total = sum(part.weight or 0.0 for part in one.parts)
    for part in one.parts:
        share = share_of(part, one.item.method, one.item.direction, steps)
        if share.value is None or share.value >= 1 or not part.weight or total <= 0:
            continue
        points = most * part.weight / total * (1 - share.value)
        tce = part.tce_to_lead
        ratio = points / tce if tce is not None and tce > 0 else None
        yield Gain(one.item.id, part.subject, "save", points, tce, ratio)
