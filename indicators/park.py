"""A park of many plants: sums before ratios, nothing counted twice, and the green park's index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from config.standards_rubric import GreenParkRow
from indicators.intensity import Bounded, Intensity, intensity

INDEX_ITEMS = 24


class Index(NamedTuple):
    """The green index: ``value`` None until all its items are known; ``certain``: of the known."""

    value: float | None
    certain: float
    counted: tuple[str, ...]
    unknown: int


def total(parts: Sequence[Bounded], less: Sequence[Bounded] = ()) -> Bounded:
    r"""Sum of the plants' energies, less what they pass to one another [unit of the parts].

    .. math:: E = \sum_i E_i - \sum_k T_k, \quad
              \underline E = \sum_i \underline E_i - \sum_k \overline T_k

    One unknown part makes the sum unknown, one missing bound its bound. Of T only what the sender's
    E still has in it. Form of the green park, recalled; its sums
    and bounds are kgce's own rule.

    >>> total([Bounded(100.0, 90.0, 110.0), Bounded(50.0, 50.0, 50.0)], [Bounded(30.0, 25.0, 30.0)])
    Bounded(value=120.0, low=110.0, high=135.0)
    >>> total([Bounded(100.0, 90.0, None), Bounded(None, 0.0, 50.0)])
    Bounded(value=None, low=90.0, high=None)
    """

    def ends(
        plus: Callable[[Bounded], float | None], minus: Callable[[Bounded], float | None]
    ) -> float | None:
        added, taken = [plus(one) for one in parts], [minus(one) for one in less]
        known = [one for one in added if one is not None], [one for one in taken if one is not None]
        if len(known[0]) < len(added) or len(known[1]) < len(taken):
            return None
        return sum(known[0]) - sum(known[1])

    return Bounded(
        ends(lambda one: one.value, lambda one: one.value),
        ends(lambda one: one.low, lambda one: one.high),
        ends(lambda one: one.high, lambda one: one.low),
    )


def rate(over: Bounded, under: Bounded, scale: float = 1.0) -> Intensity:
    r"""A ratio of two sums with its bounds [scale x unit of over / unit of under].

    .. math:: r = s \cdot \frac{\sum_i N_i}{\sum_i D_i}

    Sums of numerators and denominators over the plants, never a mean of their ratios; where one is
    unknown, its bounds still bound the ratio. Form of the green park, recalled; its sums
    and bounds are kgce's own rule.

    >>> rate(Bounded(300.0, 300.0, 300.0), Bounded(120.0, 100.0, 150.0)).value
    2.5
    >>> rate(Bounded(30.0, 20.0, 40.0), Bounded(100.0, 100.0, 100.0), 100.0)[:3]
    (30.0, 20.0, 40.0)
    >>> rate(Bounded(30.0, 30.0, 30.0), Bounded(None, 10.0, 15.0))[:3]
    (None, 2.0, 3.0)
    """
    found = intensity(over, under)
    value, low, high = (None if end is None else end * scale for end in found[:3])
    return Intensity(value, low, high, found.reason)


def cut(before: float, now: float) -> float:
    r"""Yearly cut of an intensity [%].

    .. math:: c = \frac{I_0 - I_1}{I_0} \cdot 100

    ``before`` is not zero. Form of the green park, recalled; its sums
    and bounds are kgce's own rule. Item 22.

    >>> cut(0.5, 0.48)
    4.0
    """
    return round((before - now) / before * 100, 12)


def term_of(value: float, lead: float, direction: str) -> float | None:
    r"""Term of an item in the index [1]; None where the value of an inverse item is not above zero.

    .. math:: t = \frac{a}{lead} \quad \text{or, inverse,} \quad \frac{lead}{a}

    It may be above 1: the form sets no cap. Form of the green park, recalled; its sums
    and bounds are kgce's own rule.

    >>> term_of(3.6, 3.0, "bigger"), term_of(10.0, 5.0, "smaller"), term_of(0.0, 5.0, "smaller")
    (1.2, 0.5, None)
    """
    if direction == "smaller":
        return lead / value if value > 0 else None
    return value / lead


def index_of(rows: Sequence[GreenParkRow], terms: dict[str, float | None]) -> Index:
    r"""The green index of a park [1, 100 where every item is at its lead value].

    .. math:: GI = \frac{100}{24} \sum_{i=1}^{24} t_i

    ``terms`` by item id; of items to choose from, the best known ones count (the choice is the
    park's). Unknown until all 24 are known; the certain part takes the unknown ones as nothing, so
    a negative one could still lower it. Form of the green park, recalled; its sums
    and bounds are kgce's own rule.

    >>> index_of([], {}).value is None
    True
    """
    counted = [row.id for row in rows if not row.choice and terms.get(row.id) is not None]
    for choice in dict.fromkeys(row.choice for row in rows if row.choice):
        group = [row for row in rows if row.choice == choice]
        known = [row.id for row in group if terms.get(row.id) is not None]
        known.sort(key=lambda name: -(terms[name] or 0.0))
        counted += known[: int(group[0].choose or 0)]
    certain = 100 / INDEX_ITEMS * sum(terms[name] or 0.0 for name in counted)
    whole = len(counted) == INDEX_ITEMS
    return Index(
        certain if whole else None, certain, tuple(sorted(counted)), INDEX_ITEMS - len(counted)
    )
