"""`kgce standards`: what a person sees of the library."""

from __future__ import annotations

from pathlib import Path

from tests.app.commands import inside
from tests.app.works import write_works

NORM = "GB 16780-2021|水泥熟料|单位产品综合能耗"
OWN = {
    "standard": "GB 16780-2021", "product": "水泥熟料", "indicator": "单位产品综合能耗",
    "unit": "kgce/t", "level3": 110, "effective_from": "2027-01-01", "source": "annex, page 4",
}  # fmt: skip


def test_every_standard_is_listed() -> None:
    listed = inside("standards", "list", "--format", "json")
    assert listed.code == 0, listed.err
    rows = {(row["standard"], row["title_zh"]): row for row in listed.records()}
    assert len([standard for standard, _ in rows if standard.startswith("GB ")]) >= 62
    assert rows["GB 16780-2021", "水泥单位产品能源消耗限额"]["rows"] == 5
    assert rows["发改产业〔2023〕723号", "能效标杆水平和基准水平"]["rows"] == 72


def test_a_standard_is_shown_with_its_levels() -> None:
    shown = inside("standards", "show", "GB 16780-2021", "--format", "json")
    levels = {row["id"]: row["levels"] for row in shown.records()}
    assert levels[NORM] == "100 / 107 / 117"
    one = inside("standards", "show", NORM, "--lang", "zh")
    assert "100 / 107 / 117" in one.out


def test_what_is_not_there() -> None:
    unknown = inside("standards", "show", "GB 99999")
    assert unknown.code == 2
    assert "kgce standards search" in unknown.err
    nothing = inside("standards", "search", "水泥", "no-such-word")
    assert (nothing.code, nothing.out) == (1, "")


def test_search_takes_every_word_of_any_column() -> None:
    found = inside("standards", "search", "熟料", "综合能耗", "--format", "json").records()
    assert {row["kind"] for row in found} == {"norm", "benchmark"}
    assert all("熟料" in row["id"] for row in found)
    upper, lower = (inside("standards", "search", word).out for word in ("CLINKER", "clinker"))
    assert upper == lower != ""


def test_check_finds_nothing_wrong_and_says_what_is_not_known() -> None:
    checked = inside("standards", "check", "--format", "json")
    assert checked.code == 0, checked.err
    assert ": 0 in error, " in checked.err
    assert int(checked.err.split()[0]) >= 1480  # rows of every file
    assert {row["severity"] for row in checked.records()} == {"note"}


def test_a_plants_own_row_goes_before_ours(tmp_path: Path) -> None:
    plant = write_works(tmp_path, norms=[OWN])
    (row,) = inside("standards", "show", NORM, "-p", plant, "--format", "json").records()
    assert (row["levels"], row["note"]) == ("– / – / 110", "annex, page 4")


def test_own_rows_that_say_nothing_or_twice(tmp_path: Path) -> None:
    empty = {name: value for name, value in OWN.items() if name != "level3"}
    plant = write_works(tmp_path, norms=[OWN, OWN, empty])
    refused = inside("check", "-p", plant)
    assert refused.code == 2
    assert "stands twice" in refused.err
    assert "has no level" in refused.err
