"""What a plan takes of a serial bus's time."""

from __future__ import annotations

MOST_LOAD_RATIO = 0.8
"""Of a bus's time: the rest is for time-outs and slow replies."""


def why_overloaded(plan: str, bits_per_s: int | None, load_ratio: float | None) -> str | None:
    """Why a plan cannot be met; None where it can, or nobody can say. ``plan`` names it."""
    if load_ratio is None or load_ratio <= MOST_LOAD_RATIO:
        return None
    return f"{plan}; at {bits_per_s} bit/s they take {load_ratio:.0%} of the bus's time"


def counted(number: int, noun: str) -> str:
    """Such as ``1 request``, ``3 requests``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
