"""Values and times in messages."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.mqtt.payload import Payload, Sample, number, parse_path, payload_format, time_us
from config.errors import InputError

SHANGHAI = ZoneInfo("Asia/Shanghai")
MOMENT = datetime(2026, 10, 1, 8, 0, tzinfo=SHANGHAI)
MOMENT_US = 1_790_812_800_000_000


def read(
    raw: str | bytes,
    value_path: str | None = None,
    time_path: str | None = None,
    time_unit: Any = None,
) -> tuple[list[Sample], str]:
    payload = Payload(raw.encode() if isinstance(raw, str) else raw)
    samples, error = payload_format(value_path, time_path, time_unit, SHANGHAI).read(payload)
    return samples, str(error or "")


def test_the_moment() -> None:
    assert MOMENT.timestamp() * 1e6 == MOMENT_US


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12.5", 12.5),
        (" 12.5\r\n", 12.5),
        ("-0.5e3", -500.0),
        ("+7", 7.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("0", 0.0),
    ],
)
def test_bare_numbers(text: str, value: float) -> None:
    assert read(text) == ([Sample(value, None)], "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "nan",
        "inf",
        "-Infinity",
        "1e999",
        "1_000",
        "0x10",
        "12,5",
        "12 5",
        "{}",
        "１２",
        "on",
    ],
)
def test_what_is_no_bare_number(text: str) -> None:
    samples, error = read(text)
    assert samples == []
    assert "allowed: a number" in error


def test_a_payload_that_is_not_utf8() -> None:
    assert read(b"\xff\xfe1\x00") == ([], "payload is not UTF-8 at byte 0")
    assert read(b"\xef\xbb\xbf12") == ([Sample(12.0, None)], "")  # a byte order mark is let pass


DOCUMENT = (
    '{"data": {"kwh": 12.5, "text": "13.5", "a.b": 3, "none": null, "yes": true, "[0]": 8},'
    ' "points": [{"v": 1}, {"v": 2}], "电量": 4, "$x": 5, "nan": NaN, "big": 1e400}'
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data.kwh", 12.5),
        ("$.data.kwh", 12.5),
        ("data['kwh']", 12.5),
        ("data.text", 13.5),
        ('data["a.b"]', 3.0),
        ('data["[0]"]', 8.0),
        ("points[0].v", 1.0),
        ("points[-1].v", 2.0),
        ("$['points'][1]['v']", 2.0),
        ("电量", 4.0),
        ("$x", 5.0),
    ],
)
def test_paths(path: str, value: float) -> None:
    assert read(DOCUMENT, path) == ([Sample(value, None)], "")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("data.kWh", "data.kWh: no 'kWh'\n  allowed: kwh, text"),
        ("points[2].v", "points[2].v: no element 2 of 2"),
        ("points[-3].v", "no element -3 of 2"),
        ("points.v", "an object"),
        ("data[0]", "an array"),
        ("data.kwh.x", "12.5 before 'x'"),
        ("data.none", "None"),
        ("data.yes", "True"),
        ("data", "is no number"),
        ("nan", "no finite number"),
        ("big", "no finite number"),
    ],
)
def test_what_is_not_at_a_path(path: str, said: str) -> None:
    samples, error = read(DOCUMENT, path)
    assert samples == []
    assert said in error


@pytest.mark.parametrize(
    "path",
    [".a", "a.", "a..b", "a[", "a[]", "a[x]", "a[0", "a]", "a[0]b", "$", "$.", "a[*][*]",
     "[*].a[*]", "a['b]", " a", "a b.", "a[0:2]", ""],
)  # fmt: skip
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_path(path)
    assert "such as data.kwh" in str(caught.value)


def test_code_is_a_name_like_any_other() -> None:
    assert parse_path("__import__('os').x").steps == ("__import__('os')", "x")


@given(st.text(max_size=20))
def test_any_path_is_read_or_refused(path: str) -> None:
    with suppress(InputError):
        assert parse_path(path).steps


@pytest.mark.parametrize("raw", ["{", "", "12.5.", "[" * 100_000, "1" * 5000])
def test_what_is_no_json(raw: str) -> None:
    samples, error = read(raw, "a")
    assert samples == []
    assert "is not JSON" in error
    assert len(error) < 400


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    for path in (None, "a", "[*].a"):
        times = "[*].t" if path == "[*].a" else None
        samples, error = payload_format(path, times, "s", SHANGHAI).read(Payload(raw))
        assert samples or error or raw.strip() == b"[]"


def test_integers_beyond_a_float_are_refused() -> None:
    with pytest.raises(InputError, match="no finite number"):
        number(10**400)


@pytest.mark.parametrize(
    ("given_time", "unit"),
    [
        (1_790_812_800, "s"),
        (1_790_812_800.0, "s"),
        ("1790812800", "s"),
        (1_790_812_800_000, "ms"),
        (MOMENT_US, "us"),
        ("2026-10-01T08:00:00", "iso"),
        ("2026-10-01 08:00:00", "iso"),
        ("2026-10-01T00:00:00Z", "iso"),
        ("2026-10-01T02:00:00.000+02:00", "iso"),
    ],
)
def test_times(given_time: object, unit: Any) -> None:
    assert time_us(given_time, unit, SHANGHAI) == MOMENT_US


def test_times_keep_their_microseconds() -> None:
    assert time_us(1_790_812_800.123456, "s", UTC) == MOMENT_US + 123456
    assert time_us("1790812800.123456", "s", UTC) == MOMENT_US + 123456
    assert time_us(1_790_812_800_123.456, "ms", UTC) == MOMENT_US + 123456
    assert time_us("2026-10-01T08:00:00.123456", "iso", SHANGHAI) == MOMENT_US + 123456


@pytest.mark.parametrize(
    ("given_time", "unit", "said"),
    [
        (1_790_812_800, "ms", "check time_unit"),
        (1_790_812_800_000, "s", "check time_unit"),
        (0, "s", "allowed: 2000 to 2099"),
        ("1999-12-31T23:59:59+00:00", "iso", "allowed: 2000 to 2099"),
        ("2100-01-01T00:00:00+00:00", "iso", "allowed: 2000 to 2099"),
        ("0001-01-01T00:00:00+14:00", "iso", "allowed"),
        ("1e999", "s", "check time_unit"),
        (1_790_812_800, "iso", "set time_unit to s, ms or us"),
        ("yesterday", "iso", "is not ISO 8601"),
        ("2026-02-30T00:00:00", "iso", "is not ISO 8601"),
        ("2026-10-01T08:00:00", "s", "is no Unix time in s"),
        (True, "s", "is no Unix time"),
        (None, "s", "is no Unix time"),
        (float("nan"), "s", "is no Unix time"),
        ({}, "iso", "is not ISO 8601"),
    ],
)
def test_what_is_no_time(given_time: object, unit: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        time_us(given_time, unit, SHANGHAI)
    assert said in str(caught.value)


def test_time_beside_the_value() -> None:
    raw = '{"kwh": 7, "at": 1790812800}'
    assert read(raw, "kwh", "at", "s") == ([Sample(7.0, MOMENT_US)], "")


def test_every_element_with_its_own_time() -> None:
    raw = '{"points": [{"v": 1, "t": 1790812800}, {"v": 2, "t": 1790812801}]}'
    samples, error = read(raw, "points[*].v", "points[*].t", "s")
    assert samples == [Sample(1.0, MOMENT_US), Sample(2.0, MOMENT_US + 1_000_000)]
    assert not error


def test_every_element_of_a_bare_array() -> None:
    raw = "[[1790812800, 1], [1790812801, 2]]"
    samples, _ = read(raw, "[*][1]", "[*][0]", "s")
    assert [sample.value for sample in samples] == [1.0, 2.0]


def test_one_bad_element_does_not_cost_the_others() -> None:
    raw = '[{"v": 1, "t": 1790812800}, {"v": null, "t": 1790812801}, {"v": 3, "t": 1790812802}]'
    samples, error = read(raw, "[*].v", "[*].t", "s")
    assert [sample.value for sample in samples] == [1.0, 3.0]
    assert "None" in error


def test_an_empty_array_holds_nothing_and_is_no_error() -> None:
    assert read("[]", "[*].v", "[*].t") == ([], "")


def test_every_element_of_what_is_no_array() -> None:
    samples, error = read('{"points": 5}', "points[*].v", "points[*].t")
    assert samples == []
    assert "5 before [*]" in error


@pytest.mark.parametrize(
    ("value_path", "time_path", "said"),
    [
        ("points[*].v", None, "the same [*] in both"),
        ("points[*].v", "t", "the same [*] in both"),
        ("v", "points[*].t", "the same [*] in both"),
        ("a[*].v", "b[*].t", "the same [*] in both"),
        (None, "t", "without value_path"),
        ("v", "t[", "cannot be read"),
    ],
)
def test_formats_that_cannot_work(value_path: str | None, time_path: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        payload_format(value_path, time_path, "s", SHANGHAI)
    assert said in str(caught.value)
