"""Which type and byte order registers hold: what the bytes tell, and what they do not."""

from __future__ import annotations

import struct

import pytest

from collectors.modbus.probe import ORDERS, candidates, likely
from config.register_map import WIDTH_BYTES


def on_the_wire(big_endian: bytes, order: str) -> bytes:
    return bytes(big_endian["ABCDEFGH".index(letter)] for letter in order)


@pytest.mark.parametrize("order", ORDERS[4])
def test_a_float_that_counts_is_found_in_any_order(order: str) -> None:
    first, later = (on_the_wire(struct.pack(">f", kwh), order) for kwh in (123456.78, 123456.9))
    found = candidates(first, later, is_counter=True)
    assert [one.order for one in found if one.type == "f32" and one.is_plausible] == [order]
    assert ("f32", order) in [(one.type, one.order) for one in likely(found)]


@pytest.mark.parametrize("order", ORDERS[8])
def test_a_double_that_counts_is_found_in_any_order(order: str) -> None:
    first, later = (on_the_wire(struct.pack(">d", kwh), order) for kwh in (98765.4321, 98765.4421))
    found = candidates(first, later, is_counter=True)
    assert [one.order for one in found if one.type == "f64" and one.is_plausible] == [order]


@pytest.mark.parametrize("order", ["ABCD", "CDAB"])
def test_swapped_words_of_an_integer_are_doubted(order: str) -> None:
    first, later = (on_the_wire(struct.pack(">I", count), order) for count in (4321, 4322))
    doubts = {
        one.order: one.doubts
        for one in candidates(first, later, is_counter=True)
        if one.type == "u32"
    }
    other = {"ABCD": "CDAB", "CDAB": "ABCD"}[order]
    assert doubts[order] == ()
    assert "round" in doubts[other]


def doubts_of(first: bytes, later: bytes | None, kind: str, is_counter: bool = True) -> set[str]:
    order = ORDERS[WIDTH_BYTES[kind]][0]
    found = candidates(first, later, is_counter=is_counter)
    return {d for one in found if (one.type, one.order) == (kind, order) for d in one.doubts}


def test_doubts() -> None:
    nan, tiny = struct.pack(">f", float("nan")), struct.pack(">f", 1e-30)
    assert doubts_of(nan, None, "f32") == {"no number"}
    assert doubts_of(tiny, None, "f32") == {"tiny"}
    assert doubts_of(struct.pack(">f", 1e20), None, "f32") == {"huge"}
    below = struct.pack(">i", -5)
    assert doubts_of(below, None, "i32") == {"negative"}
    assert doubts_of(below, struct.pack(">i", -9), "i32", is_counter=False) == set()
    assert doubts_of(struct.pack(">I", 5), struct.pack(">I", 4), "u32") == {"fell"}
    assert doubts_of(struct.pack(">I", 5), struct.pack(">I", 50), "u32") == {"leapt"}
    assert doubts_of(struct.pack(">I", 5), struct.pack(">I", 6), "u32") == set()


def test_digits_that_are_none_are_no_candidates() -> None:
    assert {one.type for one in candidates(b"\xfa\xaf", None, is_counter=True)} == {"u16", "i16"}
    found = candidates(bytes.fromhex("1234"), None, is_counter=True)
    assert {one.number for one in found if one.type == "bcd16"} == {1234, 3412}


def test_only_what_fits_into_the_registers() -> None:
    assert {WIDTH_BYTES[one.type] for one in candidates(bytes(4), None, is_counter=True)} == {2, 4}
