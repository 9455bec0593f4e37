"""What a data value says, and at what time a value that did not change is known to have held."""

from __future__ import annotations

import math
import struct
import time
from datetime import UTC, datetime, timedelta

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary

from collectors.opcua.meters import Watched
from collectors.opcua.subscription import Subscribed, Subscription
from collectors.opcua.values import Sample, sample_of
from config.opc_node import OpcNode

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOON_US = 1_795_348_800_000_000
S = 1_000_000

Type = ua.VariantType
NUMBERS = [
    (Type.SByte, -128), (Type.Byte, 255), (Type.Int16, -32768), (Type.UInt16, 65535),
    (Type.Int32, -(2**31)), (Type.UInt32, 2**32 - 1), (Type.Int64, -(2**53)),
    (Type.UInt64, 2**53), (Type.Float, 1234.5), (Type.Double, 1e300),
]  # fmt: skip
NO_NUMBERS = [
    (Type.Boolean, True), (Type.String, "12.5"), (Type.DateTime, NOON), (Type.Null, None),
    (Type.ByteString, b"12"), (Type.Double, [1.0]), (Type.UInt32, []),
]  # fmt: skip


def data(kind: Type, value: object, code: int = 0) -> ua.DataValue:
    return ua.DataValue(ua.Variant(value, kind), ua.StatusCode(ua.UInt32(code)))


@pytest.mark.parametrize(("kind", "value"), NUMBERS)
def test_numbers_are_values(kind: Type, value: float) -> None:
    sample = sample_of(data(kind, value))
    assert (sample.value, sample.status, sample.overflow) == (value, "good", False)


@pytest.mark.parametrize(("kind", "value"), NO_NUMBERS)
def test_anything_else_is_bad_payload(kind: Type, value: object) -> None:
    sample = sample_of(data(kind, value))
    assert (sample.value, sample.status) == (None, "bad_payload")
    assert sample.detail


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_not_a_number(value: float) -> None:
    sample = sample_of(data(Type.Float, value))
    assert (sample.value, sample.status) == (None, "not_a_number")


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (0x80000000, "Bad (0x80000000)"),
        (0x808C0000, "BadSensorFailure"),
        (0x40900000, "UncertainLastUsableValue"),
        (0x40900480, "UncertainLastUsableValue"),
        (0xC0000000, "Bad (0xC0000000)"),
        (0x8FFF0000, "Bad (0x8FFF0000)"),
    ],
)
def test_a_value_of_bad_quality_is_not_used(code: int, name: str) -> None:
    sample = sample_of(data(Type.Double, 17.0, code))
    assert (sample.value, sample.status, sample.detail) == (None, "bad_quality", name)


def test_flags_of_a_good_value_do_not_make_it_bad_and_an_overflow_is_seen() -> None:
    assert sample_of(data(Type.Double, 1.0, 0x00960000)).value == 1.0  # GoodLocalOverride
    flagged = sample_of(data(Type.Double, 1.0, 0x00000480))
    assert (flagged.value, flagged.overflow) == (1.0, True)
    assert not sample_of(data(Type.Double, 1.0, 0x00000080)).overflow  # no InfoType DataValue


def test_times_are_the_sources_else_the_servers_and_the_ends_of_time_are_none() -> None:
    both = data(Type.Double, 1.0)
    both.SourceTimestamp, both.ServerTimestamp = NOON, NOON + timedelta(seconds=3)
    assert sample_of(both).stated_us == NOON_US
    both.SourceTimestamp = datetime(1601, 1, 1, tzinfo=UTC)
    assert sample_of(both).stated_us == NOON_US + 3 * S
    both.ServerTimestamp = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert sample_of(both).stated_us is None
    both.ServerTimestamp = None
    assert sample_of(both).stated_us is None


def test_a_value_with_picoseconds_is_read_right_off_the_wire() -> None:
    """As servers of another make send it; the server's time, 3 s later, is right or not there."""
    ticks = 116_444_736_000_000_000 + NOON_US * 10  # 100 ns since 1601
    wire = bytes([0x3D, 0x0B]) + struct.pack(
        "<dqHqH", 1234.5, ticks, 4770, ticks + 30_000_000, 4770
    )
    sample = sample_of(struct_from_binary(ua.DataValue, Buffer(wire)))
    assert (sample.value, sample.source_us) == (1234.5, NOON_US)
    assert sample.server_us in (None, NOON_US + 3 * S)


def good(value: float, source_us: int | None, server_us: int | None = None) -> Sample:
    return Sample(value, "good", "", source_us, server_us, False)


@pytest.fixture
def meter() -> Watched:
    return Watched("m", "value", OpcNode(2, None, "s", "m"), 60.0, 1)


def test_a_value_that_stands_still_is_read_on_the_clock_of_its_stamps(meter: Watched) -> None:
    """The source is 3 s behind its server: a read at 12:01:10 says what held at 12:01:07."""
    assert meter.reported_us(good(1.0, NOON_US - 60 * S), NOON_US) == NOON_US - 60 * S
    assert meter.reported_us(good(2.0, NOON_US + 7 * S, NOON_US + 10 * S), 0) == NOON_US + 7 * S
    standing = good(2.0, NOON_US + 7 * S, NOON_US + 10 * S)
    assert meter.read_us(standing, NOON_US + 70 * S) == NOON_US + 67 * S
    # The next change may have happened just after that, by the source's own clock.
    assert meter.reported_us(good(3.0, NOON_US + 68 * S, NOON_US + 71 * S), 0) == NOON_US + 68 * S


def test_the_first_value_of_a_connection_does_not_put_the_source_behind(meter: Watched) -> None:
    """It changed long ago: nobody knows by which clock."""
    yesterday = good(1.0, NOON_US - 86400 * S, NOON_US)
    assert meter.reported_us(yesterday, NOON_US) == NOON_US - 86400 * S
    assert meter.read_us(yesterday, NOON_US + 60 * S) == NOON_US + 60 * S


def test_a_source_ahead_of_its_server_is_read_ahead_from_the_first_value_on(meter: Watched) -> None:
    ahead = good(1.0, NOON_US + 3600 * S, NOON_US)
    assert meter.reported_us(ahead, NOON_US) == NOON_US + 3600 * S
    assert meter.read_us(ahead, NOON_US + 60 * S) == NOON_US + 3660 * S


def test_a_server_that_stamps_unchanged_values_anew_is_believed(meter: Watched) -> None:
    meter.reported_us(good(1.0, NOON_US, NOON_US), NOON_US)
    again = good(1.0, NOON_US + 58 * S, NOON_US + 58 * S)
    assert meter.read_us(again, NOON_US + 60 * S) == NOON_US + 58 * S


def test_without_source_times_the_servers_clock_counts(meter: Watched) -> None:
    assert meter.reported_us(good(1.0, None, NOON_US), NOON_US + S) == NOON_US
    assert meter.read_us(good(1.0, None, NOON_US), NOON_US + 60 * S) == NOON_US + 60 * S
    assert meter.reported_us(good(2.0, None, None), NOON_US + 61 * S) == NOON_US + 61 * S


def test_what_a_read_saw_first_is_not_taken_again_when_it_is_reported(meter: Watched) -> None:
    meter.reported_us(good(1.0, NOON_US), NOON_US)
    change = good(2.0, NOON_US + 5 * S)
    assert meter.read_us(change, NOON_US + 6 * S) == NOON_US + 5 * S
    assert meter.reported_us(change, NOON_US + 7 * S) is None
    # A new connection begins with the value that is known.
    meter.begin()
    assert meter.reported_us(change, NOON_US + 90 * S) is None


def test_a_value_without_quality_has_the_time_at_which_it_was_seen(meter: Watched) -> None:
    bad = Sample(None, "bad_quality", "Bad", NOON_US, NOON_US, False)
    assert meter.reported_us(bad, NOON_US + S) == NOON_US
    assert meter.read_us(bad, NOON_US + 60 * S) == NOON_US + 60 * S


def test_a_message_that_is_missing_is_seen() -> None:
    seen = Subscription(Subscribed(1, 1.0, 10.0))
    assert [seen.missed(n) for n in (1, 2, 3)] == [False] * 3
    assert seen.missed(5)
    assert not seen.missed(6)
    over = Subscription(Subscribed(1, 1.0, 10.0))
    assert [over.missed(n) for n in (0xFFFFFFFF, 1, 2)] == [False] * 3


def test_a_subscription_that_missed_three_signs_of_life_is_dead() -> None:
    quick = Subscription(Subscribed(1, 0.001, 0.002))
    time.sleep(0.02)
    assert quick.is_dead()
    quick.hear()
    slow = Subscription(Subscribed(1, 60.0, 600.0))
    assert not slow.is_dead()


def test_what_a_read_saw_between_queued_changes_is_not_taken_twice(meter: Watched) -> None:
    meter.reported_us(good(1.0, NOON_US), NOON_US)
    assert meter.read_us(good(3.0, NOON_US + 9 * S), NOON_US + 9 * S) == NOON_US + 9 * S
    assert meter.reported_us(good(2.0, NOON_US + 5 * S), NOON_US + 10 * S) == NOON_US + 5 * S
    assert meter.reported_us(good(3.0, NOON_US + 9 * S), NOON_US + 10 * S) is None
