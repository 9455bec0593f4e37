"""Shares of a whole of which every part has to be known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


def shares(parts: Sequence[float | None]) -> list[float | None]:
    r"""Share of each part in their sum [1].

    .. math:: s_i = E_i / \sum_j E_j

    ``parts``: energies in one unit [kgce or tce]. A part that is unknown makes every share unknown,
    for the sum is; so does a sum of zero. GB/T 17166, structure of consumption (能源消费结构); the
    clause was not checked against the print.

    >>> shares([3.0, 1.0]), shares([3.0, None]), shares([0.0])
    ([0.75, 0.25], [None, None], [None])
    """
    known = [part for part in parts if part is not None]
    whole = sum(sorted(known))
    if len(known) < len(parts) or not whole:
        return [None] * len(parts)
    return [None if part is None else part / whole for part in parts]


def sum_or_none(numbers: Iterable[float | None]) -> float | None:
    r"""Sum of numbers [all of one unit]; None where any is unknown, or where there are none.

    .. math:: \sum_i x_i

    kgce's own rule: missing is never zero.

    >>> sum_or_none([1.0, 2.0]), sum_or_none([1.0, None]), sum_or_none([])
    (3.0, None, None)
    """
    some = list(numbers)
    known = [one for one in some if one is not None]
    return math.fsum(known) if some and len(known) == len(some) else None
