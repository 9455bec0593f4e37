"""Every register map of the package against a dump of registers: tests/devices/<map>/.

dump.csv: registers as they stand in a meter, `function,address,words` with the address counted from
0 and the words in hexadecimal. expected.yaml: where the dump is from, and the value of every field;
null where the registers say that there is none.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from collectors.modbus.values import Read, read_fields
from config.devices import known_devices, read_device
from config.errors import ConfigError
from config.load import load
from config.register_map import WIDTH_BYTES, Device, DeviceField, ScaleSource
from tests.app.commands import inside
from tests.plants import SECTIONS, write_plant

FOLDER = Path(__file__).parents[1] / "devices"
DUMPED = sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir())
MODBUS = [
    name
    for name in known_devices()
    if any(field.address is not None for field in read_device(name).fields.values())
]
NEWEST = 16_777_218  # a whole number above 2 to the 24 that 32-bit floats still have


def dumped_registers(name: str) -> dict[tuple[int, int], str]:
    """The words of a dump by function and address."""
    words: dict[tuple[int, int], str] = {}
    with (FOLDER / name / "dump.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            first = int(row["function"]), int(row["address"])
            for place, word in enumerate(row["words"].split()):
                key = first[0], first[1] + place
                assert len(word) == 4, f"{name}: {word!r} is no word of 16 bits"
                assert key not in words, f"{name}: register {key} stands twice"
                words[key] = word
    return words


def reader(words: dict[tuple[int, int], str]) -> Read:
    """Reads the dump as a meter would answer; KeyError for a register that it does not have."""
    return lambda function, address, count: bytes.fromhex(
        "".join(words[function, register] for register in range(address, address + count))
    )


def expectation(name: str) -> dict[str, Any]:
    text = (FOLDER / name / "expected.yaml").read_text(encoding="utf-8")
    expected = YAML(typ="safe").load(text)
    assert isinstance(expected, dict)
    return expected


def test_every_map_has_a_dump() -> None:
    assert MODBUS == DUMPED


def test_how_many_models_there_are() -> None:
    media: Counter[str] = Counter(read_device(name).medium for name in MODBUS)
    assert len(MODBUS) >= 25
    assert media["electricity"] >= 15
    for medium, fewest in {"water": 3, "gas": 2, "heat": 3}.items():
        assert media[medium] >= fewest, medium


@pytest.mark.parametrize("name", DUMPED)
def test_the_map_reads_the_dump(name: str) -> None:
    expected = expectation(name)["fields"]
    found = read_fields(read_device(name), reader(dumped_registers(name)))
    assert list(found) == list(read_device(name).fields)
    assert sorted(expected) == sorted(found), "a field without an expectation, or the reverse"
    for field, value in expected.items():
        if isinstance(value, int | float):
            assert found[field] == pytest.approx(value, rel=1e-12, abs=0), field
        else:
            assert found[field] == value, field


@pytest.mark.parametrize("name", DUMPED)
def test_the_dump_says_where_it_is_from(name: str) -> None:
    expected = expectation(name)
    assert set(expected) == {"dump", "about", "fields"}
    assert expected["dump"] in ("recorded", "constructed", "mixed")
    assert expected["about"].strip()


def test_the_dumps_hold_the_awkward_cases() -> None:
    """Without these the comparison above would prove little."""
    values = {(name, f): v for name in DUMPED for f, v in expectation(name)["fields"].items()}
    numbers = [v for v in values.values() if isinstance(v, int | float)]
    assert min(numbers) < 0
    assert NEWEST in numbers
    assert max(numbers) > 2**32
    assert None in values.values()
    assert any(isinstance(value, str) for value in values.values())
    recorded = [name for name in DUMPED if expectation(name)["dump"] != "constructed"]
    assert recorded


@pytest.mark.parametrize("name", MODBUS)
def test_every_register_of_a_number_counts(name: str) -> None:
    """Another word gives another value, or none, in the fields that hold it, and only there."""
    device, words = read_device(name), dumped_registers(name)
    before = read_fields(device, reader(words))
    numbers = {field for field, value in before.items() if isinstance(value, int | float)}
    seen = 0
    for register, word in words.items():
        touched = {f for f in before if register in registers_of(device, f)}
        other = f"{int(word, 16) ^ 0x4141:04X}"
        after = read_fields(device, reader({**words, register: other}))
        changed = {f for f in before if repr(after[f]) != repr(before[f])}
        assert touched & numbers <= changed <= touched
        seen += bool(touched & numbers)
    assert seen


def registers_of(device: Device, name: str) -> set[tuple[int, int]]:
    """Registers that a field is made of, those of its scales included."""
    field = device.fields[name]
    sources: tuple[DeviceField | ScaleSource, ...] = (field, *field.scale_from)
    taken: set[tuple[int, int]] = set()
    for source in sources:
        assert source.address is not None
        assert source.type is not None
        text = field.registers if field.type == "string" else None
        first, length = source.address - device.base, text or WIDTH_BYTES[source.type] // 2
        function = device.function_of(source.function)
        taken |= {(function, register) for register in range(first, first + length)}
    return taken


GAS_FACTOR = {
    "energy": "natural_gas",
    "unit": "m3",
    "kgce_per_unit": 1.2143,
    "effective_from": "2026-01-01",
    "source": "certificate 7",
}
ENERGIES = {"electricity": "electricity", "heat": "heat", "gas": "natural_gas"}
# Fresh water is accounted in tonnes: the density is the multiplier, and the unit the one behind it.
WATER_UNITS = {"m3": "t", "m3/h": "t/h", "L/h": "kg/h"}


def ledger(only: str | None = None, **cells: str) -> list[dict[str, str]]:
    """A meter for each counter and gauge of each map; ``cells`` change those of map ``only``."""
    rows = []
    for unit_id, name in enumerate(MODBUS, start=1):
        device = read_device(name)
        for quantity, field in device.fields.items():
            if field.unit is None:
                continue
            is_water = device.medium in ("water", "heat") and field.unit in WATER_UNITS
            row = {
                "meter_id": f"{name}-{quantity}".replace("_", "-"),
                "name": f"{device.maker} {device.model}",
                "node": "kiln",
                "energy": "water_fresh" if is_water else ENERGIES.get(device.medium, "heat"),
                "kind": field.kind,
                "unit": WATER_UNITS[field.unit] if is_water else field.unit,
                "multiplier": "0.998" if is_water else "",
                "connection": "gateway",
                "unit_id": str(unit_id),
                "device": name,
                "quantity": quantity,
                "role": "check",
                "rated_per_h": "100000",
            }
            rows.append({**row, **cells} if name == only else row)
    return rows


def plant_with(folder: Path, meters: list[dict[str, str]]) -> Path:
    return write_plant(
        folder,
        meters=meters,
        products=None,
        factors=[GAS_FACTOR],
        imports=None,
        connections={"gateway": SECTIONS["connections"]["gateway"]},
    )


def test_a_plant_with_every_model_passes_the_check(tmp_path: Path) -> None:
    meters = ledger()
    plant = plant_with(tmp_path, meters)
    assert {row["device"] for row in meters} == set(MODBUS)
    assert len(load(plant).plant.meters) == len(meters)
    ended = inside("check", "-p", plant)
    assert ended.code == 0, ended
    assert f"{len(meters)} meters" in ended.out


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("siemens-pac4200", {"kind": "counter", "unit": "MWh"}),  # the same dimension
        ("siemens-mag6000", {"kind": "counter", "unit": "t", "multiplier": ""}),  # no density
        ("siemens-mag6000", {"kind": "gauge", "unit": "t/h"}),  # a counter is no rate
    ],
)
def test_a_unit_that_is_not_the_maps_is_refused(
    name: str, cells: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=rf"{name} gives \w+ as counter in '(kWh|m3)'"):
        load(plant_with(tmp_path, ledger(name, **cells)))
