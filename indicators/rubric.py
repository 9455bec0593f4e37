"""Points of the green-factory rubric (绿色工厂评价), GB/T 36132-2025."""

from __future__ import annotations


def fraction(actual: float, lead: float, base: float) -> float:
    r"""Share of an item's points [1]: 1 from the lead value on, 0 beyond the base, linear between.

    .. math:: f = \frac{a - base}{lead - base}, \quad 0 \le f \le 1

    All three in one unit; where ``lead`` is below ``base``, smaller is better, else bigger is. For
    energy intensity they are level 1 and level 2 of the norm. GB/T 36132-2025 appendix C.

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
