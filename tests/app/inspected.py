"""Simulated plants for supervision: a cement works' November, with faults and honest troubles.

What flows is drawn from a seed. A trouble changes registers, the ledger, or what people do later;
each knows which checks it must be found by.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from app import jobs
from app.imports import import_file
from app.options import Kind
from app.sites import load_site
from tests.app.commands import inside
from tests.plants import CLINKER_ENERGY, write_plant

PERIOD = "2025-11"
FIRST = datetime(2025, 11, 1)  # noqa: DTZ001 - as the files write it: local time of the plant
QUARTERS = 31 * 96  # with the first day of December, so that November can be closed
BASELINE = "发改产业〔2023〕723号|水泥熟料|单位产品综合能耗"
ELECTRICITY, COAL = 0.1229, 714.3  # kgce per kWh and t
RATED = {"e-works": 6000, "e-kiln": 4500, "e-mill": 1500, "c-kiln": 20, "p-clinker": 150}
UNITS = {"e-works": "kWh", "e-kiln": "kWh", "e-mill": "kWh", "c-kiln": "t", "p-clinker": "t"}
NODES = {"e-works": "works", "e-kiln": "kiln", "e-mill": "mill", "c-kiln": "kiln",
         "p-clinker": "kiln"}  # fmt: skip

Found = set[tuple[str, str]]
"""Check and subject."""


@dataclass
class Works:
    """One plant in the making: what flows in each quarter of an hour, and what the meters say."""

    seed: int
    kgce_per_t: tuple[float, float] = (103.0, 114.0)
    random: random.Random = field(init=False)
    flows: dict[str, list[float]] = field(init=False)
    shown: dict[str, list[float | None]] = field(default_factory=dict)
    cells: dict[str, dict[str, str]] = field(default_factory=dict)
    sections: dict[str, Any] = field(default_factory=dict)
    supervision: dict[str, Any] = field(default_factory=dict)
    metering: dict[str, Any] = field(default_factory=dict)
    equipment: dict[str, Any] = field(default_factory=dict)
    targets: list[dict[str, Any]] = field(default_factory=list)
    more: list[dict[str, str]] = field(default_factory=list)
    later: list[Callable[[Path], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def flow(self, stop: tuple[int, int] = (0, 0)) -> None:
        """What passes in each quarter; the kiln stands on the days from and to ``stop``."""
        draw = self.random
        rate, per_t = draw.uniform(18.0, 24.0), draw.uniform(26.0, 33.0)
        coal = (draw.uniform(*self.kgce_per_t) - per_t * ELECTRICITY) / COAL
        made = [
            0.0 if stop[0] <= n // 96 + 1 < stop[1] else rate * draw.uniform(0.9, 1.1)
            for n in range(QUARTERS)
        ]
        kiln = [t * per_t * draw.uniform(0.98, 1.02) for t in made]
        mill = [draw.uniform(150.0, 300.0) for _ in made]
        self.flows = {
            "p-clinker": made,
            "c-kiln": [t * coal for t in made],
            "e-kiln": kiln,
            "e-mill": mill,
            "e-works": [
                (a + b) * draw.uniform(0.998, 1.002) for a, b in zip(kiln, mill, strict=True)
            ],
        }

    def read(self) -> None:
        """Registers from the flows, in hundredths."""
        for meter_id, amounts in self.flows.items():
            total = self.random.uniform(1000.0, 90000.0)
            self.shown[meter_id] = [round(total, 2)]
            for amount in amounts:
                total += amount
                self.shown[meter_id].append(round(total, 2))

    def write(self, folder: Path) -> Path:
        """plant.yaml and ledger."""
        meters = [
            {
                "meter_id": meter_id, "name": meter_id, "node": NODES[meter_id], "kind": "counter",
                "connection": "historian", "unit": unit, "rated_per_h": str(RATED[meter_id]),
                "accuracy_class": "0.5", "calibrated_on": "2025-03-01",
                "calibration_due": "2026-03-01",
                "energy": {"kWh": "electricity", "t": "raw_coal"}[unit],
                **self.cells.get(meter_id, {}),
            }
            for meter_id, unit in UNITS.items()
        ]  # fmt: skip
        of_product = self.cells.get("p-clinker", {}).get("product", "clinker")
        meters[-1] |= {"energy": "", "product": of_product, "role": "output"}
        meters += self.more
        sections: dict[str, Any] = {
            "connections": {"historian": {"type": "files"}},
            "products": {
                "clinker": {
                    "name": "Clinker", "unit": "t", "boundary": ["kiln"],
                    "norms": [CLINKER_ENERGY], "benchmarks": [BASELINE],
                }
            },
            "imports": {
                "scada": {"time": {"columns": ["time"]}, "values": {m: m for m in self.shown}},
            },
            "intervals": {"poll_s": 900},
            "assessment": {
                "supervision": self.supervision, "metering": self.metering,
                "equipment": self.equipment,
                "targets": self.targets,
            },
        }  # fmt: skip
        return write_plant(folder, meters=meters, **{**sections, **self.sections})

    def readings(self, file: Path, rows: Sequence[int] | range = range(QUARTERS + 1)) -> Path:
        """A file of the registers as they show."""
        with file.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["time", *self.shown])
            for n in rows:
                time = (FIRST + timedelta(minutes=15 * n)).isoformat(" ")
                writer.writerow([time, *(values[n] for values in self.shown.values())])
        return file

    def fill(self, folder: Path) -> Path:
        """The plant with its readings in the lake, its figures, and what people did later."""
        plant = self.write(folder)
        site = load_site(plant)
        lake = jobs.open_lake(site)
        import_file(site, lake, Kind.readings, self.readings(folder / "scada.csv"))
        jobs.refresh(site, lake)
        for act in self.later:
            act(plant)
        return plant


Trouble = Callable[[Works], Found]


def _day(works: Works, first: int = 5, last: int = 18) -> int:
    """The quarter at which a day of November begins."""
    return (works.random.randint(first, last) - 1) * 96


# Faults: what an inspector must find.


def flat_kiln(works: Works) -> Found:
    """The kiln's meter stands for days and goes on from where it stood."""
    start = _day(works)
    shown = works.shown["e-kiln"]
    lost = (shown[start + 96 * works.random.randint(4, 7)] or 0) - (shown[start] or 0)
    works.shown["e-kiln"] = [
        one if n <= start else max(shown[start] or 0, round((one or 0) - lost, 2))
        for n, one in enumerate(shown)
    ]
    return {("T01", "e-kiln")}


def slow_main(works: Works) -> Found:
    """From a day on the main meter counts a part only."""
    start, part = _day(works), works.random.uniform(0.4, 0.8)
    shown = works.shown["e-works"]
    base = shown[start] or 0
    works.shown["e-works"] = [
        one if n <= start else round(base + ((one or 0) - base) * part, 2)
        for n, one in enumerate(shown)
    ]
    return {("T02", "works")}


def slow_for_days(works: Works) -> Found:
    """On four days the main meter counts six per cent too little; the month's sum hides it."""
    start = _day(works)
    lost, total = [0.0], 0.0
    for n, amount in enumerate(works.flows["e-works"]):
        total += amount * 0.06 if start <= n < start + 4 * 96 else 0.0
        lost.append(total)
    works.shown["e-works"] = [
        round((one or 0) - less, 2) for one, less in zip(works.shown["e-works"], lost, strict=True)
    ]
    return {("T02", "works")}


def higher_register(works: Works) -> Found:
    """Another meter, that has counted far more, and no record."""
    start = _day(works) + works.random.randint(20, 70)
    more = works.random.uniform(300_000.0, 800_000.0)
    works.shown["e-kiln"] = [
        one if n <= start else round((one or 0) + more, 2)
        for n, one in enumerate(works.shown["e-kiln"])
    ]
    return {("S14", "e-kiln"), ("T05", "e-kiln")}


def unrecorded_reset(works: Works) -> Found:
    start = _day(works) + works.random.randint(20, 70)
    shown = works.shown["e-mill"]
    base = shown[start] or 0
    works.shown["e-mill"] = [
        one if n <= start else round((one or 0) - base, 2) for n, one in enumerate(shown)
    ]
    return {("S14", "e-mill"), ("T05", "e-mill")}


def silent_week(works: Works) -> Found:
    start = _day(works)
    _silent(works, "e-mill", start, start + 96 * works.random.randint(7, 9))
    return {("S13", "e-mill"), ("S13-outage", "e-mill")}


def _silent(works: Works, meter_id: str, start: int, end: int) -> None:
    shown = works.shown[meter_id]
    works.shown[meter_id] = [None if start < n < end else one for n, one in enumerate(shown)]


def overdue(works: Works) -> Found:
    meter_id = works.random.choice(["e-works", "e-kiln", "c-kiln"])
    day = f"2025-{works.random.randint(4, 10):02}-15"
    works.cells.setdefault(meter_id, {}).update(calibrated_on="2023-01-10", calibration_due=day)
    return {("S05", meter_id)}


def edited(works: Works) -> Found:
    """November is closed, and a register of it is corrected afterwards."""
    at = 96 * 30
    value = str((works.shown["c-kiln"][at] or 0) - works.random.uniform(1.0, 9.0))
    works.later += [
        _run("period", "close", PERIOD, "--reason", "reported"),
        _run("correct", "reading", "c-kiln", "--at", "2025-12-01T00:00", "--value", value,
             "--reason", "read again", "--by-whom", "Chen"),
    ]  # fmt: skip
    return {("T03", PERIOD)}


def edited_and_restated(works: Works) -> Found:
    """The same, and the closed figure is made to follow."""
    found = edited(works)
    works.later.append(_run("period", "restate", PERIOD, "--reason", "read again"))
    return found


def _run(*arguments: str) -> Callable[[Path], None]:
    def act(plant: Path) -> None:
        ended = inside(*arguments, "-p", plant)
        assert ended.code == 0, ended

    return act


def reported_less(works: Works) -> Found:
    total = (works.shown["e-works"][96 * 30] or 0) - (works.shown["e-works"][0] or 0)
    amount = total * works.random.uniform(0.8, 0.93)
    works.supervision["reported"] = [_reported(amount)]
    return {("S08", "works")}


def _reported(amount: float) -> dict[str, Any]:
    return {"node": "works", "energy": "electricity", "period": PERIOD, "amount": amount,
            "unit": "kWh", "source": "205-1"}  # fmt: skip


def unmetered(works: Works) -> Found:
    """A second grid feeder without a meter."""
    works.metering["unmetered"] = [{"node": "works", "energy": "electricity", "note": "feeder 2"}]
    return {("S04", "electricity")}


def obsolete(works: Works) -> Found:
    """Of two listed motors one may run until the next year."""
    motor = {"name": "Motor", "node": "mill", "model": "Y280S-4", "obsolete": True}
    works.equipment |= {
        "motor-1": {**motor, "listed_in": "catalogue 4, until 2024-12-31"},
        "motor-2": {**motor, "listed_in": "catalogue 5, until 2026-12-31"},
        "motor-3": {**motor, "obsolete": False},
    }
    return {("S03", "motor-1")}


def inaccurate(works: Works) -> Found:
    works.cells.setdefault("e-works", {})["accuracy_class"] = "2.0"
    return {("S06", "e-works")}


# Honest troubles: nobody is to be accused of them.


def short_outage(works: Works) -> Found:
    """Two hours without an answer of anything; the registers went on."""
    start = _day(works) + works.random.randint(0, 80)
    for meter_id in works.shown:
        _silent(works, meter_id, start, start + 8)
    return set()


def weekend_outage(works: Works) -> Found:
    """From a Friday's noon to the next Monday's first shift."""
    start = (works.random.choice([7, 14, 21]) - 1) * 96 + 48
    _silent(works, "e-mill", start, start + 66 * 4)
    return set()


def dip(works: Works) -> Found:
    start = _day(works) + works.random.randint(0, 80)
    for n in range(start, start + works.random.randint(1, 4)):
        works.shown["e-kiln"][n] = 0.0
    return set()


def recorded_replacement(works: Works) -> Found:
    at = _day(works) + works.random.randint(20, 70)
    shown = works.shown["e-works"]
    final = shown[at] or 0
    works.shown["e-works"] = [
        one if n <= at else round((one or 0) - final + 12.0, 2) for n, one in enumerate(shown)
    ]
    works.sections["installations"] = [
        {"meter": "e-works", "from": (FIRST + timedelta(minutes=15 * at, seconds=1)).isoformat(),
         "serial": "B-2", "final_reading": final, "start_reading": 12.0, "note": "order 17"},
    ]  # fmt: skip
    return set()


def record_of_another_day(works: Works) -> Found:
    """The mill's meter was replaced, and the record says two days later."""
    unrecorded_reset(works)
    shown = works.shown["e-mill"]
    at = next(n for n in range(1, len(shown)) if (shown[n] or 0) < (shown[n - 1] or 0))
    moment = FIRST + timedelta(minutes=15 * at, days=2)
    works.sections["installations"] = [
        {"meter": "e-mill", "from": moment.isoformat(), "serial": "B-3", "note": "order 18"},
    ]
    return set()


def rollover(works: Works) -> Found:
    works.cells.setdefault("e-mill", {})["modulus"] = "100000"
    works.shown["e-mill"] = [
        round(((one or 0) - (works.shown["e-mill"][0] or 0) + 70000.0) % 100000, 2)
        for one in works.shown["e-mill"]
    ]
    return set()


def soon_due(works: Works) -> Found:
    works.cells.setdefault("e-kiln", {})["calibration_due"] = "2025-12-02"
    return set()


def underrated(works: Works) -> Found:
    """The ledger states too little rated power, so that a rise is not believed."""
    most = max(works.flows["e-kiln"]) * 4
    works.cells.setdefault("e-kiln", {})["rated_per_h"] = f"{most * 0.8:.0f}"
    return set()


def converter(works: Works, gas_m3: float = 100.0) -> Found:
    """A converter that gives out more gas than it takes electricity: its norm is below zero.

    20 kWh and -100 m3 a tonne: 20 x 0.1229 - 100 x 0.2714 = -24.7 kgce/t, where -10 is the limit.
    """
    row = {
        "node": "converter",
        "kind": "counter",
        "connection": "historian",
        "rated_per_h": "90000",
        "accuracy_class": "0.5",
        "calibrated_on": "2025-03-01",
        "calibration_due": "2026-03-01",
    }
    steel = {"unit": "t", "product": "steel", "role": "output"}
    gas = {"unit": "m3", "energy": "converter_gas", "role": "output"}
    power = {"unit": "kWh", "energy": "electricity"}
    for meter_id, cells, per_t in (
        ("p-steel", steel, 1.0),
        ("g-steel", gas, gas_m3),
        ("e-steel", power, 20.0),
    ):
        works.more.append({**row, **cells, "meter_id": meter_id, "name": meter_id})
        works.shown[meter_id] = [round(5000 + n * 10.0 * per_t, 2) for n in range(QUARTERS + 1)]
    works.shown["e-works"] = [
        None if one is None else round(one + n * 200.0, 2)
        for n, one in enumerate(works.shown["e-works"])
    ]
    works.sections |= {
        "nodes": {
            "works": {"name": "Works", "level": "plant"},
            "kiln": {"name": "Kiln", "level": "process", "parent": "works"},
            "mill": {"name": "Mill", "level": "process", "parent": "works"},
            "converter": {"name": "Converter", "level": "process", "parent": "works"},
        },
        "norms": [
            {
                "standard": "GB 21256-2099",
                "product": "转炉工序",
                "indicator": "单位产品综合能耗",
                "unit": "kgce/t",
                "level3": -10.0,
                "effective_from": "2024-01-01",
                "source": "annex",
            },
        ],
        "products": {
            "clinker": {
                "name": "Clinker",
                "unit": "t",
                "boundary": ["kiln"],
                "norms": [CLINKER_ENERGY],
                "benchmarks": [BASELINE],
            },
            "steel": {
                "name": "Steel",
                "unit": "t",
                "boundary": ["converter"],
                "norms": ["GB 21256-2099|转炉工序|单位产品综合能耗"],
            },
        },
    }
    return set()


def cement_from_stock(works: Works) -> Found:
    """The mill goes on grinding stored clinker while the kiln stands."""
    works.cells["p-clinker"] = {"node": "mill", "product": "cement"}
    works.shown["p-clinker"] = [round(700 + n * 21.0, 2) for n in range(QUARTERS + 1)]
    works.sections["products"] = {
        "cement": {"name": "Cement", "unit": "t", "boundary": ["kiln", "mill"]}
    }
    return set()


def converter_that_wastes(works: Works) -> Found:
    """40 m3 a tonne: -8.4 kgce/t."""
    converter(works, gas_m3=40.0)
    return {("S01", "steel")}


def closed_in_order(works: Works) -> Found:
    """Closed; then the same file is imported once more, and the next month goes on."""

    def again(plant: Path) -> None:
        site = load_site(plant)
        lake = jobs.open_lake(site)
        import_file(site, lake, Kind.readings, plant.parent / "scada.csv")
        jobs.refresh(site, lake)

    works.later += [_run("period", "close", PERIOD, "--reason", "reported"), again]
    return set()


def reported_right(works: Works) -> Found:
    total = (works.shown["e-works"][96 * 30] or 0) - (works.shown["e-works"][0] or 0)
    works.supervision["reported"] = [_reported(total * works.random.uniform(0.97, 1.03))]
    return set()


@dataclass(frozen=True)
class Case:
    """A plant: its seed, what its kiln needs for a tonne, and its troubles."""

    seed: int
    troubles: tuple[Trouble, ...]
    kgce_per_t: tuple[float, float] = (103.0, 114.0)
    stop: tuple[int, int] = (0, 0)
    new: bool = False

    @property
    def id(self) -> str:
        over = ("over_limit",) if self.over else ()
        return "-".join((*over, *(one.__name__ for one in self.troubles))) or "untroubled"

    @property
    def over(self) -> bool:
        return self.kgce_per_t[0] > (107.0 if self.new else 117.0)

    def build(self, folder: Path) -> tuple[Path, Found]:
        """The plant, and what is to be found of it."""
        works = Works(self.seed, self.kgce_per_t)
        works.flow(self.stop)
        works.read()
        found: Found = {("S01", "clinker")} if self.over else set()
        if self.kgce_per_t[0] > 117.0:
            found.add(("S02", "clinker"))
        if self.new:
            works.supervision["new_products"] = ["clinker"]
        for trouble in self.troubles:
            found |= trouble(works)
        return works.fill(folder), found


OVER = (121.0, 140.0)
FAULTY = (
    Case(1, (overdue, higher_register), OVER),
    Case(2, (silent_week,), OVER),
    Case(3, (edited,), OVER),
    Case(4, (flat_kiln, overdue)),
    Case(5, (slow_main, silent_week, obsolete)),
    Case(6, (slow_for_days, edited_and_restated, overdue)),
    Case(7, (flat_kiln, silent_week, edited)),
    Case(8, (unrecorded_reset, reported_less, overdue), OVER),
    Case(9, (converter_that_wastes, slow_main, unmetered, inaccurate, edited)),
    Case(10, (unrecorded_reset, silent_week, overdue), (108.5, 114.0), new=True),
)
HONEST = (
    Case(21, (converter, short_outage, soon_due), stop=(12, 17)),
    Case(22, (dip, weekend_outage, reported_right, underrated)),
    Case(23, (recorded_replacement, short_outage, closed_in_order)),
    Case(24, (rollover, dip, soon_due, closed_in_order)),
    Case(26, (cement_from_stock, record_of_another_day), stop=(10, 17)),
    Case(25, (dip, rollover, recorded_replacement), (101.0, 106.0), stop=(20, 22), new=True),
)
