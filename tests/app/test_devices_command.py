"""`kgce devices`: the meter models there are, found by words, and shown register by register."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from app.devices import FIELDS, MAPS
from config.devices import known_devices, read_device
from tests.app.commands import Ended, done, inside

OWN = """\
maker: Own
model: Shop meter
medium: steam
source: manual, page 3
ct_pt: none
note: Ask Li.
base: 40001
max_registers: 20
groups: {slow: {interval_s: 300}}
fields:
  mass: {address: 40101, type: u32, unit: t, scale: 0.1, modulus: 1000, group: slow, kind: counter}
  flow:
    address: 40110
    type: i16
    unit: t/h
    scale_from: [{address: 40111}]
    valid: [0, 50]
    kind: gauge
  lamp: {address: 40120, type: u16, bits: [0, 3], not_available: [65535], kind: text}
  tag: {address: 40130, type: string, registers: 8, kind: text}
"""


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    """plant.yaml's place, with two maps beside it; the file itself is not needed."""
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / "own-meter.yaml").write_text(OWN, encoding="utf-8")
    (tmp_path / "devices" / "acrel-adw300.yaml").write_text(OWN, encoding="utf-8")
    return tmp_path / "plant.yaml"


def good(*arguments: str | Path, **settings: Any) -> Ended:
    ended = inside("devices", *arguments, **settings)
    assert ended.code == 0, ended
    return ended


def names(ended: Ended) -> list[str]:
    return [record["device"] for record in ended.records()]


def test_the_list_needs_no_plant(tmp_path: Path) -> None:
    ended = done("devices", "--format", "json", cwd=tmp_path)
    assert names(ended) == known_devices()
    assert ended.err == ""
    assert list(tmp_path.iterdir()) == []
    for record in ended.records():
        device = read_device(record["device"])
        assert tuple(record) == MAPS.names
        assert (record["maker"], record["model"]) == (device.maker, device.model)
        assert (record["medium"], record["ct_pt"]) == (device.medium, device.ct_pt)
        assert (record["source"], record["note"]) == (device.source, device.note)
        assert (record["quantities"], record["where"]) == (len(device.fields), "package")


def test_every_format_holds_the_same_rows(tmp_path: Path) -> None:
    for what, table in (((), MAPS), (("show", "solaredge-meter"), FIELDS)):
        records = good(*what, "--format", "json").records()
        csv_rows = good(*what, "--format", "csv").csv_rows()
        file = tmp_path / "rows.parquet"
        assert good(*what, "--format", "parquet", "-o", file).out == ""
        frame = pl.read_parquet(file)
        assert frame.schema == table.polars_schema()
        assert list(frame.iter_rows(named=True)) == records
        as_text = [{k: "" if v is None else str(v) for k, v in row.items()} for row in records]
        assert csv_rows == as_text
        assert len(good(*what).out.splitlines()) >= 2 + len(records)


def test_a_screen_in_each_language() -> None:
    english, chinese = good("--lang", "en").out, good("--lang", "zh").out
    for word in ("maker", "medium", "electricity", "primary", "Acrel"):
        assert word in english
    for word in ("厂家", "介质", "燃气", "一次侧", "无互感器", "Acrel"):
        assert word in chinese
    assert "electricity" not in chinese
    assert good(env={"LANG": "zh_CN.UTF-8"}).out == chinese
    shown = good("show", "itron-cf-echo-ii", "--lang", "zh")
    for word in ("量", "功能码", "寄存器", "累计", "瞬时", "无效值"):
        assert word in shown.out
    assert "倍率为 1" in shown.err
    assert "依据：" in shown.err


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("ACREL",), ["acrel-adl400", "acrel-adw300", "acrel-dtsd1352"]),
        (("acrel", "total_power"), ["acrel-adw300", "acrel-dtsd1352"]),
        (("燃气",), ["fox-thermal-ft2a", "fox-thermal-ft3"]),
        (("gas", "ft3"), ["fox-thermal-ft3"]),
        (("umg 604",), ["janitza-umg604"]),
        (("heat_power", "water"), ["gentos-tuf-2000m"]),
    ],
)
def test_search(words: tuple[str, ...], found: list[str]) -> None:
    assert names(good("search", *words, "--format", "json")) == found


def test_search_finds_nothing() -> None:
    ended = inside("devices", "search", "acrel", "steam", "--format", "json")
    assert (ended.code, ended.out) == (1, "[]\n")
    assert "no model fits 'acrel steam'" in ended.err


def test_show_says_what_the_map_says(plant: Path) -> None:
    ended = good("show", "own-meter", "-p", plant, "--format", "json")
    assert [tuple(record) for record in ended.records()] == [FIELDS.names] * 4
    mass, flow, lamp, tag = ({k: v for k, v in r.items() if v is not None} for r in ended.records())
    plain = {"function": 3, "scale": 1.0, "offset": 0.0}
    assert mass == plain | {
        "quantity": "mass", "kind": "counter", "unit": "t", "register": 40101, "address": 100,
        "type": "u32", "order": "ABCD", "scale": 0.1, "modulus": 1000.0, "interval_s": 300.0,
    }  # fmt: skip
    assert flow == plain | {
        "quantity": "flow", "kind": "gauge", "unit": "t/h", "register": 40110, "address": 109,
        "type": "i16", "order": "AB", "scaled_by": "10^[40111]", "valid": "0, 50",
    }  # fmt: skip
    assert lamp == plain | {
        "quantity": "lamp", "kind": "text", "register": 40120, "address": 119, "type": "u16",
        "order": "AB", "bits": "0, 3", "not_available": "65535",
    }  # fmt: skip
    assert tag == plain | {
        "quantity": "tag", "kind": "text", "register": 40130, "address": 129, "type": "string(8)",
    }  # fmt: skip
    for told in ("Own Shop meter", "multiplier 1", "≤ 20 registers", "manual, page 3", "Ask Li."):
        assert told in ended.err


@pytest.mark.parametrize("name", known_devices())
def test_show_every_model(name: str) -> None:
    ended = good("show", name, "--format", "json")
    device = read_device(name)
    assert [record["quantity"] for record in ended.records()] == list(device.fields)
    assert device.source in ended.err
    assert good("show", name, "--lang", "zh").out


def test_factors_are_told_by_their_registers() -> None:
    records = good("show", "acrel-dtsd1352", "--format", "json").records()
    told = {record["quantity"]: record["scaled_by"] for record in records}
    assert told["energy_import"] == "[141], [142]"
    assert told["ct_ratio"] is None


def test_maps_beside_plant_yaml_go_first(plant: Path) -> None:
    listed = {r["device"]: r for r in good("-p", plant, "--format", "json").records()}
    assert set(listed) == {*known_devices(), "own-meter"}
    own = {name for name, record in listed.items() if record["where"] == "plant"}
    assert own == {"own-meter", "acrel-adw300"}
    assert listed["acrel-adw300"]["maker"] == "Own"
    assert names(good("search", "蒸汽", "-p", plant, "--format", "json")) == sorted(own)


def test_a_wrong_map_is_named_with_its_line(plant: Path) -> None:
    (plant.parent / "devices" / "bad.yaml").write_text(OWN.replace("type: u32", "type: u31"))
    ended = inside("devices", "-p", plant)
    assert (ended.code, ended.out) == (2, "")
    assert "bad.yaml:11 (fields.mass.type)" in ended.err


def test_an_unknown_name() -> None:
    ended = inside("devices", "show", "acrel-dtsd1353")
    assert (ended.code, ended.out) == (2, "")
    assert "did you mean 'acrel-dtsd1352'?" in ended.err


def test_options_before_the_subcommand_are_refused() -> None:
    """They would be taken and not obeyed."""
    ended = inside("devices", "--format", "json", "show", "acrel-adw300")
    assert (ended.code, ended.out) == (2, "")
    assert "options stand behind `show`" in ended.err
