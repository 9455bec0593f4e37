"""Scaling that does not spoil decimal numbers."""

from __future__ import annotations


def factor_and_divisor(scale: float) -> tuple[float, float]:
    """``number * factor / divisor`` is ``number * scale``, but 12345 * 0.01 is 123.45 by it, not
    123.45000000000002.

    >>> factor_and_divisor(0.01), factor_and_divisor(2.5)
    ((1, 100), (2.5, 1))
    """
    if 1e-9 <= abs(scale) <= 1:
        divisor = round(1 / scale)
        if 1 / divisor == scale:
            return 1, divisor
    return scale, 1
