"""`kgce import`: whole or not at all, each row once, every refused row kept with its line."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from unittest.mock import patch
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from app import jobs
from app.imports import import_file
from app.options import Kind
from app.sites import load_site
from config.tables import OUTPUTS, READINGS, STATEMENTS, Table
from tests.app.commands import Ended, files_below, inside, kgce
from tests.app.works import (
    CLINKER_T,
    COAL_T,
    COLUMNS,
    FIRST,
    METERS,
    PRODUCTION,
    STATED,
    counts,
    filled,
    write_readings,
    write_text,
    write_works,
)

HEADER = "product_id,start,end,qualified_quantity\n"
FIGURES = ("consumption", "indicators", "intervals", "gaps", "findings")


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    return write_works(tmp_path)


def stored(plant: Path, table: Table) -> pl.DataFrame:
    """The lake's rows of the table, in order of its key."""
    site = load_site(plant)
    return jobs.open_lake(site).scan(table, site.id).collect().sort(table.key)


def take(plant: Path, kind: str, file: Path, *options: str) -> Ended:
    return inside("import", kind, file, "-p", plant, *options)


def shown(plant: Path) -> dict[str, str]:
    """What every table of figures shows, to the byte."""
    return {what: inside("show", what, "--format", "json", "-p", plant).out for what in FIGURES}


def kept_rows(plant: Path) -> list[dict[str, str]]:
    (kept,) = (plant.parent / "data" / "refused").glob("*.csv")
    with kept.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_csv_by_its_name(plant: Path) -> None:
    file = write_readings(plant.parent / "scada-2025-09-01.csv", counts(0, 96))
    ended = take(plant, "readings", file)
    assert (ended.code, ended.out) == (0, "")
    assert f"{file}: {97 * len(COLUMNS)} rows taken, 0 known already, 0 refused\n" in ended.err
    assert "rows that differ: intervals 384, meter_periods" in ended.err
    rows = stored(plant, READINGS)
    assert rows.height == 97 * len(COLUMNS)
    assert rows["source"].unique().to_list() == [file.name]
    first = rows.filter(meter_id="e-kiln").row(0, named=True)
    assert first["time_utc"] == FIRST.replace(tzinfo=ZoneInfo("Asia/Shanghai"))
    assert (first["value"], first["status"]) == (1000.0, "good")


def test_a_parquet_file_by_the_mappings_name(plant: Path) -> None:
    times, values = zip(*counts(0, 4), strict=True)
    frame = pl.DataFrame({"time": times}).with_columns(
        pl.Series(column, [row[meter] for row in values]) for meter, column in COLUMNS.items()
    )
    frame.write_parquet(plant.parent / "export.parquet")
    ended = take(plant, "readings", plant.parent / "export.parquet", "--mapping", "scada")
    assert ended.code == 0, ended
    by_csv = write_works(plant.parent / "csv")
    take(by_csv, "readings", write_readings(by_csv.parent / "scada.csv", counts(0, 4)))
    same = ("plant_id", "meter_id", "quantity", "time_utc", "value", "status")
    assert stored(plant, READINGS).select(same).equals(stored(by_csv, READINGS).select(same))


def test_a_long_file(plant: Path) -> None:
    text = "time,meter,value\n2025-09-01 00:00,e-mill,7\n2025-09-01 00:15,e-mill,\n"
    assert take(plant, "readings", write_text(plant.parent / "long.csv", text)).code == 0
    rows = stored(plant, READINGS)
    assert rows.select("value", "status").rows() == [(7.0, "good"), (None, "missing")]


def test_which_mapping(plant: Path) -> None:
    file = write_readings(plant.parent / "other.csv", counts(0, 1))
    ended = take(plant, "readings", file)
    assert (ended.code, ended.out) == (2, "")
    assert "0 mappings of `imports:` fit the file name 'other.csv'" in ended.err
    assert "scada (scada*), long (long*)" in ended.err
    ended = take(plant, "readings", file, "--mapping", "sacda")
    assert ended.code == 2
    assert "unknown mapping 'sacda'" in ended.err
    assert not (plant.parent / "data").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"", "empty"),
        (b"\x00\x01\x02\xff\xfe", "not gb18030 at byte 3"),
        (b"PAR1 but not really PAR1", "no Parquet file that can be read"),
        (b"a,b\n1,2\n", "no column 'time'"),
    ],
)
def test_files_that_are_none(plant: Path, content: bytes | None, says: str) -> None:
    file = plant.parent / "scada.csv"
    if content is not None:
        file.write_bytes(content)
    before = files_below(plant.parent)
    ended = take(plant, "readings", file)
    assert (ended.code, ended.out) == (2, "")
    assert f"kgce: {file}:" in ended.err
    assert says in ended.err
    assert files_below(plant.parent) == before


@pytest.mark.parametrize("kind", list(Kind))
def test_twice_changes_no_figure(plant: Path, kind: Kind) -> None:
    filled(plant, days=2)
    file = plant.parent / {"readings": "scada.csv"}.get(kind.value, f"{kind.value}.csv")
    before, rows = shown(plant), {t: stored(plant, t) for t in jobs.SOURCES}
    ended = take(plant, kind.value, file)
    assert ended.code == 0
    assert ": 0 rows taken, " in ended.err
    assert "nothing changed since the last refresh" in ended.err
    assert shown(plant) == before
    assert all(stored(plant, table).equals(rows[table]) for table in jobs.SOURCES)


def test_a_second_refresh_changes_nothing_and_says_so(plant: Path) -> None:
    filled(plant, days=2)
    before = shown(plant)
    assert inside("refresh", "-p", plant).err == "nothing changed since the last refresh\n"
    forced = inside("refresh", "--force", "-p", plant)
    assert forced.code == 0
    assert forced.err.endswith("rows that differ: none\n")
    assert shown(plant) == before


def test_the_whole_in_parts_and_the_parts_in_the_whole(plant: Path) -> None:
    """Files that overlap add up to one: no reading is taken twice."""
    for first, last in ((0, 60), (40, 100), (0, 100)):
        file = write_readings(plant.parent / f"scada-{last}.csv", counts(first, last))
        ended = take(plant, "readings", file, "--no-refresh")
        assert ended.code == 0
    assert f"{file}: 0 rows taken, {101 * len(COLUMNS)} known already" in ended.err
    assert stored(plant, READINGS).height == 101 * len(COLUMNS)


BAD_SCADA = """\
time,works kWh,kiln kWh,mill kWh,t
2025-09-01 00:00,1000,1000,1000,1000

2025-09-01 00:15,1040,x,1012.5,1002
2025-09-31 00:30,1080,1050,1025,1004
2025-09-01 00:45,1120,1075
2025-09-01 01:00,1160,1100,inf,1008
2025-09-01 01:00,1160,1100,1050,1008
"""
BAD_LINES = {4: "x is not a number", 5: "wrong time", 6: "3 columns", 7: "inf is not finite"}


def test_bad_rows_leave_nothing_behind(plant: Path) -> None:
    file = write_text(plant.parent / "scada.csv", BAD_SCADA)
    ended = kgce("import", "readings", file, "-p", plant)
    assert (ended.code, ended.out) == (2, "")
    assert f"kgce: {file}:4: column 'kiln kWh': x is not a number" in ended.err
    refused = kept_rows(plant)
    assert f"0 rows taken, {len(refused)} of " in ended.err
    for line, reason in BAD_LINES.items():
        (row,) = (row for row in refused if row["line"] == str(line))
        assert reason in row["reason"]
        assert row["text"] == BAD_SCADA.splitlines()[line - 1]
    assert stored(plant, READINGS).is_empty()


def test_partial_takes_the_good_rows(plant: Path) -> None:
    file = write_text(plant.parent / "scada.csv", BAD_SCADA)
    ended = take(plant, "readings", file, "--partial")
    assert (ended.code, ended.out) == (1, "")
    rows = stored(plant, READINGS)
    refused = kept_rows(plant)
    assert f"{file}: {rows.height} rows taken, 0 known already, {len(refused)} refused" in ended.err
    # Of lines 2, 4, 7 and 8: all but the cells x and inf, and what line 8 says again of line 7.
    assert rows.height == 4 + 3 + 3 + 1
    assert {row["line"] for row in refused} == {"4", "5", "6", "7", "8"}
    again = take(plant, "readings", file, "--partial")
    assert f"0 rows taken, {rows.height} known already" in again.err
    assert stored(plant, READINGS).equals(rows)


def test_a_longer_ledger_takes_what_was_refused_before(tmp_path: Path) -> None:
    """The same file once more, after its unknown meter came into the ledger."""
    text = "time,meter,value\n2025-09-01 00:00,e-mill,7\n2025-09-01 00:00,e-new,8\n"
    file = write_text(tmp_path / "long.csv", text)
    plant = write_works(tmp_path)
    assert take(plant, "readings", file, "--partial").code == 1
    new = {**METERS[0], "meter_id": "e-new", "node": "mill"}
    write_works(tmp_path, meters=[*METERS, new])
    ended = take(plant, "readings", file)
    assert ended.code == 0
    assert f"{file}: 1 rows taken, 1 known already, 0 refused" in ended.err
    assert stored(plant, READINGS)["meter_id"].to_list() == ["e-mill", "e-new"]


def test_a_bad_file_among_good_ones(plant: Path) -> None:
    """The ones before it are taken, and their figures follow."""
    good = write_readings(plant.parent / "scada-1.csv", counts(0, 96))
    bad = write_text(plant.parent / "scada-2.csv", BAD_SCADA)
    later = write_readings(plant.parent / "scada-3.csv", counts(97, 192))
    ended = inside("import", "readings", good, bad, later, "-p", plant)
    assert (ended.code, ended.out) == (2, "")
    assert f"{good}: {97 * len(COLUMNS)} rows taken" in ended.err
    assert f"kgce: {bad}:4: " in ended.err
    assert str(later) not in ended.err
    assert stored(plant, READINGS).height == 97 * len(COLUMNS)
    day = inside("show", "consumption", "--by", "day", "--only", "mill", "-p", plant)
    assert "1,200" in day.out  # 96 quarters of 12.5 kWh


def test_statements_of_coal_with_stocks(plant: Path) -> None:
    site, _ = filled(plant)
    row = stored(plant, STATEMENTS).row(0, named=True)
    assert (row["consumed"], row["unit"]) == (COAL_T * 1000, "kg")
    assert row["opening_stock"] == 100_000
    figures = jobs.figures(site, jobs.open_lake(site), "month")
    coal = figures.consumption.filter(node_id="kiln", energy_code="raw_coal")
    assert coal["amount"].to_list() == [COAL_T * 1000]
    clinker = figures.indicators.filter(subject="clinker", indicator="unit_product_energy")
    assert clinker["denominator"].to_list() == [CLINKER_T]
    assert clinker["value"].to_list() == [pytest.approx(78.91416, rel=1e-12)]


def test_spans_that_overlap_earlier_ones_are_refused_by_their_line(plant: Path) -> None:
    """Lines are the file's own: blank ones count, and ones that were refused before."""
    write_text(plant.parent / "a.csv", f"{HEADER}clinker,2025-09-01,2025-09-10,100\n")
    assert take(plant, "production", plant.parent / "a.csv").code == 0
    text = (
        f"{HEADER}"
        "clinkr,2025-09-20,2025-09-21,1\n"
        "\n"
        "clinker,2025-09-11,2025-09-12,7\n"
        "\n"
        "clinker,2025-09-10,2025-09-10,10\n"
    )
    file = write_text(plant.parent / "b.csv", text)
    ended = take(plant, "production", file)
    assert ended.code == 2
    assert f"{file}:2: unknown product 'clinkr'" in ended.err
    assert "0 rows taken, 2 of 3 refused" in ended.err
    assert stored(plant, OUTPUTS).height == 1
    ended = take(plant, "production", file, "--partial")
    assert ended.code == 1
    assert f"{file}: 1 rows taken, 0 known already, 2 refused" in ended.err
    overlapping = kept_rows(plant)[-1]
    assert overlapping["line"] == "6"
    assert overlapping["text"] == "clinker,2025-09-10,2025-09-10,10"
    assert overlapping["reason"] == (
        "the span overlaps one of clinker entered before: "
        "2025-08-31 16:00 to 2025-09-10 16:00 (UTC, from a.csv)"
    )
    assert stored(plant, OUTPUTS)["qualified_quantity"].to_list() == [100.0, 7.0]


def test_one_line_that_overlaps_several_is_refused_once(plant: Path) -> None:
    text = f"{HEADER}clinker,2025-09-01,2025-09-02,1\nclinker,2025-09-03,2025-09-04,2\n"
    assert take(plant, "production", write_text(plant.parent / "a.csv", text)).code == 0
    file = write_text(plant.parent / "b.csv", f"{HEADER}clinker,2025-09-01,2025-09-30,9\n")
    ended = take(plant, "production", file)
    assert ended.code == 2
    assert f"{file}:2: the span overlaps" in ended.err
    assert len(kept_rows(plant)) == 1


def quantity(plant: Path) -> float:
    """Clinker of September, as its figure has it."""
    site = load_site(plant)
    rows = jobs.figures(site, jobs.open_lake(site), "month").indicators
    (found,) = rows.filter(subject="clinker", indicator="unit_product_energy")["denominator"]
    return float(found)


def test_the_last_entered_counts(plant: Path) -> None:
    """A span that is stated again corrects; a file that is imported again does not."""
    filled(plant)
    corrected = write_text(plant.parent / "corrected.csv", PRODUCTION.replace("5000", "4900"))
    ended = take(plant, "production", corrected)
    assert ended.code == 0
    assert ": 1 rows taken, 0 known already" in ended.err
    assert quantity(plant) == 4900
    ended = take(plant, "production", plant.parent / "production.csv")
    assert ": 0 rows taken, 1 known already" in ended.err
    assert quantity(plant) == 4900
    back = write_text(plant.parent / "back.csv", PRODUCTION.replace("5000", "5000.0"))
    assert ": 1 rows taken, 0 known already" in take(plant, "production", back).err
    assert quantity(plant) == 5000


def test_a_corrected_statement(plant: Path) -> None:
    site, lake = filled(plant)
    file = write_text(plant.parent / "corrected.csv", STATED.replace(",500,", ",400,"))
    assert take(plant, "statements", file).code == 0
    coal = jobs.figures(site, lake, "month").consumption.filter(energy_code="raw_coal")
    assert coal["amount"].unique().to_list() == [(COAL_T - 100) * 1000]


def test_production_of_a_metered_product_is_refused(plant: Path) -> None:
    text = f"{HEADER}clinker,2025-09-01,2025-09-01,5\ncement,2025-09-01,2025-09-01,5\n"
    file = write_text(plant.parent / "production.csv", text)
    ended = take(plant, "production", file)
    assert ended.code == 2
    assert f"{file}:3: the output of cement is metered, and would count twice" in ended.err
    assert stored(plant, OUTPUTS).is_empty()


def test_production_of_a_product_whose_meter_is_not_read(tmp_path: Path) -> None:
    """A weigher that only stands in the ledger does not stand in the way."""
    weigher = {
        "meter_id": "p-clinker", "name": "Weigher", "node": "kiln", "product": "clinker",
        "role": "output", "kind": "amount", "unit": "t",
    }  # fmt: skip
    plant = write_works(tmp_path, meters=[*METERS, weigher])
    filled(plant)
    assert quantity(plant) == CLINKER_T


def test_nothing_of_a_refused_file_shows(plant: Path) -> None:
    filled(plant, days=2)
    before = shown(plant)
    for kind, text in (
        ("production", f"{HEADER}clinker,2025-09-01,2025-09-02,1\nclinker,2025-10-01,x,1\n"),
        ("statements", STATED.replace(",500,", ",-1,")),
        ("readings", BAD_SCADA),
    ):
        file = write_text(plant.parent / f"scada-{kind}.csv", text)
        assert take(plant, kind, file).code == 2
    assert shown(plant) == before
    assert inside("refresh", "-p", plant).err == "nothing changed since the last refresh\n"


def test_who_entered_it(plant: Path) -> None:
    file = write_text(plant.parent / "p.csv", PRODUCTION)
    assert take(plant, "production", file, "--by-whom", "王工").code == 0
    assert stored(plant, OUTPUTS)["entered_by"].to_list() == ["王工"]


def test_an_account_without_a_name(plant: Path) -> None:
    site = load_site(plant)
    file = write_text(plant.parent / "p.csv", PRODUCTION)
    with patch("app.imports.getuser", side_effect=KeyError("getpwuid(): uid not found")):
        import_file(site, jobs.open_lake(site), Kind.production, file)
    assert stored(plant, OUTPUTS)["entered_by"].to_list() == [f"uid {os.getuid()}"]
