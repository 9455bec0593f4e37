"""plant.yaml and the ledger: these load. Those that do not stand in test_problems.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigError
from config.load import load
from tests.plants import METERS, SECTIONS, changed, write_plant

NODES: dict[str, Any] = SECTIONS["nodes"]
PRODUCTS: dict[str, Any] = SECTIONS["products"]
CONNECTIONS: dict[str, Any] = SECTIONS["connections"]
PLANT: dict[str, Any] = SECTIONS["plant"]
OWN: dict[str, Any] = {
    "energy": "raw_coal",
    "unit": "kg",
    "kgce_per_unit": 0.71,
    "effective_from": "2026-01-01",
    "source": "certificate 7",
}


def product(**keys: Any) -> dict[str, Any]:
    return {"products": {**PRODUCTS, "clinker": {**PRODUCTS["clinker"], **keys}}}


RIGHT: dict[str, dict[str, Any]] = {
    "as it is": {},
    "no products": {"products": None, "meters": [m for m in METERS if "product" not in m]},
    "no imports": {"imports": None},
    "own factors of one energy, two bases and two dates": {
        "factors": [
            {**OWN, "basis": "calorific"},
            {**OWN, "basis": "equivalent"},
            {**OWN, "basis": "calorific", "effective_from": "2027-01-01"},
        ]
    },
    "natural gas with the plant's own factor": {
        "factors": [{**OWN, "energy": "natural_gas", "unit": "m3", "kgce_per_unit": 1.2143}],
        "meters": changed("c-kiln", energy="natural_gas", unit="m3"),
    },
    "statistical month": {"plant": {**PLANT, "month_end_day": 25}},
    "credit code": {"plant": {**PLANT, "credit_code": "91350100M000100Y43"}},
    "TLS with the system's authorities": {
        "connections": {**CONNECTIONS, "broker": {"type": "mqtt", "host": "b", "tls": {}}}
    },
    "output counted in square metres": {
        **product(unit="m2", norms=[]),
        "meters": changed("p-clinker", unit="m2"),
    },
    "a register without a map": {
        "meters": changed("e-kiln", device="", quantity="", register="10", type="f32", order="CDAB")
    },
    "a rate where the ledger says gauge": {"meters": changed("e-mill", unit="MW")},
    "MQTT wildcards": {"meters": changed("e-mill", topic="works/+/power/#")},
    "limits of 0 and 1": {"quality": {"required_coverage_ratio": 0}},
}


@pytest.mark.parametrize("changes", RIGHT.values(), ids=RIGHT.keys())
def test_loads(changes: dict[str, Any], tmp_path: Path) -> None:
    site = load(write_plant(tmp_path, **changes))
    assert site.id == "works"
    assert site.folder == tmp_path
    assert site.storage_path == tmp_path / "data"


def test_all_problems_at_once(tmp_path: Path) -> None:
    file = write_plant(tmp_path, meters=changed("e-kiln", node="x"), **product(boundary=["y"]))
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert len(caught.value.problems) == 2
    assert all(str(problem) in str(caught.value) for problem in caught.value.problems)


def test_inline_meters_take_their_key_as_id(tmp_path: Path) -> None:
    meter = {"name": "m", "node": "works", "energy": "raw_coal", "kind": "amount", "unit": "t"}
    keep = {"products": None, "imports": None}
    site = load(write_plant(tmp_path, **keep, meters=METERS[:1]))
    assert list(site.plant.meters) == ["e-works"]
    text = (tmp_path / "plant.yaml").read_text(encoding="utf-8")
    inline = ", ".join(f"{key}: {value}" for key, value in meter.items())
    changed_text = text.replace("meters: meters.csv", f"meters: {{coal: {{{inline}}}}}")
    (tmp_path / "plant.yaml").write_text(changed_text, encoding="utf-8")
    assert load(tmp_path / "plant.yaml").plant.meters["coal"].meter_id == "coal"
    twisted = changed_text.replace("{name: m", "{meter_id: cool, name: m")
    (tmp_path / "plant.yaml").write_text(twisted, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"key 'coal' holds 'cool'"):
        load(tmp_path / "plant.yaml")


def test_hash_changes_with_what_is_configured_and_with_nothing_else(tmp_path: Path) -> None:
    first = load(write_plant(tmp_path / "a")).config_hash
    assert load(write_plant(tmp_path / "b")).config_hash == first
    with_comment = tmp_path / "b" / "plant.yaml"
    with_comment.write_text("# a comment\n" + with_comment.read_text(encoding="utf-8"))
    assert load(with_comment).config_hash == first
    differing: dict[str, dict[str, Any]] = {
        "setting": {"quality": {"gap_factor": 4}},
        "ledger": {"meters": changed("e-kiln", multiplier="60")},
        "own factor": {"factors": [OWN]},
    }
    for name, changes in differing.items():
        assert load(write_plant(tmp_path / name, **changes)).config_hash != first, name
    own_map = tmp_path / "b" / "devices" / "acrel-adw300.yaml"
    own_map.parent.mkdir()
    own_map.write_text(
        "{maker: A, model: B, source: s, ct_pt: primary, fields: "
        "{energy_import: {address: 1, type: u32, unit: kWh, kind: counter}}}"
    )
    assert load(with_comment).config_hash != first


def test_interval_of_a_meter_is_the_nearest_that_is_stated(tmp_path: Path) -> None:
    gateway = {**CONNECTIONS["gateway"], "interval_s": 5}
    site = load(
        write_plant(
            tmp_path,
            connections={**CONNECTIONS, "gateway": gateway},
            meters=changed("e-mill", interval_s="7"),
            intervals={"poll_s": 30},
        )
    )
    seconds = {key: site.plant.interval_s(meter) for key, meter in site.plant.meters.items()}
    assert (seconds["e-mill"], seconds["e-kiln"], seconds["e-works"]) == (7, 5, 30)


def test_amounts_are_in_the_unit_of_the_energy_or_the_product(tmp_path: Path) -> None:
    site = load(write_plant(tmp_path))
    assert [site.amount_unit(m) for m in ("e-mill", "c-kiln", "p-cement")] == ["kWh", "kg", "t"]


def test_a_ledger_may_state_the_function_and_a_mapping_the_tab(tmp_path: Path) -> None:
    cells = {"device": "", "quantity": "", "register": "3", "type": "u32", "function": "4"}
    mapping = {"time": {"columns": ["t"]}, "values": {"e-works": "x"}, "delimiter": "\t"}
    plant = load(
        write_plant(tmp_path, meters=changed("e-kiln", **cells), imports={"scada": mapping})
    ).plant
    assert plant.meters["e-kiln"].function == 4
    assert plant.imports["scada"].delimiter == "\t"
