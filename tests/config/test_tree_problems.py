"""Plants that would count energy twice do not load; each error says where and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigError
from config.load import load
from config.site import Site
from tests.plants import METERS, SECTIONS, write_plant

STEAM = "steam_low_pressure"
SOLE = {"to": STEAM, "sole_source": True}


def row(meter_id: str, node: str, energy: str = STEAM, role: str = "input", **cells: str) -> Any:
    meter = {"meter_id": meter_id, "name": meter_id, "node": node, "energy": energy, "role": role}
    unit = "kWh" if energy == "electricity" else "t"
    return {**meter, "kind": "counter", "unit": unit, "connection": "historian", **cells}


MADE, TO_KILN = row("s-made", "boiler", role="output"), row("s-kiln", "kiln")
COAL = row("c-boiler", "boiler", "raw_coal")


def plant(
    folder: Path,
    *meters: Any,
    converts: dict[str, Any] | None = None,
    ledger: Any = METERS,
    nodes: dict[str, Any] | None = None,
    **sections: Any,
) -> Site:
    boiler = {"name": "Boiler", "level": "process", "parent": "works"}
    boiler |= {"converts": converts} if converts else {}
    whole = {**SECTIONS["nodes"], "boiler": boiler, **(nodes or {})}
    return load(write_plant(folder, nodes=whole, meters=[*ledger, *meters], **sections))


def wrong(folder: Path, line: str, path: str, *says: str, **case: Any) -> None:
    """Loading fails at the line of plant.yaml or meters.csv that begins so, at the key path."""
    meters = case.pop("extra", ())
    with pytest.raises(ConfigError) as caught:
        plant(folder, *meters, **case)
    message = str(caught.value)
    places = [
        (file, number)
        for file in ("plant.yaml", "meters.csv")
        for number, text in enumerate((folder / file).read_text("utf-8").splitlines(), 1)
        if text.strip().startswith(line)
    ]
    assert any(f"{folder / file}:{number} ({path}): " in message for file, number in places), (
        message
    )
    for fragment in says:
        assert fragment in message
    assert len(caught.value.problems) == 1, message


def test_energy_made_and_used_inside_needs_a_word(tmp_path: Path) -> None:
    wrong(
        tmp_path, "works:", "nodes.works", "is made at 'boiler' and used at 'kiln'",
        "sole_source: true", extra=(COAL, MADE, TO_KILN),
    )  # fmt: skip
    assert plant(tmp_path / "sole", COAL, MADE, TO_KILN, converts=SOLE)
    assert plant(tmp_path / "bought", COAL, MADE, TO_KILN, row("s-main", "works"))
    assert plant(tmp_path / "sent out", COAL, MADE)


def test_a_sole_source_beside_a_main_meter(tmp_path: Path) -> None:
    wrong(
        tmp_path, "converts:", "nodes.boiler.converts", "the sole source", "'s-main' counts",
        extra=(COAL, MADE, TO_KILN, row("s-main", "works")), converts=SOLE,
    )  # fmt: skip
    check = row("s-main", "works", role="check")
    assert plant(tmp_path / "check", COAL, MADE, TO_KILN, check, converts=SOLE)


def test_a_maker_whose_output_nobody_meters(tmp_path: Path) -> None:
    wrong(
        tmp_path, "converts:", "nodes.boiler.converts", "how much steam_low_pressure 'boiler'",
        extra=(COAL, TO_KILN), converts=SOLE,
    )  # fmt: skip


def test_energy_that_leaves_a_process_without_a_meter(tmp_path: Path) -> None:
    nodes = {
        "line": {"name": "Line", "level": "process", "parent": "works"},
        "boiler": {"name": "B", "level": "process", "parent": "line", "converts": SOLE},
        "dryer": {"name": "D", "level": "process", "parent": "line"},
    }
    extra = (COAL, MADE, TO_KILN, row("s-dryer", "dryer"))
    wrong(tmp_path, "line:", "nodes.line", "also used at 'kiln'", extra=extra, nodes=nodes)
    out = row("s-out", "line", role="output")
    assert plant(tmp_path / "metered", *extra, out, nodes=nodes)


@pytest.mark.parametrize(
    ("converts", "key", "says"),
    [
        ({"to": "steem"}, "to", "unknown energy 'steem'"),
        ({"to": STEAM, "from": ["cole"]}, "from", "unknown energy 'cole'"),
        ({"to": STEAM, "from": [STEAM]}, "from", "made of itself"),
    ],
)
def test_converts_names_energies(
    converts: dict[str, Any], key: str, says: str, tmp_path: Path
) -> None:
    path = f"nodes.boiler.converts.{key}"
    wrong(tmp_path, f"{key}:", path, says, extra=(COAL, MADE), converts=converts)


# One reading on two paths

BRANCHES = tuple(meter for meter in METERS if meter["meter_id"] != "e-works")


def virtual(expression: str, node: str = "mill", **cells: str) -> dict[str, Any]:
    return {"v": {"name": "V", "node": node, "energy": "electricity", "expression": expression,
                  **cells}}  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "node"),
    [
        ("[e-kiln] - [e-fan]", "mill"),
        ("[e-kiln] * 0.5", "mill"),
        ("max([e-kiln], 0)", "mill"),
        ("[e-fan] + 2 * [e-kiln]", "works"),
        ("[e-kiln] + [e-fan] - [e-fan]", "kiln"),
    ],
)
def test_a_meter_counts_beside_a_virtual_one_made_of_it(
    expression: str, node: str, tmp_path: Path
) -> None:
    extra = (row("e-fan", "boiler", "electricity"),)
    case = {"virtual": virtual(expression, node), "extra": extra, "ledger": BRANCHES,
            "imports": None}  # fmt: skip
    if node == "works":  # a main meter of its own: it is the plant, and its parts are below it
        assert plant(tmp_path, *extra, **{k: v for k, v in case.items() if k != "extra"})
        return
    wrong(tmp_path, "v:", "virtual.v", "the reading of 'e-kiln' counts more than once", **case)


@pytest.mark.parametrize(
    "expression",
    [
        "[e-all] - [e-kiln]",  # the rest: together they are e-all
        "[e-all] * [e-kiln] / ([e-kiln] + [e-mill])",  # shared out by load
    ],
)
def test_what_cancels_out_and_what_shares_out_is_no_double_counting(
    expression: str, tmp_path: Path
) -> None:
    check = row("e-all", "works", "electricity", "check")
    ledger = [m for m in BRANCHES if m["meter_id"] != "e-mill"]
    mill = next(m for m in METERS if m["meter_id"] == "e-mill")
    ledger.append({**mill, "role": "check"})
    assert plant(tmp_path, check, ledger=ledger, virtual=virtual(expression), imports=None)


def test_two_virtual_meters_that_split_one(tmp_path: Path) -> None:
    check = row("e-all", "works", "electricity", "check")
    ledger = [m for m in BRANCHES if m["meter_id"] != "e-mill"]
    half = virtual("[e-all] * 0.4")
    both = half | {"w": {**half["v"], "node": "boiler", "expression": "[e-all] * 0.6"}}
    assert plant(tmp_path, check, ledger=ledger, virtual=both, imports=None)
    both["w"]["expression"] = "[e-all] * 0.7"
    wrong(
        tmp_path / "more", "w:", "virtual.w", "'v', 'w' bring it in through expressions",
        extra=(check,), ledger=ledger, virtual=both, imports=None,
    )  # fmt: skip


REGISTER = {"connection": "gateway", "unit_id": "9", "register": "40011", "type": "u32",
            "register_base": "40001"}  # fmt: skip


def test_one_register_as_two_rows_that_both_count(tmp_path: Path) -> None:
    one = row("e-one", "kiln", "electricity", **REGISTER)
    two = row(
        "e-two", "boiler", "electricity", **REGISTER | {"register": "10", "register_base": ""}
    )
    wrong(
        tmp_path, "e-two,", "meters.e-two", "the reading of 'e-one' counts more than once",
        "'e-one', 'e-two' bring it in from one register", extra=(one, two), ledger=BRANCHES,
        imports=None,
    )  # fmt: skip
    # a main meter above one of them: no sum has both
    main = row("e-main", "works", "electricity")
    assert plant(tmp_path / "main", one, two, main, ledger=BRANCHES, imports=None)
    check = {**two, "role": "check"}
    assert plant(tmp_path / "check", one, check, ledger=BRANCHES, imports=None)


def test_one_register_as_two_energies(tmp_path: Path) -> None:
    one = row("coal", "kiln", "raw_coal", **REGISTER)
    two = row("coal-2", "kiln", "washed_clean_coal", **REGISTER)
    wrong(tmp_path, "coal-2,", "meters.coal-2", "'coal' counts more than once", extra=(one, two))


def test_one_column_of_an_import_as_two_meters(tmp_path: Path) -> None:
    imports = {"scada": {"time": {"columns": ["t"]}, "values": {"e-a": "kWh", "e-b": "kWh"}}}
    extra = (row("e-a", "kiln", "electricity"), row("e-b", "kiln", "electricity"))
    wrong(
        tmp_path, "e-b,", "meters.e-b", "more than once", extra=extra, imports=imports,
        ledger=BRANCHES,
    )  # fmt: skip


def test_an_output_that_is_weighed_once_and_counted_twice(tmp_path: Path) -> None:
    belt = {**REGISTER, "energy": "", "product": "clinker", "role": "output", "unit": "t"}
    extra = (row("p-a", "kiln", **belt), row("p-b", "kiln", **belt))
    wrong(tmp_path, "p-b,", "meters.p-b", "the output of product 'clinker'", extra=extra)


# Allocations

RULE: dict[str, Any] = {"node": "boiler", "from": "2026-01-01",
                        "shares": {"clinker": 0.5, "cement": 0.5}}  # fmt: skip
POWER = row("e-boiler", "boiler", "electricity")


@pytest.mark.parametrize(
    ("rules", "path", "says"),
    [
        ([{**RULE, "node": "boyler"}], "allocations.0.node", "unknown node 'boyler'"),
        ([{**RULE, "shares": {"clinkr": 1.0}}], "allocations.0.shares", "unknown product 'clinkr'"),
        ([{**RULE, "shares": {"clinker": 0.9}}], "allocations.0", "shares sum to 0.9"),
        ([{**RULE, "output": ["clinker"]}], "allocations.0", "output and shares given"),
        ([{"node": "boiler", "from": "2026-01-01"}], "allocations.0", "no rule given"),
        ([RULE, RULE], "allocations.1", "another rule from 2026-01-01"),
        ([{**RULE, "node": "mill"}], "allocations.0.shares", "of 'mill' would count twice"),
        ([{**RULE, "node": "works"}], "allocations.0.shares", "of 'works' would count twice"),
        ([{**RULE, "energies": ["cole"]}], "allocations.0.energies", "unknown energy 'cole'"),
        (
            [{**RULE, "shares": None, "drivers": {"clinker": ["e-kin"], "cement": ["e-mill"]}}],
            "allocations.0.drivers", "unknown meter 'e-kin'",
        ),
        (
            [{**RULE, "shares": None, "drivers": {"clinker": ["e-mill"], "cement": ["e-mill"]}}],
            "allocations.0.drivers", "'e-mill' stands twice",
        ),
        (
            [{**RULE, "shares": None, "drivers": {"clinker": ["c-kiln"], "cement": ["e-mill"]}}],
            "allocations.0.drivers", "does not convert",
        ),
    ],
)  # fmt: skip
def test_rules_that_cannot_hold(
    rules: list[dict[str, Any]], path: str, says: str, tmp_path: Path
) -> None:
    rules = [{key: value for key, value in rule.items() if value is not None} for rule in rules]
    with pytest.raises(ConfigError) as caught:
        plant(tmp_path, POWER, allocations=rules)
    assert f" ({path}): " in str(caught.value)
    assert f"{tmp_path / 'plant.yaml'}:" in str(caught.value)
    assert says in str(caught.value)


def test_nested_shared_nodes(tmp_path: Path) -> None:
    pump = {"name": "Pump", "level": "equipment", "parent": "boiler"}
    with pytest.raises(ConfigError, match="'pump' lies inside 'boiler'"):
        plant(tmp_path, POWER, nodes={"pump": pump}, allocations=[RULE, {**RULE, "node": "pump"}])


def test_steam_that_is_deducted_and_never_counted(tmp_path: Path) -> None:
    extra = (COAL, MADE)
    with pytest.raises(ConfigError, match="no meter says who used it"):
        plant(tmp_path, *extra, allocations=[RULE])
    assert plant(tmp_path / "coal", *extra, allocations=[{**RULE, "energies": ["raw_coal"]}])
    assert plant(tmp_path / "users", *extra, TO_KILN, converts=SOLE, allocations=[RULE])


def test_a_reading_shared_out_and_inside_the_products_boundary(tmp_path: Path) -> None:
    main = row("e-main", "works", "electricity")
    one = row("e-one", "kiln", "electricity", **REGISTER)
    two = row("e-two", "boiler", "electricity", **REGISTER)
    ledger = [m for m in BRANCHES if m["meter_id"] != "e-kiln"]
    wrong(
        tmp_path, "e-two,", "meters.e-two", "the energy of product 'clinker'",
        extra=(main, one, two), ledger=ledger, allocations=[RULE], imports=None,
    )  # fmt: skip
