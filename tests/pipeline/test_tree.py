"""Which meters make up a node's consumption, case by case, and how their bounds add up."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from config.balance import Converts
from config.models import Meter, Node
from config.node_tree import NodeTree, Parts
from config.tables import OUTPUTS
from pipeline.periods import PERIOD_SCHEMA
from pipeline.rollup import judged, node_consumption, product_output
from pipeline.tree import weights

NODES = {
    "works": Node(name="W", level="plant"),
    "kiln": Node(name="K", level="process", parent="works"),
    "mill": Node(name="M", level="process", parent="works"),
    "fan": Node(name="F", level="equipment", parent="kiln"),
}
START, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 31, tzinfo=UTC)


def meter(meter_id: str, node: str, role: str = "input") -> Meter:
    return Meter(
        meter_id=meter_id, name=meter_id, node=node, energy="electricity",
        role=role, kind="counter", unit="kWh", connection="c",
    )  # type: ignore[arg-type]  # fmt: skip


def weighed(*meters: Meter) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for row in weights(NODES, {m.meter_id: m for m in meters}).iter_rows(named=True):
        found.setdefault(row["node_id"], {})[row["meter_id"]] = row["weight"]
    return found


def test_a_main_meter_is_the_plant_and_its_branches_are_not_added() -> None:
    found = weighed(meter("main", "works"), meter("k", "kiln"), meter("m", "mill"))
    assert found == {"works": {"main": 1}, "kiln": {"k": 1}, "mill": {"m": 1}}


def test_without_a_main_meter_the_plant_is_its_branches() -> None:
    found = weighed(meter("k", "kiln"), meter("f", "fan"), meter("m", "mill"))
    assert found["works"] == {"k": 1, "m": 1}  # the fan is inside what the kiln's meter says
    assert found["fan"] == {"f": 1}


def test_an_equipment_meter_reaches_the_plant_where_nothing_is_above_it() -> None:
    assert weighed(meter("f", "fan"))["works"] == {"f": 1}


def test_use_outside_production_is_deducted_under_a_main_meter_only() -> None:
    office = meter("office", "mill", "non_production")
    assert weighed(meter("main", "works"), office)["works"] == {"main": 1, "office": -1}
    assert "mill" not in weighed(meter("main", "works"), office)
    assert weighed(meter("k", "kiln"), office)["works"] == {"k": 1}


def test_what_is_sent_out_is_deducted_and_feedstock_added() -> None:
    found = weighed(
        meter("in", "kiln"), meter("out", "kiln", "output"), meter("raw", "kiln", "feedstock")
    )
    assert found["kiln"] == found["works"] == {"in": 1, "out": -1, "raw": 1}


def test_without_feedstock_raw_material_behind_a_main_meter_is_taken_out() -> None:
    raw, deep = meter("raw", "kiln", "feedstock"), meter("deep", "fan", "feedstock")
    metered = {m.meter_id: m for m in (meter("main", "works"), meter("k", "kiln"), raw, deep)}
    tree = NodeTree(NODES, metered)
    assert tree.weights("works", "electricity") == {"main": 1}
    # what the fan takes stands in the kiln's own meter of raw material, the topmost of the branch
    assert tree.weights("works", "electricity", feedstock=False) == {"main": 1, "raw": -1}
    assert tree.weights("kiln", "electricity", feedstock=False) == {"k": 1, "deep": -1}
    only = NodeTree(NODES, {"raw": raw})
    assert only.weights("works", "electricity") == {"raw": 1}
    assert only.weights("works", "electricity", feedstock=False) == {}


def test_recovered_and_check_meters_do_not_count() -> None:
    found = weighed(
        meter("in", "kiln"), meter("whr", "kiln", "recovered"), meter("chk", "kiln", "check")
    )
    assert found["kiln"] == {"in": 1}


# A boiler and a compressor: what is made inside is not added to what made it.

BOILER = Converts(to="steam_low_pressure", sole_source=True)
STEAM_NODES = {
    "works": NODES["works"],
    "boiler": Node(name="B", level="process", parent="works", converts=BOILER),
    "kiln": NODES["kiln"],
    "mill": NODES["mill"],
    "office": Node(name="O", level="process", parent="works"),
}


def steam(meter_id: str, node: str, role: str = "input") -> Meter:
    return meter(meter_id, node, role).model_copy(update={"energy": "steam_low_pressure"})


def steam_of(nodes: dict[str, Node], *meters: Meter) -> dict[str, dict[str, int]]:
    tree = NodeTree(nodes, {m.meter_id: m for m in meters})
    found = {one: tree.weights(one, "steam_low_pressure") for one in nodes}
    return {one: weights for one, weights in found.items() if weights}


MADE = (steam("made", "boiler", "output"), steam("s-kiln", "kiln"), steam("s-mill", "mill"))


def test_steam_of_the_plants_own_boiler_counts_for_the_process_and_not_again_for_the_plant() -> (
    None
):
    """60 t made, 35 + 20 t used, 5 t lost in pipes: the plant used the boiler's coal, no steam."""
    assert steam_of(STEAM_NODES, *MADE) == {
        "boiler": {"made": -1}, "kiln": {"s-kiln": 1}, "mill": {"s-mill": 1},
    }  # fmt: skip


def test_steam_sent_out_and_used_outside_production_is_deducted() -> None:
    found = steam_of(
        STEAM_NODES, *MADE, steam("sold", "works", "output"),
        steam("heating", "office", "non_production"),
    )  # fmt: skip
    assert found["works"] == {"sold": -1, "heating": -1}


def test_with_steam_bought_beside_the_plant_is_its_main_meter() -> None:
    beside = {**STEAM_NODES, "boiler": NODES["kiln"].model_copy(update={"name": "B"})}
    bought = steam("bought", "works")
    assert steam_of(beside, *MADE, bought)["works"] == {"bought": 1}


def test_a_process_that_sends_all_out_has_its_output_deducted() -> None:
    """Sulphuric acid: nobody inside takes the steam, so it leaves the plant."""
    assert steam_of(NODES, steam("made", "kiln", "output"))["works"] == {"made": -1}


def test_outputs_below_a_nodes_own_output_are_not_deducted_again() -> None:
    nodes = {
        **NODES,
        "one": Node(name="1", level="equipment", parent="mill"),
        "two": Node(name="2", level="equipment", parent="mill"),
    }
    found = steam_of(
        nodes, steam("header", "mill", "output"), steam("b1", "one", "output"),
        steam("b2", "two", "output"),
    )  # fmt: skip
    assert found["mill"] == found["works"] == {"header": -1}


def test_nobody_can_say_what_comes_in_where_energy_is_made_and_used_below() -> None:
    unsaid = {**STEAM_NODES, "boiler": Node(name="B", level="process", parent="works")}
    known = {m.meter_id: m for m in MADE}
    assert NodeTree(unsaid, known).is_undecided("works", "steam_low_pressure")
    assert not NodeTree(STEAM_NODES, known).is_undecided("works", "steam_low_pressure")
    main = {**known, "main": steam("main", "works")}
    assert not NodeTree(unsaid, main).is_undecided("works", "steam_low_pressure")


def test_the_sides_of_a_steam_balance() -> None:
    meters = (*MADE, steam("sold", "works", "output"), steam("heating", "office", "non_production"))
    tree = NodeTree(STEAM_NODES, {m.meter_id: m for m in meters})
    parts = tree.parts("works", "steam_low_pressure")
    assert parts == Parts([], ["made"], ["s-kiln", "s-mill"], ["sold", "heating"])
    assert tree.parts("kiln", "steam_low_pressure") is None


def test_use_outside_production_behind_a_branch_is_inside_the_branch() -> None:
    meters = (
        meter("main", "works"), meter("m", "mill"), meter("office", "mill", "non_production"),
        meter("f", "fan"), meter("whr", "fan", "recovered"),
    )  # fmt: skip
    parts = NodeTree(NODES, {m.meter_id: m for m in meters}).parts("works", "electricity")
    assert parts == Parts(["main"], [], ["f", "m"], [])
    assert parts.signs == {"main": 1, "f": -1, "m": -1}


def period_rows(**meters: tuple[float | None, float, float | None, float]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (meter_id, "month", "2026-10", START, END, True, "kWh", *figures)
            for meter_id, figures in meters.items()
        ],
        schema={
            "meter_id": pl.String,
            **PERIOD_SCHEMA,
            "unit": pl.String,
            "amount": pl.Float64,
            "low": pl.Float64,
            "high": pl.Float64,
            "coverage_ratio": pl.Float64,
        },
        orient="row",
    ).select(
        "meter_id", "grain", "period", "start_utc", "end_utc", "whole", "unit", "amount", "low",
        "high", "coverage_ratio",
    )  # fmt: skip


def works(**meters: tuple[float | None, float, float | None, float]) -> dict[str, object]:
    tree = weights(
        NODES,
        {"main": meter("main", "works"), "office": meter("office", "mill", "non_production")},
    )
    (row,) = judged(node_consumption(period_rows(**meters), tree), 0.9).iter_rows(named=True)
    return {key: row[key] for key in ("amount", "low", "high", "coverage_ratio", "status")}


def test_a_deducted_meter_lowers_with_its_high_and_the_weakest_covers() -> None:
    assert works(main=(100, 98, 105, 1.0), office=(10, 8, 14, 0.95)) == {
        "amount": 90, "low": 84, "high": 97, "coverage_ratio": 0.95, "status": "complete",
    }  # fmt: skip


def test_one_unknown_amount_makes_the_sum_unknown() -> None:
    found = works(main=(100, 100, 100, 1.0), office=(None, 0, 14, 0.0))
    assert (found["amount"], found["low"], found["status"]) == (None, 86, "refused")


def test_no_bound_of_a_deducted_meter_leaves_no_lower_bound() -> None:
    found = works(main=(100, 100, 100, 1.0), office=(10, 10, None, 0.95))
    assert (found["amount"], found["low"], found["high"]) == (90, None, 90)


def test_under_the_demanded_coverage_there_is_no_figure_but_its_bounds() -> None:
    found = works(main=(100, 98, 105, 0.89), office=(10, 10, 10, 1.0))
    assert (found["amount"], found["low"], found["high"]) == (None, 88, 95)
    assert found["status"] == "refused"


def typed(*spans: tuple[int, int, float]) -> pl.LazyFrame:
    """Output of days of October: first day, day after the last, tonnes."""
    end = [datetime(2026, 10, d, tzinfo=UTC) for d in range(1, 32)]
    rows = [
        ("p", "clinker", end[a - 1], end[b - 1], t, "t", None, "s", "me", END, *[None] * 4)
        for a, b, t in spans
    ]
    return pl.LazyFrame(rows, schema=OUTPUTS.polars_schema(), orient="row")


def test_typed_output_is_spread_over_its_own_days() -> None:
    calendar = pl.DataFrame(
        [
            ("day", "2026-10-01", START, datetime(2026, 10, 2, tzinfo=UTC), True),
            ("day", "2026-10-02", datetime(2026, 10, 2, tzinfo=UTC),
             datetime(2026, 10, 3, tzinfo=UTC), True),
        ],
        schema=PERIOD_SCHEMA,
        orient="row",
    )  # fmt: skip
    none = pl.DataFrame(schema={"meter_id": pl.String, "product_id": pl.String})
    found = product_output(period_rows(), none, typed((1, 2, 10.0), (2, 4, 40.0)), calendar)
    assert found.select("quantity", "low", "high", "coverage_ratio").rows() == [
        (pytest.approx(10), 10, 10, 1),
        (pytest.approx(20), 0, 40, 1),
    ]
