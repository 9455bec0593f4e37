"""These plants do not load, and each error says where and why: file, line and key path."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigError
from config.load import load
from tests.plants import CLINKER_ENERGY, SECTIONS, changed, write_plant

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


@dataclass(frozen=True)
class Wrong:
    """``changes`` make the plant wrong on the line of ``file`` that holds ``line``, at ``path``."""

    changes: dict[str, Any] = field(repr=False)
    line: str
    path: str
    says: tuple[str, ...]
    file: str = "plant.yaml"


def wrong_meter(meter_id: str, key: str, *says: str, **cells: str) -> Wrong:
    changes = {"meters": changed(meter_id, **cells)}
    return Wrong(
        changes,
        f"{meter_id},",
        f"meters.{meter_id}" + (f".{key}" if key else ""),
        says,
        "meters.csv",
    )


WRONG: dict[str, Wrong] = {
    # one model's own
    "unknown key": Wrong(
        {"plant": {**PLANT, "regoin": "350000"}},
        "regoin:",
        "plant.regoin",
        ("unknown key 'regoin'", "did you mean 'region'?", "month_end_day"),
    ),
    "unknown section": Wrong(
        {"qualtiy": {}}, "qualtiy:", "qualtiy", ("unknown key", "did you mean 'quality'?")
    ),
    "unknown key inside a tagged connection": Wrong(
        {"connections": {**CONNECTIONS, "gateway": {"type": "modbus_tcp", "hots": "h"}}},
        "hots:",
        "connections.gateway.hots",
        ("unknown key 'hots'", "did you mean 'host'?"),
    ),
    "missing key": Wrong(
        {"connections": {**CONNECTIONS, "gateway": {"type": "modbus_tcp"}}},
        "gateway:",
        "connections.gateway.host",
        ("'host' is missing",),
    ),
    "unknown connection type": Wrong(
        {"connections": {**CONNECTIONS, "gateway": {"type": "profinet"}}},
        "gateway:",
        "connections.gateway",
        (
            "'profinet'",
            "'modbus_tcp', 'modbus_rtu', 'dlt645', 'mqtt', 'opcua', 'folder', 'sql', 'files'",
        ),
    ),
    "connection without type": Wrong(
        {"connections": {**CONNECTIONS, "gateway": {"host": "h"}}},
        "gateway:",
        "connections.gateway",
        ("'type' is missing",),
    ),
    "number where text is wanted": Wrong(
        {"plant": {**PLANT, "region": 350000}},
        "region:",
        "plant.region",
        ("350000", "valid string", "put it in quotes"),
    ),
    "wrong id": Wrong(
        {"nodes": {**NODES, "Big Kiln": {"name": "k", "level": "process", "parent": "works"}}},
        "Big Kiln:",
        "nodes.Big Kiln",
        ("'Big Kiln'", "should match pattern"),
    ),
    "unknown time zone": Wrong(
        {"plant": {**PLANT, "timezone": "Beijing"}},
        "timezone:",
        "plant.timezone",
        ("'Beijing' is no IANA time zone", "Asia/Shanghai"),
    ),
    "credit code's check character": Wrong(
        {"plant": {**PLANT, "credit_code": "91350100M000100Y4X"}},
        "credit_code:",
        "plant.credit_code",
        ("it must be '3'",),
    ),
    "credit code's length": Wrong(
        {"plant": {**PLANT, "credit_code": "9135"}},
        "credit_code:",
        "plant.credit_code",
        ("'9135' is no credit code",),
    ),
    "number out of range": Wrong(
        {"quality": {"required_coverage_ratio": 90}},
        "required_coverage_ratio:",
        "quality.required_coverage_ratio",
        ("90", "less than or equal to 1"),
    ),
    "half a TLS pair": Wrong(
        {
            "connections": {
                **CONNECTIONS,
                "broker": {"type": "mqtt", "host": "b", "tls": {"key_file": "k"}},
            }
        },
        "tls:",
        "connections.broker.tls",
        ("cert_file and key_file go together",),
    ),
    "import without values": Wrong(
        {"imports": {"scada": {"time": {"columns": ["t"]}}}},
        "scada:",
        "imports.scada",
        ("`values`, or both `meter_column` and `value_column`",),
    ),
    # nodes
    "no root": Wrong(
        {"nodes": {**NODES, "works": {"name": "w", "level": "plant", "parent": "works"}}},
        "nodes:",
        "nodes",
        ("0 nodes without a parent (none)", "exactly one"),
    ),
    "two roots": Wrong(
        {"nodes": {**NODES, "mill": {"name": "m", "level": "process"}}},
        "nodes:",
        "nodes",
        ("2 nodes without a parent (works, mill)",),
    ),
    "unknown parent": Wrong(
        {"nodes": {**NODES, "mill": {"name": "m", "level": "process", "parent": "work"}}},
        "parent: work\n",
        "nodes.mill.parent",
        ("unknown node 'work'", "did you mean 'works'?"),
    ),
    "process under equipment": Wrong(
        {
            "nodes": {
                **NODES,
                "fan": {"name": "f", "level": "equipment", "parent": "kiln"},
                "mill": {"name": "m", "level": "process", "parent": "fan"},
            }
        },
        "parent: fan",
        "nodes.mill.parent",
        ("process 'mill' under equipment 'fan'", "plant over process over equipment"),
    ),
    "a circle": Wrong(
        {"nodes": {**NODES, "mill": {"name": "m", "level": "process", "parent": "mill"}}},
        "parent: mill",
        "nodes.mill.parent",
        ("'mill' is its own ancestor", "a tree"),
    ),
    # own factors
    "own factor of an unknown energy": Wrong(
        {"factors": [{**OWN, "energy": "raw_cole"}]},
        "energy: raw_cole",
        "factors.0.energy",
        ("unknown energy 'raw_cole'", "did you mean 'raw_coal'?"),
    ),
    "own factor in another unit": Wrong(
        {"factors": [{**OWN, "unit": "t"}]},
        "unit: t\n  kgce",
        "factors.0.unit",
        ("raw_coal is counted in kg, not 't'", "state the factor per kg"),
    ),
    "own factor below zero": Wrong(
        {"factors": [{**OWN, "kgce_per_unit": -0.7}]},
        "kgce_per_unit:",
        "factors.0.kgce_per_unit",
        ("-0.7", "greater than or equal to 0"),
    ),
    "own factor twice": Wrong(
        {"factors": [OWN, {"source": "certificate 8", **OWN}]},
        "- source:",
        "factors.1",
        ("raw_coal on basis 'both' from 2026-01-01 stands twice",),
    ),
    # products
    "output in a rate": Wrong(
        product(unit="t/h"), "unit: t/h", "products.clinker.unit", ("'t/h' is no unit of output",)
    ),
    "output in an unknown unit": Wrong(
        product(unit="ton"),
        "unit: ton",
        "products.clinker.unit",
        ("'ton' is no unit of output", "10^4 t"),
    ),
    "unknown node in a boundary": Wrong(
        product(boundary=["kilm"]),
        "boundary:",
        "products.clinker.boundary",
        ("unknown node 'kilm'", "did you mean 'kiln'?"),
    ),
    "a node inside another of the boundary": Wrong(
        product(boundary=["works", "kiln"]),
        "boundary:",
        "products.clinker.boundary",
        ("'kiln' lies inside 'works'", "count twice"),
    ),
    "a node twice in a boundary": Wrong(
        product(boundary=["kiln", "kiln"]),
        "boundary:",
        "products.clinker.boundary",
        ("'kiln' stands twice",),
    ),
    "a norm twice": Wrong(
        product(norms=[CLINKER_ENERGY, CLINKER_ENERGY]),
        "norms:",
        "products.clinker.norms",
        ("stands twice",),
    ),
    "a norm of a known standard that it does not have": Wrong(
        product(norms=["GB 16780-2021|水泥熟料|综合能耗"]),
        "norms:",
        "products.clinker.norms",
        ("unknown norm", "GB 16780-2021 has 5 rows", f"did you mean {CLINKER_ENERGY!r}?"),
    ),
    "a norm that nobody knows": Wrong(
        product(norms=["ISO"]), "norms:", "products.clinker.norms", ("kgce standards search",)
    ),
    # imports
    "import for an unknown meter": Wrong(
        {"imports": {"scada": {"time": {"columns": ["t"]}, "values": {"e-work": "x"}}}},
        "e-work: x",
        "imports.scada.values.e-work",
        ("unknown meter 'e-work'", "did you mean 'e-works'?"),
    ),
    "stamps at the start of a span that nobody states": Wrong(
        {
            "imports": {
                "scada": {"time": {"columns": ["t"], "label": "start"}, "values": {"e-works": "x"}}
            }
        },
        "label: start",
        "imports.scada.time.label",
        ("states no span of 'e-works'", "give the meter span_minutes"),
    ),
    "password of nobody": Wrong(
        {"connections": {**CONNECTIONS, "broker": {**CONNECTIONS["broker"], "password_file": "p"}}},
        "broker:",
        "connections.broker",
        ("password_file without username",),
    ),
    # meters, one model's own
    "wrong number": wrong_meter("e-kiln", "multiplier", "'60x'", multiplier="60x"),
    "infinite number": wrong_meter("e-kiln", "multiplier", "finite number", multiplier="inf"),
    "wrong register": wrong_meter(
        "e-kiln", "register", "less than or equal to 465536", register="465537"
    ),
    "wrong role": wrong_meter("e-kiln", "role", "'import'", "'input'", role="import"),
    # meters
    "meter on an unknown node": wrong_meter(
        "e-kiln", "node", "unknown node 'klin'", "did you mean 'kiln'?", node="klin"
    ),
    "meter of an unknown product": wrong_meter(
        "p-cement",
        "product",
        "unknown product 'cemant'",
        "did you mean 'cement'?",
        product="cemant",
    ),
    "meter of an unknown energy": wrong_meter(
        "c-kiln", "energy", "unknown energy 'hay'", "factors.csv", energy="hay"
    ),
    "energy whose factor is a range": wrong_meter(
        "c-kiln",
        "energy",
        "natural_gas has no single factor to standard coal (1.1 to 1.33 kgce/m3)",
        "`factors:`",
        energy="natural_gas",
        unit="m3",
    ),
    "energy without a number": wrong_meter(
        "c-kiln", "energy", "waste_fuel has no single factor", energy="waste_fuel"
    ),
    "unknown unit": wrong_meter("c-kiln", "unit", "unknown unit 'kilo'", "kg", unit="kilo"),
    "unit of another dimension": wrong_meter(
        "c-kiln", "unit", "'m3' (volume) does not convert to 'kg' (mass)", "multiplier", unit="m3"
    ),
    "gauge in an amount's unit": wrong_meter(
        "e-mill", "unit", "gauge in 'kWh'", "unit of a counter or amount", unit="kWh"
    ),
    "amount in a rate's unit": wrong_meter(
        "c-kiln", "unit", "amount in 't/h'", "unit of a gauge", unit="t/h"
    ),
    "unknown connection": wrong_meter(
        "e-kiln",
        "connection",
        "unknown connection 'gatway'",
        "did you mean 'gateway'?",
        connection="gatway",
    ),
    "counter without connection": wrong_meter(
        "e-works", "connection", "counter 'e-works' has no connection", connection=""
    ),
    # meters on Modbus
    "neither device nor register": wrong_meter(
        "e-kiln", "device", "no device and no register", device="", quantity=""
    ),
    "register without type": wrong_meter(
        "e-kiln", "type", "register 3 without a type", device="", quantity="", register="3"
    ),
    "byte order of another width": wrong_meter(
        "e-kiln",
        "order",
        "order 'ABCD' does not fit u16",
        device="",
        quantity="",
        register="3",
        type="u16",
        order="ABCD",
    ),
    "register past the end": wrong_meter(
        "e-kiln",
        "register",
        "u32 at 65535 ends past register 65535",
        device="",
        quantity="",
        register="65535",
        type="u32",
    ),
    "register beside a device": wrong_meter(
        "e-kiln", "device", "'acrel-adw300' and a register of its own", register="3"
    ),
    "modulus without rated power": wrong_meter(
        "e-works", "", "modulus needs rated_per_h", modulus="1000"
    ),
    "unknown device": wrong_meter(
        "e-kiln",
        "device",
        "unknown device 'acrel-adw301'",
        "did you mean 'acrel-adw300'?",
        device="acrel-adw301",
    ),
    "device that looks like nothing known": wrong_meter(
        "e-kiln", "device", "unknown device 'xyzzy'", "devices/xyzzy.yaml", device="xyzzy"
    ),
    "unknown quantity": wrong_meter(
        "e-kiln",
        "quantity",
        "unknown quantity of acrel-adw300 'energy'",
        "energy_import",
        quantity="energy",
    ),
    "unit unlike the register map's": wrong_meter(
        "e-kiln", "unit", "ledger says counter in 'MWh'", "counter in 'kWh'", unit="MWh"
    ),
    "kind unlike the register map's": wrong_meter(
        "e-kiln", "unit", "ledger says gauge in 'kW'", kind="gauge", unit="kW"
    ),
    # meters on MQTT
    "no topic": wrong_meter("e-mill", "topic", "needs a topic", topic=""),
    "# before the end": wrong_meter("e-mill", "topic", "no topic filter", topic="a/#/b"),
    "+ beside text": wrong_meter("e-mill", "topic", "no topic filter", topic="a/b+"),
    "amounts without their time": wrong_meter(
        "e-mill",
        "time_path",
        "would be counted twice",
        kind="amount",
        unit="kWh",
        span_minutes="15",
        time_path="",
    ),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_refuses(case: Wrong, tmp_path: Path) -> None:
    file = write_plant(tmp_path, **case.changes)
    with pytest.raises(ConfigError) as caught:
        load(file)
    text = (tmp_path / case.file).read_text(encoding="utf-8")
    assert case.line in text
    number = text[: text.index(case.line)].count("\n") + 1
    message = str(caught.value)
    assert f"{tmp_path / case.file}:{number} ({case.path}): " in message
    for fragment in case.says:
        assert fragment in message


WRONG_METERS: dict[str, tuple[dict[str, str], str]] = {
    "energy and product": ({"product": "clinker"}, "a meter has either an energy or a product"),
    "neither": ({"energy": ""}, "a meter has either an energy or a product"),
    "product with an input's role": (
        {"energy": "", "product": "clinker"},
        "role 'input' with a product; allowed: output, check",
    ),
    "amount without span": ({"kind": "amount"}, "kind amount needs span_minutes"),
    "counter with span": ({"span_minutes": "15"}, "a counter has no span_minutes"),
    "gauge with modulus": ({"kind": "gauge", "modulus": "1e6"}, "only a counter has a modulus"),
}


@pytest.mark.parametrize(("cells", "says"), WRONG_METERS.values(), ids=WRONG_METERS.keys())
def test_refuses_a_meter_that_contradicts_itself(
    cells: dict[str, str], says: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write_plant(tmp_path, meters=changed("e-works", **cells)))
    assert f"{tmp_path / 'meters.csv'}:2 (meters.e-works): {says}" in str(caught.value)
