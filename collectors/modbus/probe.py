"""What a few registers could mean: every type and byte order side by side, and what speaks against
each. For whoever sets up a meter whose manual is vague about its byte order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from collectors.modbus.numbers import Number, decode
from config.register_map import WIDTH_BYTES

ORDERS: dict[int, tuple[str, ...]] = {
    2: ("AB", "BA"),
    4: ("ABCD", "CDAB", "BADC", "DCBA"),
    6: ("ABCDEF", "EFCDAB", "BADCFE", "FEDCBA"),
    8: ("ABCDEFGH", "GHEFCDAB", "BADCFEHG", "HGFEDCBA", "EFGHABCD", "CDABGHEF"),
}
"""The orders of bytes on the wire that devices use, by width; A is the most significant."""

LEAST, MOST = 1e-4, 1e10  # a register of a meter that counts outside is rarely meant
_REGISTER = 2  # bytes
_ROUND = {"32": 1 << 16, "48": 1 << 24, "64": 1 << 32}  # a multiple of it: words are swapped
_NEVER = 1 << 70
LARGEST_STEP_RATIO = 1e-3  # of a counter, between two readings seconds apart


@dataclass(frozen=True)
class Candidate:
    """One way to read the registers. ``later`` is what they held when read once more.

    ``doubts``: what speaks against it; none makes it plausible.
    """

    type: str
    order: str
    number: Number
    later: Number | None
    doubts: tuple[str, ...]

    @property
    def is_plausible(self) -> bool:
        return not self.doubts


def candidates(first: bytes, later: bytes | None = None, *, is_counter: bool) -> list[Candidate]:
    """Every type and order that the registers' bytes are wide enough for, from the first register.

    ``later``: the same registers, read some seconds afterwards.
    """
    return list(_candidates(first, later, is_counter))


def likely(found: list[Candidate]) -> list[Candidate]:
    """The candidates whose type has no other plausible order: the bytes themselves tell it."""
    plausible = [one for one in found if one.is_plausible]
    types = [one.type for one in plausible]
    return [
        one for one in plausible if types.count(one.type) == 1 and WIDTH_BYTES[one.type] > _REGISTER
    ]


def _candidates(first: bytes, later: bytes | None, is_counter: bool) -> Iterator[Candidate]:
    for number_type, width in WIDTH_BYTES.items():
        if width > len(first):
            continue
        for order in ORDERS[width]:
            number = decode(first[:width], number_type, order)
            if isinstance(number, float) and math.isnan(number) and number_type[0] in "bm":
                continue  # digits that are none: the registers hold no such number
            again = decode(later[:width], number_type, order) if later is not None else None
            doubts = tuple(_doubts(number, again, number_type, is_counter))
            yield Candidate(number_type, order, number, again, doubts)


def _doubts(
    number: Number, later: Number | None, number_type: str, is_counter: bool
) -> Iterator[str]:
    if not math.isfinite(number):
        yield "no number"
        return
    if number_type[0] == "f" and 0 < abs(number) < LEAST:
        yield "tiny"
    if abs(number) > MOST:
        yield "huge"
    if number_type[0] in "ui" and number and int(number) % _ROUND.get(number_type[1:], _NEVER) == 0:
        yield "round"
    if is_counter and number < 0:
        yield "negative"
    if later is None or not is_counter:
        return
    if not math.isfinite(later) or later < number:
        yield "fell"
    elif later - number > max(abs(number), 1000) * LARGEST_STEP_RATIO:
        yield "leapt"
