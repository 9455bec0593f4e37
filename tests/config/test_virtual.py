"""Virtual meters in plant.yaml: what loads, and what is refused with its place."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigError
from config.load import load
from config.site import Site
from config.virtual import flattened, in_order
from tests.plants import METERS, SECTIONS, changed, write_plant

MILL = {
    "name": "Mill, by difference",
    "node": "mill",
    "energy": "electricity",
    "role": "check",
    "expression": "e-works - e-kiln",
}


def virtual(**meters: dict[str, Any]) -> dict[str, Any]:
    """The section, each meter as `MILL` but for its keys; None removes one, `__` stands for -."""
    return {
        "virtual": {
            name.replace("__", "-"): {k: v for k, v in (MILL | m).items() if v is not None}
            for name, m in meters.items()
        }
    }


def loaded(folder: Path, **meters: dict[str, Any]) -> Site:
    return load(write_plant(folder, **virtual(**meters)))


def test_a_virtual_meter_is_a_row_beside_the_ledger(tmp_path: Path) -> None:
    site = loaded(tmp_path, v__mill={})
    assert [*site.plant.all_meters] == [m["meter_id"] for m in METERS] + ["v-mill"]
    assert site.plant.all_meters["v-mill"].role == "check"
    assert "v-mill" not in site.plant.meters
    assert site.amount_unit("v-mill") == "kWh"


def test_it_is_part_of_the_configuration_s_hash(tmp_path: Path) -> None:
    hashes = {
        loaded(tmp_path / str(n), v={"expression": f"e-works - e-kiln * {n}"}).config_hash
        for n in range(3)
    }
    assert len(hashes) == 3


RIGHT: dict[str, dict[str, dict[str, Any]]] = {
    "a share": {"v": {"expression": "e-works * e-kiln / (e-kiln + e-mill)"}},
    "never below zero": {"v": {"expression": "max(e-works - e-kiln, 0)"}},
    "gas to heat": {
        "v": {"energy": "heat", "expression": "c-kiln * 20.934 * 0.8", "unit": "MJ"},
    },
    "heat from a factor in GJ": {
        "v": {"energy": "heat", "expression": "c-kiln * 20.934 / 1000", "unit": "GJ"},
    },
    "a product of two others": {
        "v": {
            "energy": None, "product": "cement", "role": "output",
            "expression": "p-clinker / 0.7 + 0",
        },
    },
    "kg to t, stated and converted": {
        "v": {
            "energy": None, "product": "cement", "role": "check", "expression": "c-kiln",
            "unit": "kg",
        },
    },
    "over another, written before it": {
        "rest": {"expression": "e-works - line"},
        "line": {"expression": "e-kiln * 1.02"},
    },
    "an id in brackets": {"v": {"expression": "[e-works] - [e-kiln]"}},
}  # fmt: skip


@pytest.mark.parametrize("meters", RIGHT.values(), ids=RIGHT.keys())
def test_loads(meters: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    ledger = changed("p-clinker", connection="historian", span_minutes="15")
    site = load(write_plant(tmp_path, meters=ledger, **virtual(**meters)))
    assert {*site.plant.virtual} == {*meters}


# name: the virtual meter's keys, the key of the error, what it says
WRONG: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "unknown meter": (
        {"expression": "e-work - e-kiln"},
        "expression",
        ("character 1: unknown meter 'e-work'", "did you mean 'e-works'?"),
    ),
    "a minus without blanks": (
        {"expression": "e-works-e-kiln"},
        "expression",
        ("unknown meter 'e-works-e-kiln'",),
    ),
    "no meter at all": ({"expression": "1 + 2"}, "expression", ("no meter in it",)),
    "no expression at all": ({"expression": "main +* 2"}, "expression", ("character 7: '*'",)),
    "kWh and kg": (
        {"expression": "e-works + c-kiln"},
        "expression",
        ("character 11: kg meets kWh", "virtual meter of its own"),
    ),
    "a number for an amount": (
        {"expression": "e-works - 5"},
        "expression",
        ("a plain number meets kWh", "a number other than 0 is no amount"),
    ),
    "another dimension without a factor": (
        {"energy": "heat", "expression": "c-kiln", "unit": "MJ"},
        "unit",
        ("the expression gives kg; heat is counted in MJ", "multiply by the factor from kg"),
    ),
    "another dimension without its unit": (
        {"energy": "heat", "expression": "c-kiln * 20.9"},
        "unit",
        ("the expression gives kg; heat is counted in MJ", "state as `unit:`"),
    ),
    "a factor inside one dimension": (
        {"expression": "e-works / 1000", "unit": "MWh"},
        "unit",
        ("the expression gives kWh, not MWh", "state `unit: kWh`, without a factor"),
    ),
    "a unit of another dimension": (
        {"expression": "e-works * 2", "unit": "t"},
        "unit",
        ("'t' does not convert to 'kWh', the unit of electricity",),
    ),
    "a rate": ({"unit": "kW"}, "unit", ("'kW' is no unit of amounts",)),
    "a ratio": (
        {"expression": "e-works / e-kiln"},
        "expression",
        ("it gives a plain number, which does not add up over time",),
    ),
    "a square": (
        {"expression": "e-works * e-kiln", "unit": "kWh"},
        "expression",
        ("it gives kWh^2, which does not add up over time",),
    ),
    "nothing left": (
        {"expression": "e-works - 2 * e-works / 2"},
        "expression",
        ("every meter in it cancels out",),
    ),
    "made of itself": (
        {"expression": "e-works - v"},
        "expression",
        ("'v' is made of itself: v, which is made of v",),
    ),
    "unknown node": ({"node": "kil"}, "node", ("unknown node 'kil'", "did you mean 'kiln'?")),
    "unknown energy": (
        {"energy": "electricty"},
        "energy",
        ("unknown energy 'electricty'", "did you mean 'electricity'?"),
    ),
    "output that is imported": (
        {"energy": None, "product": "cement", "expression": "p-clinker * 2"},
        "expression",
        ("character 1: 'p-clinker' is not read: what clinker puts out is imported",),
    ),
    "energy without a factor": (
        {"energy": "natural_gas", "expression": "c-kiln * 0.7", "unit": "m3"},
        "energy",
        ("natural_gas has no single factor",),
    ),
}


def message(folder: Path, **changes: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load(write_plant(folder, **changes))
    return str(caught.value)


@pytest.mark.parametrize("name", WRONG)
def test_refuses(name: str, tmp_path: Path) -> None:
    keys, key, says = WRONG[name]
    told = message(tmp_path, **virtual(v=keys))
    lines = (tmp_path / "plant.yaml").read_text(encoding="utf-8").splitlines()
    start = lines.index("  v:")
    wanted = [n for n in range(start, len(lines)) if lines[n].startswith(f"    {key}:")]
    line = (wanted or [start])[0] + 1
    assert f"{tmp_path / 'plant.yaml'}:{line} (virtual.v.{key}): " in told
    for fragment in says:
        assert fragment in told


def test_a_circle_is_told_from_end_to_end(tmp_path: Path) -> None:
    made_of = {"a": "e-works - b", "b": "c * 2", "c": "e-kiln - a", "d": "a"}
    told = message(tmp_path, **virtual(**{key: {"expression": e} for key, e in made_of.items()}))
    (chain,) = re.findall(r"is made of itself: (.*)", told)
    circle = chain.split(", which is made of ")
    assert {*circle} == {"a", "b", "c"}
    assert circle[0] == circle[-1]
    assert all(part in made_of[whole].split() for whole, part in pairwise(circle))
    assert f"(virtual.{circle[0]}.expression): " in told


def test_a_name_that_can_be_read_in_two_ways_is_refused(tmp_path: Path) -> None:
    shared = {key: METERS[0][key] for key in METERS[0] if key not in ("meter_id", "name")}
    meters = [{"meter_id": name, "name": name, **shared} for name in ("a", "b", "a-b")]
    rest: dict[str, Any] = {"products": None, "imports": None, "meters": meters}
    sure = virtual(v={"expression": "[a-b] + a - b"})
    assert "v" in load(write_plant(tmp_path / "1", **rest, **sure)).plant.virtual
    told = message(tmp_path / "2", **rest, **virtual(v={"expression": "2 * a-b"}))
    assert "character 5: 'a-b' can be read in two ways" in told
    assert "allowed: '[a-b]' for the meter; 'a - b' for the difference" in told


def test_a_difference_written_without_blanks_is_shown_with_them(tmp_path: Path) -> None:
    meters = [dict(m) for m in METERS] + [
        {"meter_id": "main", "name": "Main", "node": "works", "energy": "electricity",
         "kind": "counter", "unit": "kWh", "connection": "historian"},
    ]  # fmt: skip
    told = message(tmp_path, meters=meters, **virtual(v={"expression": "main-e-kiln"}))
    assert "unknown meter 'main-e-kiln'" in told
    assert "'main - e-kiln'" in told


def test_an_id_that_the_ledger_has_is_refused(tmp_path: Path) -> None:
    told = message(tmp_path, **virtual(e__mill={"expression": "e-works - e-kiln"}))
    assert "(virtual.e-mill.name): 'e-mill' stands in the ledger already" in told


def test_an_expression_that_yaml_takes_for_a_list_is_refused(tmp_path: Path) -> None:
    told = message(tmp_path, **virtual(v={"expression": ["e-works"]}))
    assert "(virtual.v.expression): " in told


def test_a_wrong_meter_of_the_ledger_is_reported_where_it_stands(tmp_path: Path) -> None:
    told = message(tmp_path, meters=changed("e-kiln", energy="electricty"), **virtual(v={}))
    assert "(meters.e-kiln.energy): unknown energy" in told
    assert "virtual" not in told


def test_each_comes_after_those_that_it_is_made_of(tmp_path: Path) -> None:
    site = loaded(
        tmp_path,
        a={"expression": "b + c"},
        b={"expression": "c * 2"},
        c={"expression": "e-works * 1"},
    )
    assert in_order(site.plant.virtual) == ("c", "b", "a")


def test_weighted_sums_melt_into_one_and_what_cancels_out_is_gone() -> None:
    known = {"rest": {"main": 1.0, "line1": -1.0}}
    assert flattened({"rest": 1.0, "line1": 1.0}, known) == {"main": 1.0}
    assert flattened({"rest": 0.09, "line1": 0.3 * 0.3}, known) == {"main": 0.09}
    assert flattened({"rest": 2.0, "x": 3.0}, known, 0.5) == {"line1": -1.0, "main": 1.0, "x": 1.5}


def test_the_example_of_the_documents_loads(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"\n## Virtual meters\n.*?```yaml\n(.*?)```", page, re.DOTALL)
    shared = {"node": "works", "role": "check", "kind": "counter", "connection": "historian"}
    meters = [
        {"meter_id": name, "name": name, "energy": energy, "unit": unit, **shared}
        for name, energy, unit in (
            ("main", "electricity", "kWh"), ("line1", "electricity", "kWh"),
            ("lighting", "electricity", "kWh"), ("2-mill", "electricity", "kWh"),
            ("gas", "natural_gas", "m3"),
        )
    ]  # fmt: skip
    boiler = {"name": "Boiler", "level": "equipment", "parent": "works"}
    own = {
        "energy": "natural_gas", "unit": "m3", "kgce_per_unit": 1.2143, "source": "certificate",
        "effective_from": "2026-01-01",
    }  # fmt: skip
    file = write_plant(
        tmp_path, meters=meters, products=None, imports=None, factors=[own],
        nodes={**SECTIONS["nodes"], "boiler": boiler},
    )  # fmt: skip
    file.write_text(file.read_text(encoding="utf-8") + example, encoding="utf-8")
    assert [*load(file).plant.virtual] == ["line2", "boiler-heat", "kiln-fans"]
