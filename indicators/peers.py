"""Where a figure stands among anonymous peers (同行业对标)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median


def percentile(value: float, peers: Sequence[float]) -> float | None:
    r"""Share of the peers that use more than ``value`` for a unit of product [1].

    .. math:: p = \frac{|\{x > e\}| + \frac{1}{2} |\{x = e\}|}{n}

    ``value`` and ``peers`` in one unit, smaller is better; None without peers. Ties count half
    (mid-rank), kgce's own rule.

    >>> percentile(100.0, [90.0, 100.0, 110.0, 120.0]), percentile(100.0, []) is None
    (0.625, True)
    """
    if not peers:
        return None
    more = sum(peer > value for peer in peers)
    return (more + sum(peer == value for peer in peers) / 2) / len(peers)


def leading(peers: Sequence[float], share: float = 0.05) -> float | None:
    r"""Value that the best ``share`` of the peers reach [their unit]: the advanced value.

    .. math:: x_{(\lceil s n \rceil)}

    The k-th smallest of n, so that at least the share of them is no larger. GB/T 36132-2025 takes
    about the top 5 % of an industry as its advanced level; the clause was not checked against the
    print.

    >>> leading([100.0 + k for k in range(40)]), leading([97.0, 103.0]), leading([])
    (101.0, 97.0, None)
    """
    if not peers:
        return None
    rank = max(1, math.ceil(round(share * len(peers), 9)))
    return sorted(peers)[rank - 1]


def middle(peers: Sequence[float]) -> float | None:
    r"""The median of the peers [their unit]: as many use less as more.

    .. math:: x_{(n + 1) / 2}

    The mean of the two in the midst of an even number. kgce's own rule, where an industry's average
    is not known.

    >>> middle([97.0, 103.0, 110.0]), middle([97.0, 103.0]), middle([])
    (103.0, 100.0, None)
    """
    return median(peers) if peers else None
