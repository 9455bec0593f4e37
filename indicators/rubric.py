"""Points of the green-factory rubric (绿色工厂评价), GB/T 36132-2025."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

LARGEST = 3
"""Products that an energy or water item looks at: the largest by energy."""

# Steps are counted with this much grace, so that 0.75 of four steps is three.
_GRACE = 1e-9


class Part(NamedTuple):
    """One figure that feeds an item, with what it is held against; several products have several.

    ``value`` None: unknown or refused; ``low`` and ``high`` None: nothing bounds it there.
    ``weight``: energy of the product [tce], 1 where the item has one part. ``tce_to_lead`` [tce/a]:
    what reaching the lead value saves. ``status``: complete, partial, refused or unknown.
    """

    subject: str
    value: float | None
    low: float | None
    high: float | None
    unit: str
    lead: float | None
    base: float | None
    reference_unit: str
    reference: str
    weight: float | None
    coverage_ratio: float | None
    status: str
    confidence: str
    tce_to_lead: float | None = None
    reason: str = ""
    rows: tuple[str, ...] = ()


class Share(NamedTuple):
    """Share of an item's points [1] and its bounds; ``reason`` says why ``value`` is None."""

    value: float | None
    low: float
    high: float
    reason: str = ""


def fraction(actual: float, lead: float, base: float) -> float:
    r"""Share of an item's points [1]: 1 from the lead value on, 0 beyond the base, linear between.

    .. math:: f = \frac{a - base}{lead - base}, \quad 0 \le f \le 1

    All three in one unit; where ``lead`` is below ``base``, smaller is better, else bigger is. For
    energy intensity they are level 1 and level 2 of the norm. GB/T 36132-2025 appendix C. Raises
    ValueError where lead and base are one.

    >>> fraction(110.0, lead=100.0, base=120.0), fraction(15.0, lead=20.0, base=10.0)
    (0.5, 0.5)
    >>> fraction(99.0, lead=100.0, base=120.0), fraction(121.0, lead=100.0, base=120.0)
    (1.0, 0.0)
    """
    if lead == base:
        raise ValueError(f"lead and base are both {lead}: nothing lies between")
    return min(1.0, max(0.0, (actual - base) / (lead - base)))


def points(most: float, actual: float, lead: float, base: float) -> float:
    r"""Points [point] of an item with a lead and a base value.

    .. math:: p = p_{max} \cdot f

    GB/T 36132-2025 appendix C.

    >>> points(8.0, 110.0, lead=100.0, base=120.0)
    4.0
    """
    return most * fraction(actual, lead, base)


def range_fraction(actual: float, lead: float, base: float, steps: int) -> float:
    r"""Share of the points [1] by the range method: equal steps from base to lead.

    .. math:: f_r = \lfloor n f \rfloor / n

    A step counts once its whole width is reached; ``steps`` is n. The standard names the method;
    equal steps are kgce's own rule.

    >>> range_fraction(110.0, lead=100.0, base=120.0, steps=4)
    0.5
    >>> range_fraction(106.0, lead=100.0, base=120.0, steps=4)
    0.5
    """
    return math.floor(fraction(actual, lead, base) * steps + _GRACE) / steps


def reached(actual: float, lead: float, direction: str) -> float:
    r"""Share [1] of an item that is met or not: 1 where the lead value is reached, else 0.

    .. math:: f = 1 \text{ where } a \text{ reaches } lead, \text{ else } 0

    ``direction``: smaller or bigger is better. GB/T 36132-2018, items held to one level; not
    checked against the print.

    >>> reached(100.0, 100.0, "smaller"), reached(100.1, 100.0, "smaller")
    (1.0, 0.0)
    """
    return float(actual <= lead if direction == "smaller" else actual >= lead)


def why_not_scored(part: Part, method: str, direction: str) -> str:
    """Why the figure cannot be held against its lead and base; empty where it can.

    All three in one unit [that of the figure]. kgce's own rule.

    >>> one = Part("a", 1.0, 1.0, 1.0, "t", 2.0, 2.0, "t", "", 1.0, 1.0, "complete", "seen")
    >>> why_not_scored(one, "linear", "smaller")
    'lead and base are both 2'
    >>> why_not_scored(one._replace(base=1.0), "linear", "smaller")
    'lead 2 is above base 1, and smaller is better'
    >>> why_not_scored(one._replace(base=3.0, unit="kg"), "linear", "smaller")
    'the figure is in kg, lead and base in t'
    """
    lead, base = part.lead, part.base
    if lead is None:
        return "no lead value"
    if part.unit != part.reference_unit:
        return f"the figure is in {part.unit}, lead and base in {part.reference_unit}"
    if method == "reach":
        return ""
    if base is None:
        return "no base value"
    if lead == base:
        return f"lead and base are both {lead:g}"
    if (lead < base) != (direction == "smaller"):
        order = "above" if lead > base else "below"
        return f"lead {lead:g} is {order} base {base:g}, and {direction} is better"
    return ""


def share_of(part: Part, method: str, direction: str, steps: int | None) -> Share:
    r"""Share of the points that one figure reaches [1], with the bounds that its own bounds allow.

    .. math:: [f_l, f_h] = [\min(f(a_l), f(a_h)), \max(f(a_l), f(a_h))]

    The share never falls where the figure gets better, so its ends are those of the figure; an end
    that nothing bounds is 0 or 1. ``steps``: of the range method, None for the linear one. kgce's
    own rule.

    >>> one = Part("a", 110.0, 105.0, None, "t", 100.0, 120.0, "t", "", 1.0, 1.0, "complete", "")
    >>> share_of(one, "linear", "smaller", None)
    Share(value=0.5, low=0.0, high=0.75, reason='')
    """
    if reason := why_not_scored(part, method, direction):
        return Share(None, 0.0, 1.0, "; ".join(filter(None, (reason, part.reason))))
    of = _rule(part, method, direction, steps)
    better, worse = part.low, part.high
    if direction == "bigger":
        better, worse = worse, better
    return Share(
        None if part.value is None else of(part.value),
        0.0 if worse is None else of(worse),
        1.0 if better is None else of(better),
        part.reason,
    )


def _rule(part: Part, method: str, direction: str, steps: int | None) -> Callable[[float], float]:
    lead, base = part.lead or 0.0, part.base or 0.0
    if method == "reach":
        return lambda actual: reached(actual, lead, direction)
    if steps is not None:
        return lambda actual: range_fraction(actual, lead, base, steps)
    return lambda actual: fraction(actual, lead, base)


def largest(parts: Sequence[Part]) -> tuple[Part, ...]:
    r"""The products that count: the three largest by energy [tce], or all where one's is unknown.

    .. math:: w_1 \ge w_2 \ge w_3 \ge w_j, \quad j > 3

    GB/T 36132-2025 appendix C, as a provincial form has it.

    >>> one = Part("a", 1.0, 1.0, 1.0, "t", 2.0, 3.0, "t", "", 5.0, 1.0, "complete", "seen")
    >>> four = [one._replace(subject=name, weight=tce) for name, tce in zip("abcd", (5, 9, 7, 8))]
    >>> [part.subject for part in largest(four)]
    ['b', 'd', 'c']
    """
    if any(part.weight is None for part in parts):
        return tuple(parts)
    return tuple(sorted(parts, key=lambda part: -(part.weight or 0.0))[:LARGEST])


def mean_share(shares: Sequence[tuple[Share, float | None]]) -> Share:
    r"""Share of the points of several products [1], weighted by the energy of each [tce].

    .. math:: f = \frac{\sum_j w_j f_j}{\sum_j w_j}

    A weight that is not known, or none above zero, leaves the share between its parts' least and
    most. The mean is an inference: GB/T 36132-2025 appendix C names the weights, not the rule.

    >>> mean_share([(Share(1.0, 1.0, 1.0), 30.0), (Share(0.5, 0.0, 1.0), 10.0)])
    Share(value=0.875, low=0.75, high=1.0, reason='')
    """
    known = [(share, weight) for share, weight in shares if weight is not None and weight >= 0]
    total = sum(weight for _, weight in known)
    reason = "; ".join(dict.fromkeys(share.reason for share, _ in shares if share.reason))
    if len(known) < len(shares) or total <= 0:
        ends = [share for share, _ in shares]
        unweighed = reason or "the energy of a product is not known"
        if len(ends) == 1:
            return ends[0]
        low, high = min(e.low for e in ends), max(e.high for e in ends)
        return Share(None, low, high, unweighed)

    def mean(of: Callable[[Share], float]) -> float:
        return sum(of(share) * weight for share, weight in known) / total

    whole = all(share.value is not None for share, _ in known)
    value = mean(lambda share: share.value or 0.0) if whole else None
    return Share(value, mean(lambda share: share.low), mean(lambda share: share.high), reason)
