"""Register maps: every one of the package loads; wrong ones are refused with their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.devices import DEVICES_FOLDER, byte_order, known_devices, read_device, span
from config.errors import ConfigError
from config.register_map import WIDTH_BYTES
from config.units import AMOUNT_UNITS, RATE_UNITS

HEAD = "maker: A\nmodel: B\nsource: manual, page 3\nct_pt: primary\n"


def write_device(folder: Path, text: str) -> None:
    (folder / "devices").mkdir()
    (folder / "devices" / "a-b.yaml").write_text(HEAD + text)


def test_maps_of_the_package_were_found() -> None:
    assert len(known_devices()) >= 6
    assert len(known_devices()) == len(list(DEVICES_FOLDER.glob("*.y*ml")))


@pytest.mark.parametrize("name", known_devices())
def test_maps_of_the_package(name: str) -> None:
    device = read_device(name)
    assert device.fields
    for field in device.fields.values():
        if field.kind in ("counter", "gauge"):
            assert field.unit in (RATE_UNITS if field.kind == "gauge" else AMOUNT_UNITS)
        if field.type is not None and field.type != "string":
            assert len(span(device, field)) * 2 == WIDTH_BYTES[field.type]


RIGHT: dict[str, str] = {
    "neighbours": "fields:\n  a: {address: 0, type: f32, unit: kWh, kind: counter}\n"
    "  b: {address: 2, type: u16, unit: kW, kind: gauge}\n",
    "the same register by two functions": "fields:\n"
    "  a: {address: 0, type: f32, unit: kWh, kind: counter}\n"
    "  b: {address: 0, type: f32, unit: kWh, kind: counter, function: 4}\n",
    "the last register": "fields:\n  a: {address: 65535, type: u16, unit: kWh, kind: counter}\n",
    "a value as large as a request": "max_registers: 4\nfields:\n"
    "  a: {address: 0, type: u64, unit: kWh, kind: counter, order: GHEFCDAB}\n",
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT.keys())
def test_loads(text: str, tmp_path: Path) -> None:
    write_device(tmp_path, text)
    assert read_device("a-b", tmp_path).maker == "A"


WRONG: dict[str, tuple[str, str]] = {
    "overlap": (
        "fields:\n  a: {address: 0, type: f32, unit: kWh, kind: counter}\n"
        "  b: {address: 1, type: u16, unit: kW, kind: gauge}\n",
        "a-b.yaml:7 (fields.b): registers 1 to 1 overlap those of 'a'",
    ),
    "overlap by the stated default function": (
        "fields:\n  a: {address: 0, type: u64, unit: kWh, kind: counter, function: 3}\n"
        "  b: {address: 3, type: u16, unit: kW, kind: gauge}\n",
        "(fields.b): registers 3 to 3 overlap those of 'a'",
    ),
    "torn": (
        "max_registers: 2\nfields:\n  a: {address: 0, type: u64, unit: kWh, kind: counter}\n",
        "a-b.yaml:7 (fields.a): u64 takes 4 registers, one request of this device 2",
    ),
    "past the end": (
        "fields:\n  a: {address: 65535, type: f32, unit: kWh, kind: counter}\n",
        "(fields.a): f32 at 65535 ends past register 65535",
    ),
    "order of another width": (
        "fields:\n  a: {address: 0, type: f32, unit: kWh, kind: counter, order: BA}\n",
        "a-b.yaml:6 (fields.a.order): order 'BA' does not fit f32",
    ),
    "unknown key": (
        "fields:\n  a: {adress: 0, address: 0, type: f32, unit: kWh, kind: counter}\n",
        "(fields.a.adress): unknown key 'adress'",
    ),
    "unknown type": (
        "fields:\n  a: {address: 0, type: float, unit: kWh, kind: counter}\n",
        "(fields.a.type): 'float'",
    ),
    "no fields": ("fields: {}\n", "(fields): "),
}


@pytest.mark.parametrize(("text", "says"), WRONG.values(), ids=WRONG.keys())
def test_refuses(text: str, says: str, tmp_path: Path) -> None:
    write_device(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_device("a-b", tmp_path)
    assert says in str(caught.value)


def test_a_map_beside_plant_yaml_goes_first(tmp_path: Path) -> None:
    (tmp_path / "devices").mkdir()
    text = HEAD + "fields:\n  a: {address: 0, type: f32, unit: kWh, kind: counter}\n"
    (tmp_path / "devices" / "acrel-adw300.yaml").write_text(text)
    assert read_device("acrel-adw300", tmp_path).maker == "A"
    assert read_device("acrel-adw300").maker == "Acrel"


ORDERS = [
    (("u16", None), "AB"),
    (("u32", None), "ABCD"),
    (("i32", None, "little"), "CDAB"),
    (("f64", None, "little"), "GHEFCDAB"),
    (("f32", "BADC", "little"), "BADC"),
]


@pytest.mark.parametrize(("given", "wire"), ORDERS)
def test_byte_order(given: tuple[str, ...], wire: str) -> None:
    assert byte_order(*given) == wire


@pytest.mark.parametrize("order", ["AABB", "ABC", "abcd", "ABCDEFGH", ""])
def test_byte_order_refuses(order: str) -> None:
    with pytest.raises(ConfigError, match="does not fit u32"):
        byte_order("u32", order)
