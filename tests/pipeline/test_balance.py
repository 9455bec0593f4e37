"""Mains against branches: status by hand, and planted faults that are named, or rightly are not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from config.load import load
from config.site import Site
from config.tables import BALANCES, FINDINGS
from pipeline.balance import balances
from pipeline.balance_findings import balance_findings
from tests.pipeline.by_meter import Figures, days, exact, rows
from tests.plants import write_plant

NODES: dict[str, Any] = {
    "works": {"name": "Works", "level": "plant"},
    "kiln": {"name": "Kiln", "level": "process", "parent": "works"},
    "mill": {"name": "Mill", "level": "process", "parent": "works"},
    "packing": {"name": "Packing", "level": "process", "parent": "works"},
    "whr": {"name": "Waste heat", "level": "process", "parent": "works"},
    "office": {"name": "Office", "level": "process", "parent": "works"},
}
BRANCHES = ("kiln", "mill", "packing")


def counter(meter_id: str, node: str, **cells: str) -> dict[str, str]:
    row = {"meter_id": meter_id, "name": meter_id, "node": node, "energy": "electricity"}
    return {**row, "kind": "counter", "unit": "kWh", "connection": "historian", **cells}


METERS = [
    counter("main", "works", accuracy_class="0.5S"),
    *(counter(f"e-{node}", node, accuracy_class="1") for node in BRANCHES),
]


def plant(folder: Path, meters: Sequence[dict[str, str]] = METERS, **sections: Any) -> Site:
    whole: dict[str, Any] = {"nodes": NODES, "products": None, "imports": None, **sections}
    connections = {"historian": {"type": "files"}}
    return load(write_plant(folder, meters=meters, connections=connections, **whole))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return plant(tmp_path_factory.mktemp("plant"))


def judged(site: Site, **meters: Figures) -> dict[str, Any]:
    seen = {name.replace("_", "-"): figures for name, figures in meters.items()}
    found = balances(rows("month", "2026-10", seen), site)
    assert found.schema == BALANCES.polars_schema()
    return found.row(0, named=True)


def test_the_tolerance_by_hand(site: Site) -> None:
    found = judged(
        site, main=exact(10_000.0), e_kiln=exact(6000.0), e_mill=exact(3000.0),
        e_packing=exact(950.0),
    )  # fmt: skip
    assert (found["main"], found["branches"], found["residual"]) == (10_000, 9950, 50)
    assert found["residual_ratio"] == 0.005
    want = sqrt(3) * sqrt(50**2 + 60**2 + 30**2 + 9.5**2)
    assert found["tolerance"] == pytest.approx(want)  # 146.2
    assert (found["status"], found["suspect"], found["losses"]) == ("balanced", None, 0)


@pytest.mark.parametrize(
    ("packing", "losses_ratio", "status"),
    [
        (1000.0, 0.0, "balanced"),
        (800.0, 0.0, "unbalanced"),
        (800.0, 0.02, "within_losses"),
        (600.0, 0.02, "unbalanced"),
        (1200.0, 0.02, "main_below_branches"),
    ],
)
def test_the_status(packing: float, losses_ratio: float, status: str, tmp_path: Path) -> None:
    nodes = {**NODES, "works": {**NODES["works"], "losses_ratio": losses_ratio}}
    found = judged(
        plant(tmp_path, nodes=nodes), main=exact(10_000.0), e_kiln=exact(6000.0),
        e_mill=exact(3000.0), e_packing=exact(packing),
    )  # fmt: skip
    assert found["status"] == status
    assert found["losses"] == pytest.approx(10_000 * losses_ratio)


def test_a_class_that_is_no_number_takes_the_default(tmp_path: Path) -> None:
    meters = [counter("main", "works"), counter("e-kiln", "kiln", accuracy_class="III")]
    site = plant(tmp_path, meters, balance={"default_accuracy_pct": 2.0})
    found = judged(site, main=exact(1000.0), e_kiln=exact(1000.0))
    assert found["tolerance"] == pytest.approx(20 + 20)  # no more than both limits


def test_gaps_that_can_explain_the_residual_accuse_nobody(site: Site) -> None:
    others = {"main": exact(10_000.0), "e_kiln": exact(6000.0), "e_mill": exact(3000.0)}
    # coverage is short and 0 to 400 kWh more may have passed
    gap = judged(site, **others, e_packing=(600.0, 600.0, 1000.0, 0.7))
    assert (gap["residual"], gap["low"], gap["high"], gap["status"]) == (400, 0, 400, "unknown")
    # the same, but even the most that can have passed does not explain it
    proven = judged(site, **others, e_packing=(500.0, 500.0, 600.0, 0.7))
    assert (proven["low"], proven["status"]) == (400, "unbalanced")
    unbounded = judged(site, **others, e_packing=(500.0, 500.0, None, 0.7))
    assert (unbounded["low"], unbounded["status"]) == (None, "unknown")
    dark = judged(site, **others, e_packing=(None, 0.0, None, 0.0))
    assert (dark["branches"], dark["residual"], dark["status"]) == (None, None, "unknown")
    # short coverage, though whatever passed is within the tolerance
    close = judged(site, **others, e_packing=(990.0, 990.0, 1010.0, 0.7))
    assert close["status"] == "balanced"


def test_a_meter_without_a_row_makes_it_unknown(site: Site) -> None:
    found = judged(site, main=exact(10_000.0), e_kiln=exact(6000.0), e_mill=exact(3000.0))
    assert (found["residual"], found["coverage_ratio"], found["status"]) == (None, 0, "unknown")


def test_what_is_made_recovered_sent_out_and_used_outside_production(tmp_path: Path) -> None:
    """1000 bought and 200 recovered; kiln 700, mill 300, office 120, 80 sent out."""
    meters = [
        *METERS[:3],
        counter("e-whr", "whr", role="recovered"),
        counter("e-office", "office", role="non_production"),
        counter("sold", "works", role="output"),
    ]
    found = judged(
        plant(tmp_path, meters), main=exact(1000.0), e_kiln=exact(700.0), e_mill=exact(300.0),
        e_whr=exact(200.0), e_office=exact(120.0), sold=exact(80.0),
    )  # fmt: skip
    sides = {name: found[name] for name in ("main", "inside", "branches", "aside", "residual")}
    assert sides == {"main": 1000, "inside": 200, "branches": 1000, "aside": 200, "residual": 0}
    assert found["status"] == "balanced"


def test_a_node_with_one_side_has_no_balance(tmp_path: Path) -> None:
    site = plant(tmp_path, METERS[1:])
    assert balances(rows("month", "2026-10", {"e-kiln": exact(1.0)}), site).is_empty()


# Planted faults: a month of days, each machine with a rhythm of its own.

N = 31
RNG = np.random.default_rng(20261001)
TRUTH = {
    "e-kiln": 6000 + 900 * RNG.standard_normal(N),
    "e-mill": 3000 + 700 * RNG.standard_normal(N),
    "e-packing": 1500 + 300 * RNG.standard_normal(N),
}
MAIN = sum(TRUTH.values())


def noisy(amounts: Any, pct: float, seed: int) -> list[float]:
    """Within the class: half of it as a constant error, half of it from day to day."""
    rng = np.random.default_rng(seed)
    constant = rng.uniform(-0.5, 0.5) * pct / 100
    daily = rng.uniform(-0.5, 0.5, len(amounts)) * pct / 100
    return list(amounts * (1 + constant + daily))


def month(seed: int = 1, **faulty: Any) -> pl.DataFrame:
    shown = {"main": MAIN, **TRUTH} | {name.replace("_", "-"): v for name, v in faulty.items()}
    pct = {"main": 0.5}
    amounts = {
        one: noisy(np.asarray(values), pct.get(one, 1.0), seed + n)
        for n, (one, values) in enumerate(shown.items())
    }
    return days(date(2026, 10, 1), amounts)


def month_row(found: pl.DataFrame) -> dict[str, Any]:
    return found.filter(pl.col("grain") == "month").row(0, named=True)


@pytest.mark.parametrize("seed", range(10))
def test_noise_within_the_class_accuses_nobody(site: Site, seed: int) -> None:
    found = balances(month(seed * 10), site)
    assert set(found["status"]) == {"balanced"}
    assert found["suspect"].null_count() == found.height == N + 1
    assert balance_findings(found, site).is_empty()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("meter_id", "shows", "factor", "status"),
    [
        ("e-mill", 0.5, 2.0, "unbalanced"),  # a CT of 200/5 entered as 100/5
        ("e-kiln", 2.0, 0.5, "main_below_branches"),
        ("e-packing", 1 / 3, 3.0, "unbalanced"),  # two phases of three are lost
        ("main", 2.0, 0.5, "unbalanced"),
        ("main", 0.5, 2.0, "main_below_branches"),
    ],
)
def test_a_wrong_ratio_is_named(
    site: Site, meter_id: str, shows: float, factor: float, status: str, seed: int
) -> None:
    truth = {"main": MAIN, **TRUTH}[meter_id]
    found = balances(month(seed * 10, **{meter_id.replace("-", "_"): truth * shows}), site)
    row = month_row(found)
    assert (row["status"], row["suspect"], row["suspect_cause"]) == (status, meter_id, "ratio")
    assert row["suspect_factor"] == pytest.approx(factor, rel=0.05)
    findings = balance_findings(found, site)
    assert findings.schema == FINDINGS.polars_schema()
    assert set(findings["code"]) == {f"balance.{status}", "balance.suspect_ratio"}
    named = findings.filter(pl.col("code") == "balance.suspect_ratio").row(0, named=True)
    assert named["subject"] == meter_id
    evidence = json.loads(named["evidence"])
    assert {one["meter_id"]: one["accuracy_pct"] for one in evidence["meters"]}["main"] == 0.5
    for day in evidence["days"]:
        left = day["main"] + day["inside"] - day["branches"] - day["aside"]
        assert left == pytest.approx(day["residual"])
        assert abs(left) > day["tolerance"]


@pytest.mark.parametrize("since", [10, 28])
def test_a_ratio_that_is_wrong_from_some_day_on(site: Site, since: int) -> None:
    mill = TRUTH["e-mill"] * np.where(np.arange(N) < since, 1.0, 0.5)
    found = balances(month(e_mill=mill), site)
    off = found.filter(pl.col("grain") == "day", pl.col("status") == "unbalanced")
    assert off.height == N - since
    # three days are too few to tell
    assert set(off["suspect"]) == ({"e-mill"} if since == 10 else {None})


@pytest.mark.parametrize("since", [5, 20, 30])
@pytest.mark.parametrize("meter_id", BRANCHES)
def test_a_dead_branch_is_named(site: Site, meter_id: str, since: int) -> None:
    shown = np.where(np.arange(N) < since, TRUTH[f"e-{meter_id}"], 0.0)
    shown[since - 1] *= 0.4  # it died in the morning of the day before
    found = balances(month(**{f"e_{meter_id}": shown}), site)
    off = found.filter(pl.col("status") == "unbalanced", pl.col("grain") == "day")
    assert off.height >= N - since
    assert set(off["suspect"]) == {f"e-{meter_id}"}
    assert set(off["suspect_cause"]) == {"dead"}
    (stopped,) = balance_findings(found, site).filter(pl.col("code") == "balance.suspect_dead")[
        "subject"
    ]
    assert stopped == f"e-{meter_id}"


def test_a_machine_that_rests_is_not_a_dead_meter(site: Site) -> None:
    runs = np.where(np.arange(N) % 7 < 5, 1.0, 0.0)
    packing = TRUTH["e-packing"] * runs
    found = balances(month(e_packing=packing, main=MAIN - TRUTH["e-packing"] * (1 - runs)), site)
    assert set(found["status"]) == {"balanced"}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("load", ["own rhythm", "constant", "with the plant", "only at times"])
def test_a_load_without_a_meter_accuses_nobody(site: Site, load: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    unmetered = {
        "own rhythm": 1200 + 300 * rng.standard_normal(N),
        "constant": np.full(N, 900.0),
        "with the plant": 0.08 * MAIN,
        "only at times": 1500 * (rng.uniform(size=N) < 0.4),
    }[load]
    found = balances(month(seed * 10, main=MAIN + unmetered), site)
    assert "unbalanced" in set(found["status"])
    assert found["suspect"].null_count() == found.height
    assert set(balance_findings(found, site)["code"]) == {"balance.unbalanced"}


def test_two_wrong_meters_are_not_one(site: Site) -> None:
    found = balances(month(e_mill=TRUTH["e-mill"] / 2, e_kiln=TRUTH["e-kiln"] / 2), site)
    assert month_row(found)["suspect"] is None


def test_a_machine_that_rests_on_a_day_that_is_off_is_not_a_dead_meter(site: Site) -> None:
    """A load without a meter on two days; on one of them packing rests."""
    load = np.isin(np.arange(N), (20, 25)) * 900.0
    packing = TRUTH["e-packing"] * (np.arange(N) != 20)
    main = MAIN - TRUTH["e-packing"] + packing + load
    found = balances(month(main=main, e_packing=packing), site)
    off = found.filter(pl.col("grain") == "day", pl.col("status") == "unbalanced")
    assert off["period"].to_list() == ["2026-10-21", "2026-10-26"]
    assert off["suspect"].null_count() == 2


def test_a_small_fault_is_seen_and_nobody_named(site: Site) -> None:
    """A constant load of 500 kWh a day would explain it as well as a lost phase of packing."""
    found = balances(month(e_packing=TRUTH["e-packing"] * 2 / 3), site)
    assert month_row(found)["status"] == "unbalanced"
    assert found["suspect"].null_count() == found.height


def test_branches_that_move_as_one_cannot_be_told_apart(site: Site) -> None:
    shape = 1 + 0.1 * RNG.standard_normal(N)
    truth = {"e_kiln": 6000 * shape, "e_mill": 3000 * shape, "e_packing": 1500 * shape}
    main = sum(truth.values())
    found = balances(month(main=main, **truth | {"e_mill": truth["e_mill"] / 2}), site)
    row = month_row(found)
    assert (row["status"], row["suspect"]) == ("unbalanced", None)


def test_the_same_in_any_order_of_rows(site: Site) -> None:
    given = month(e_mill=TRUTH["e-mill"] / 2)
    once = balances(given, site)
    again = balances(given.sample(fraction=1, shuffle=True, seed=7), site)
    assert once.equals(again)
    # the month alone says the same, without a name: nobody knows its days
    alone = balances(given.filter(pl.col("grain") == "month"), site)
    assert alone["residual"][0] == month_row(once)["residual"]
    assert alone["suspect"][0] is None
