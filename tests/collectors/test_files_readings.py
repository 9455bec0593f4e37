"""Readings from files: layouts, encodings, and what is refused."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.files import REFUSED_SCHEMA, ReadFile, read_readings
from config.errors import InputError
from config.site import Site
from config.tables import READINGS

from .file_site import mapping, site_in

NOW = datetime(2026, 11, 1, tzinfo=UTC)
MIDNIGHT = datetime(2026, 9, 30, 16, tzinfo=UTC)  # 2026-10-01 00:00 in Shanghai


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_in(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "export.csv"


def values(read: ReadFile, meter_id: str) -> list[float | None]:
    return read.rows.filter(meter_id=meter_id)["value"].to_list()


def reasons(read: ReadFile) -> list[tuple[int, str]]:
    return list(zip(read.refused["line"], read.refused["reason"], strict=True))


def test_wide(file: Path, site: Site) -> None:
    file.write_text("time,b,x,a\n2026-10-01T00:00,1.5,-,10\n2026-10-01T00:15,2.5,-,11\n")
    read = read_readings(file, mapping(), site, now=NOW)
    assert read.rows.schema == READINGS.polars_schema()
    assert read.refused.schema == REFUSED_SCHEMA
    assert read.refused.is_empty()
    assert read.digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert read.rows.filter(meter_id="a").row(0, named=True) == {
        "plant_id": "test-works",
        "meter_id": "a",
        "quantity": "energy_import",
        "time_utc": MIDNIGHT,
        "value": 10.0,
        "status": "good",
        "source": "export.csv",
        "received_utc": NOW,
        "sequence": None,
    }
    assert values(read, "b") == [1.5, 2.5]


def test_long(file: Path, site: Site) -> None:
    file.write_text(
        "meter;time;kWh\na;2026-10-01 00:00:00;1\n b ;2026-10-01 00:00:00;2\n"
        "ghost;2026-10-01 00:00:00;3\na;2026-10-01 00:15:00;4\n;2026-10-01 00:15:00;5\n"
    )
    how = mapping(meter_column="meter", value_column="kWh", delimiter=";")
    read = read_readings(file, how, site)
    assert values(read, "a") == [1.0, 4.0]
    assert values(read, "b") == [2.0]
    assert reasons(read) == [(4, "unknown meter ghost"), (6, "unknown meter ")]
    assert read.refused["text"][0] == "ghost;2026-10-01 00:00:00;3"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_encodings_and_line_ends(file: Path, site: Site, encoding: str, line_end: str) -> None:
    text = line_end.join(["时间;电量", "2026-10-01 00:00;7", "", "2026-10-01 00:15;8", ""])
    file.write_bytes(text.encode(encoding))
    how = mapping(time={"columns": ["时间"]}, values={"a": "电量"}, delimiter=";")
    read = read_readings(file, how, site)
    assert values(read, "a") == [7.0, 8.0]
    assert read.refused.is_empty()


def test_quotes(file: Path, site: Site) -> None:
    file.write_text(
        '"time","a, kWh"\n"2026-10-01 00:00","1"\n2026-10-01 00:15,2\n"2026-10-01 00:30,3\n'
        '"2026-10-01 00:45","4,5"\n"2026-10-01 01:00","5"\n'
    )
    read = read_readings(file, mapping(values={"a": "a, kWh"}), site)
    assert values(read, "a") == [1.0, 2.0, 5.0]
    assert [line for line, _ in reasons(read)] == [4, 5]
    assert "quotes" in reasons(read)[0][1]
    assert reasons(read)[1] == (5, "column 'a, kWh': 4,5 is not a number")


def test_what_is_refused_keeps_its_line_and_text(file: Path, site: Site) -> None:
    lines = [
        "time,a,b",
        "2026-10-01 00:00,1,1",
        "2026-10-01 00:15,1",  # 3
        "2026-10-01 00:30,1,1,1",  # 4
        "yesterday,1,1",  # 5
        "",
        "2026-10-01 01:15,abc,1",  # 7
        "2026-10-01 01:30,inf,1",  # 8
        "2026-10-01 01:45,1e999,1",  # 9
        "2026-13-01 02:00,1,1",  # 10
        ",1,1",  # 11
        "2026-10-01 02:15,2,2",
    ]
    file.write_text("\n".join(lines))
    read = read_readings(file, mapping(), site)
    assert reasons(read) == [
        (3, "2 columns; the header has 3"),
        (4, "4 columns; the header has 3"),
        (5, "wrong time yesterday, expected ISO 8601"),
        (7, "column 'a': abc is not a number"),
        (8, "column 'a': inf is not finite"),
        (9, "column 'a': 1e999 is not finite"),
        (10, "wrong time 2026-13-01 02:00, expected ISO 8601"),
        (11, "wrong time , expected ISO 8601"),
    ]
    assert read.refused["text"].to_list() == [lines[line - 1] for line in read.refused["line"]]
    # The good cell of a line with a wrong one stays.
    assert values(read, "a") == [1.0, 2.0]
    assert values(read, "b") == [1.0, 1.0, 1.0, 1.0, 2.0]


def test_missing_is_a_row_without_value_never_0(file: Path, site: Site) -> None:
    file.write_text("time,a,b\n2026-10-01 00:00,?,NA\n2026-10-01 00:15, ,0\n2026-10-01 00:30,-,3\n")
    read = read_readings(file, mapping(missing=["?", "", "-"]), site)
    assert values(read, "a") == [None, None, None]
    assert read.rows.filter(meter_id="a")["status"].to_list() == ["missing"] * 3
    assert values(read, "b") == [0.0, 3.0]
    assert reasons(read) == [(2, "column 'b': NA is not a number")]


def test_a_second_reading_of_one_time_is_refused(file: Path, site: Site) -> None:
    file.write_text("time,a\n2026-10-01 00:00,1\n2026-10-01 00:15,2\n2026-10-01 00:00:00,9\n")
    read = read_readings(file, mapping(values={"a": "a"}), site)
    assert values(read, "a") == [1.0, 2.0]
    assert reasons(read) == [(4, "meter a: repeats the time of line 2")]


def test_parquet_with_types(tmp_path: Path, site: Site) -> None:
    file = tmp_path / "export.parquet"
    pl.DataFrame(
        {
            "time": [datetime(2026, 10, 1, 0, minute) for minute in (0, 15, 30, 45)],  # noqa: DTZ001
            "a": [1, 2, None, 4],
            "b": [1.0, float("nan"), float("inf"), None],
        }
    ).write_parquet(file)
    read = read_readings(file, mapping(), site)
    assert values(read, "a") == [1.0, 2.0, None, 4.0]
    assert values(read, "b") == [1.0, None, None]
    assert read.rows["time_utc"].min() == MIDNIGHT
    assert reasons(read) == [(3, "column 'b': inf is not finite")]


def test_parquet_with_zone_and_unix_time(tmp_path: Path, site: Site) -> None:
    file = tmp_path / "zone.parquet"
    stamps = pl.Series([MIDNIGHT], dtype=pl.Datetime("ns", "UTC")).dt.convert_time_zone(
        "Asia/Tokyo"
    )
    pl.DataFrame({"time": stamps, "a": ["5"]}).write_parquet(file)
    read = read_readings(file, mapping(values={"a": "a"}), site)
    assert (read.rows["time_utc"][0], values(read, "a")) == (MIDNIGHT, [5.0])
    pl.DataFrame({"time": [int(MIDNIGHT.timestamp())], "a": [True]}).write_parquet(file)
    read = read_readings(file, mapping(values={"a": "a"}, time={"format": "s"}), site)
    assert reasons(read) == [(1, "column 'a': true is not a number")]


@pytest.mark.parametrize(
    ("content", "settings", "given"),
    [
        (b"", {}, "empty"),
        (b" \r\n", {}, "empty"),
        (b"time;a;b\n1;2;3\n", {}, "no column 'time'"),
        (b"time,a\n1,2\n", {}, "no column 'b'"),
        (b"time,a,b,a\n", {}, "column 'a' stands 2 times"),
        (b"time,a,b\n2026-10-01,1,\xff\xfe\n", {}, ":2: not utf-8 at byte 22"),
        (b"\xff\xfet\x00i\x00m\x00e\x00", {}, "not gb18030 at byte 0"),
        (b"PAR1 and nothing else", {}, "no Parquet file"),
        (b"time,a,b\n", {"values": {"ghost": "a"}}, "'ghost', which is not in the ledger"),
        (b"time,a,b\n2026-10-01,1,1\n", {"time": {"label": "start"}}, "'a' states no span"),
    ],
)
def test_a_wrong_file_is_an_error(
    file: Path, site: Site, content: bytes, settings: dict[str, object], given: str
) -> None:
    file.write_bytes(content)
    with pytest.raises(InputError, match=given) as caught:
        read_readings(file, mapping(**settings), site)
    assert caught.value.data == "nothing was imported"


def test_no_file(tmp_path: Path, site: Site) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_readings(tmp_path / "none.csv", mapping(), site)


def test_the_wrong_delimiter_is_asked_about(file: Path, site: Site) -> None:
    file.write_text("time;a;b\n")
    with pytest.raises(InputError) as caught:
        read_readings(file, mapping(), site)
    assert caught.value.todo == "is ',' the delimiter?"


def test_a_header_alone_is_no_reading(file: Path, site: Site) -> None:
    file.write_text("time,a,b\n")
    read = read_readings(file, mapping(), site)
    assert read.rows.is_empty()
    assert read.rows.schema == READINGS.polars_schema()
    assert read.refused.is_empty()


CELLS = st.text(st.sampled_from('0123456789.-:T ,"?\r\tx国'), max_size=12)
LINES = st.lists(st.lists(CELLS, min_size=1, max_size=4).map(",".join), max_size=12)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None
)
@given(lines=LINES)
def test_whatever_the_file_every_line_is_counted(lines: list[str], file: Path, site: Site) -> None:
    good = [f"2026-10-02 00:{number:02d},1,2" for number in range(len(lines))]
    mixed = [line for pair in zip(lines, good, strict=True) for line in pair]
    file.write_bytes("\n".join(["time,a,b", *mixed]).encode())
    read = read_readings(file, mapping(), site)
    refused = set(read.refused["line"].to_list())
    for number, line in enumerate(mixed, start=2):
        if line in good or line.strip() == "":
            assert number not in refused
    cells = read.rows.height + read.refused.filter(pl.col("reason").str.contains("column '")).height
    repeats = read.refused.filter(pl.col("reason").str.contains("repeats")).height
    whole = refused - set(
        read.refused.filter(pl.col("reason").str.contains("column '|repeats"))["line"].to_list()
    )
    filled = [line for line in mixed if line.strip()]
    assert cells + repeats == 2 * (len(filled) - len(whole))


STATUSES = "time,meter,kWh,quality\n" + "".join(
    f"2026-10-01T00:{n:02},a,{value},{status}\n"
    for n, (value, status) in enumerate(
        [("1", "Good"), ("0", "Bad"), ("2", " GOOD "), ("#N/A", "Bad"), ("", "Good"), ("3", "")]
    )
)


def test_what_the_file_says_is_not_good_has_no_value(file: Path, site: Site) -> None:
    file.write_text(STATUSES)
    how = mapping(meter_column="meter", value_column="kWh", status_column="quality")
    read = read_readings(file, how, site)
    assert read.refused.is_empty()
    assert read.rows["value"].to_list() == [1, None, 2, None, None, None]
    statuses = read.rows["status"].to_list()
    assert statuses == ["good", "flagged", "good", "flagged", "missing", "flagged"]


def test_texts_that_mean_good_are_named(file: Path, site: Site) -> None:
    file.write_text("time,a,b,qa,qb\n2026-10-01T00:00,1,2,192,0\n2026-10-01T00:15,3,4,216,192\n")
    how = mapping(status_columns={"a": "qa", "b": "qb"}, good=["192", "216"])
    read = read_readings(file, how, site)
    assert (values(read, "a"), values(read, "b")) == ([1, 3], [None, 4])
    row = read_readings(file, mapping(status_column="qa", good=["192"]), site)
    assert (values(row, "a"), values(row, "b")) == ([1, None], [2, None])
    half = read_readings(file, mapping(status_columns={"b": "qb"}, good=["192"]), site)
    assert (values(half, "a"), values(half, "b")) == ([1, 3], [None, 4])


def test_numbers_that_mean_good(tmp_path: Path, site: Site) -> None:
    file = tmp_path / "export.parquet"
    times = ["2026-10-01T00:00", "2026-10-01T00:15"]
    frame = pl.DataFrame({"time": times, "a": [1.0, 2.0], "q": [192.0, None]})
    how = mapping(values={"a": "a"}, status_column="q", good=["192"])
    for whole in (pl.Float64, pl.Int32):
        frame.with_columns(pl.col("q").cast(whole)).write_parquet(file)
        assert values(read_readings(file, how, site), "a") == [1, None]


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"good": ["ok"]}, "`good` needs"),
        ({"status_columns": {"c": "qc"}}, "allowed: a, b"),
        ({"status_columns": {"a": "qa"}, "status_column": "q"}, "either"),
        ({"status_column": "q", "good": []}, "at least 1"),
    ],
)
def test_status_keys_that_do_not_fit(keys: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        mapping(**keys)


def test_a_status_column_that_the_file_lacks(file: Path, site: Site) -> None:
    file.write_text("time,a,b\n2026-10-01T00:00,1,2\n")
    with pytest.raises(InputError, match="no column 'q'"):
        read_readings(file, mapping(status_column="q"), site)
