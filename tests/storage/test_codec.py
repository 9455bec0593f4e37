"""A group's bytes hold the readings exactly, and tell when the disk changed them."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.tables import Reading
from storage.codec import (
    MAX_TIME_US,
    MIN_TIME_US,
    Torn,
    Unstorable,
    columns_of,
    pack,
    unpack,
)
from tests.storage.readings import START_US, polled, reading

TIMES = st.one_of(st.integers(MIN_TIME_US, MAX_TIME_US), st.integers(START_US, START_US + 100_000))
TEXTS = st.one_of(st.sampled_from(["m1", "m2", "energy", ""]), st.text(max_size=8))
TICKS = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(0, 300))


@st.composite
def any_reading(draw: st.DrawFn) -> Reading:
    value = draw(st.none() | st.floats(allow_nan=False))
    status = "good" if value is not None else draw(st.sampled_from(["timeout", "skipped"]))
    return Reading(
        draw(TEXTS), draw(TEXTS), draw(TIMES), value, status, draw(TEXTS), draw(TIMES), draw(TICKS)
    )


@given(st.lists(any_reading(), min_size=1, max_size=40), st.data())
def test_what_is_packed_is_unpacked_again(readings: list[Reading], data: st.DataObject) -> None:
    flags = st.lists(st.booleans(), min_size=len(readings), max_size=len(readings))
    days = st.lists(st.integers(-800_000, 3_000_000), min_size=len(readings))
    columns = columns_of(readings)._replace(
        repeated=np.array(data.draw(flags), np.bool_),
        day=np.array(data.draw(days)[: len(readings)], np.int64),
    )
    again = unpack(pack(columns))
    assert again.rows() == [tuple(reading) for reading in readings]
    assert again.repeated.tolist() == columns.repeated.tolist()
    assert again.day.tolist() == columns.day.tolist()
    start = data.draw(st.integers(0, len(readings)))
    assert again.part(start, len(readings)).rows() == again.rows()[start:]


@pytest.mark.parametrize("seed", range(20))
def test_a_changed_byte_is_noticed(seed: int) -> None:
    chance = random.Random(seed)
    body = bytearray(pack(columns_of([polled(n, n / 7) for n in range(200)])))
    body[chance.randrange(len(body))] ^= chance.randrange(1, 256)
    with pytest.raises(Torn):
        unpack(bytes(body))


@pytest.mark.parametrize("body", [b"", b"\0" * 4, b"\0" * 8, b"\xff" * 100])
def test_what_is_no_group_is_noticed(body: bytes) -> None:
    with pytest.raises(Torn):
        unpack(body)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("meter_id", None),
        ("meter_id", "\ud800"),
        ("quantity", 5),
        ("quantity", ["a"]),
        ("time_us", 1.5),
        ("time_us", MAX_TIME_US + 1),
        ("received_us", MIN_TIME_US - 1),
        ("value", math.nan),
        ("value", "1.0"),
        ("value", None),
        ("status", "rejected"),
        ("status", "timeout"),
        ("sequence", "1"),
        ("sequence", 2**63),
    ],
)
def test_a_reading_that_breaks_the_contract_is_none(field: str, value: object) -> None:
    sound = reading(0, 1.0, sequence=1)
    broken = sound._replace(**{field: value})
    for group in ([broken], [sound, broken], [broken, sound]):
        with pytest.raises(Unstorable):
            columns_of(group)


def test_a_poll_of_thirty_meters_takes_little() -> None:
    poll = [polled(5, n / 7, meter=f"meter-{n:02}") for n in range(30)]
    assert len(pack(columns_of(poll))) < 30 * 30
