"""Numbers in registers: what bytes on the wire stand for."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from functools import cache
from operator import itemgetter

from config.errors import InputError
from config.register_map import WIDTH_BYTES

Number = int | float

_FORMATS = {
    "u16": "H", "i16": "h", "u32": "I", "i32": "i",
    "u64": "Q", "i64": "q", "f32": "f", "f64": "d",
}  # fmt: skip


def _bcd(big_endian: bytes) -> Number:
    digits = big_endian.hex()
    return int(digits) if digits.isdecimal() else math.nan


def _mod_10000(big_endian: bytes) -> Number:
    words = struct.unpack(f">{len(big_endian) // 2}H", big_endian)
    return int("".join(f"{word:04}" for word in words)) if max(words) < 10_000 else math.nan


def _unsigned(big_endian: bytes) -> Number:
    return int.from_bytes(big_endian, "big")


def _signed(big_endian: bytes) -> Number:
    return int.from_bytes(big_endian, "big", signed=True)


_BY_HAND: dict[str, Callable[[bytes], Number]] = {
    "u48": _unsigned, "i48": _signed,
    "bcd16": _bcd, "bcd32": _bcd, "bcd48": _bcd, "bcd64": _bcd,
    "m10k32": _mod_10000, "m10k48": _mod_10000, "m10k64": _mod_10000,
}  # fmt: skip


@cache
def _wire_positions(order: str) -> tuple[int, ...]:
    """Positions on the wire, most significant byte first."""
    return tuple(order.index(letter) for letter in sorted(order))


class Decoder:
    """Decodes many numbers of one reply at a time.

    ``numbers``: for each its first byte in the reply, its type, and the order of its bytes on the
    wire, A for the most significant. Raises InputError where type and order do not fit.
    """

    def __init__(self, numbers: Sequence[tuple[int, str, str]]) -> None:
        layout, positions = ">", []
        self._by_hand: list[tuple[int, Callable[[bytes], Number]]] = []
        for index, (first, number_type, order) in enumerate(numbers):
            width = WIDTH_BYTES[number_type]
            if sorted(order) != sorted("ABCDEFGH"[:width]):
                raise InputError(
                    f"order {order!r} for {number_type}", allowed=f"the {width} letters from A on"
                )
            positions += [first + position for position in _wire_positions(order)]
            layout += _FORMATS.get(number_type, f"{width}s")
            if number_type in _BY_HAND:
                self._by_hand.append((index, _BY_HAND[number_type]))
        self.least_bytes = max(positions, default=-1) + 1
        first = positions[0] if positions else 0
        self._unpack = struct.Struct(layout).unpack
        self._unpack_from = struct.Struct(layout).unpack_from
        self._first = first if positions == list(range(first, self.least_bytes)) else None
        self._pick = itemgetter(*positions) if positions else tuple

    def __call__(self, wire: bytes) -> list[Number]:
        """The numbers in ``wire``. NaN for digits that are none: a nibble above 9 (bcd), a
        register above 9999 (m10k). Raises InputError where ``wire`` is too short."""
        if len(wire) < self.least_bytes:
            raise InputError(f"{len(wire)} bytes", allowed=f"at least {self.least_bytes}")
        if self._first is not None:  # one behind the other, most significant byte first
            numbers = list(self._unpack_from(wire, self._first))
        else:
            numbers = list(self._unpack(bytes(self._pick(wire))))
        for index, convert in self._by_hand:
            numbers[index] = convert(numbers[index])
        return numbers


def decode(wire: bytes, number_type: str, order: str) -> Number:
    """The number that ``wire`` holds.

    ``wire``: the value's bytes as they came. ``order`` spells them, A for the most significant.

    >>> decode(bytes.fromhex("449A5000"), "f32", "ABCD")
    1234.5
    >>> decode(bytes.fromhex("5000449A"), "f32", "CDAB")
    1234.5

    Raises InputError where the lengths of ``wire``, ``number_type`` and ``order`` differ.
    """
    width = WIDTH_BYTES[number_type]
    if len(wire) != width:
        raise InputError(f"{len(wire)} bytes for {number_type}", allowed=f"{width} bytes")
    return Decoder([(0, number_type, order)])(wire)[0]


def bits_of(number: Number, bits: tuple[int, int]) -> int:
    """The bit field from the lowest to the highest of ``bits``, 0 the least significant.

    >>> bits_of(0b1101_0000, (4, 6))
    5
    """
    lowest, highest = bits
    return int(number) >> lowest & (1 << highest - lowest + 1) - 1
