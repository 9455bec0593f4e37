"""Repeats are refused whatever the order, across restarts, crashes and wrong clocks."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.tables import Reading
from storage.spool import Appended, Spool
from tests.storage.conftest import OpenSpool
from tests.storage.readings import START_US, reading

YEAR_S = 365 * 86_400


def opened(file: Path) -> Spool:
    return Spool(file, max_bytes=1 << 30, dedupe_s=1e9, now_us=lambda: START_US + 60_000_000)


READINGS = st.builds(
    reading,
    st.one_of(st.integers(0, 120), st.integers(-5 * YEAR_S, 70 * YEAR_S)),
    st.sampled_from([None, 0.0, -0.0, 1.0, 2.0]),
    meter=st.sampled_from(["m1", "m2"]),
    quantity=st.sampled_from(["energy", "power"]),
)
STEPS = st.one_of(
    st.lists(READINGS, max_size=12),
    st.sampled_from(["accept", "restart", "crash", "again", "other"]),
)


@settings(deadline=None, max_examples=100)
@given(st.lists(STEPS, max_size=20))
def test_a_reading_is_stored_once(steps: list[list[Reading] | str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "s.db"
        spool, other = opened(file), opened(file)
        sent: list[Reading] = []
        known: set[tuple[object, ...]] = set()
        for step in steps:
            match step:
                case "accept":
                    if (batch := spool.take_batch(7)) is not None:
                        batch.accept()
                case "restart":
                    spool.close()
                    spool = opened(file)
                case "crash":
                    spool._file.close()  # nothing is put into the tables before
                    spool = opened(file)
                case "other":  # another process writes from now on
                    spool, other = other, spool
                case _:
                    given_now = sent if step == "again" else step
                    sent = sent + given_now if step != "again" else sent
                    expected = 0
                    for one in given_now:
                        key = (*one[:3], one.value)
                        expected += one.value is None or key not in known
                        known.add(key)
                    done = spool.append(given_now)
                    assert done == Appended(expected, len(given_now) - expected)
        spool.close()
        other.close()


def test_a_device_in_the_future_costs_the_others_nothing(open_spool: OpenSpool) -> None:
    spool = open_spool()
    future = reading(70 * YEAR_S, meter="m-future")
    spool.append([future, reading(0), reading(1)])
    spool.take_batch(10).accept()
    spool.close()
    spool = open_spool(now_us=START_US + 5_000_000)
    assert spool.append([future, reading(1), reading(20)]) == Appended(1, 2)
    # Only the future's own ten seconds and those of the repeats are looked up.
    assert len(spool._memory.repeats._cache) == 2


@pytest.mark.parametrize("close", [True, False], ids=["stopped", "killed"])
def test_many_late_readings_are_told_from_repeats(open_spool: OpenSpool, close: bool) -> None:
    spool = open_spool()
    evens = [reading(n / 1_000, float(n)) for n in range(0, 60_000, 2)]
    odds = [reading(n / 1_000, float(n)) for n in range(1, 60_000, 2)]
    assert spool.append(evens) == Appended(len(evens), 0)
    if close:
        spool.close()
    else:
        spool._file.close()
    spool = open_spool()
    for start in range(0, len(odds), 3_000):
        part = slice(start, start + 3_000)
        assert spool.append(odds[part] + evens[part]) == Appended(3_000, 3_000)
    assert spool.append(odds + evens) == Appended(0, 60_000)
    spool.append([reading(100)])
    assert spool.account()[0].duplicates == 90_000


def test_what_the_lake_refused_may_come_again(spool: Spool) -> None:
    given = [reading(n, float(n)) for n in range(50)]
    spool.append(given)
    spool.take_batch(20).reject("refused")
    assert spool.append(given) == Appended(20, 30)
