"""The loads of the sample plant: what truly flows through each meter.

Tuned to a 2,500 t/d line with waste heat power: about 108 kgce/t of clinker and 54.6 kWh/t of
clinker, about 88 kgce/t of cement, about 32 kWh/t of cement ground and packed. Each lies between
two levels of GB 16780-2021.
"""

from __future__ import annotations

from collections.abc import Mapping

from collectors.simulator.flows import (
    Once,
    Part,
    Shift,
    Steady,
    Straight,
    Wave,
    WhileRunning,
    added,
    weighted,
)

KILN_STOPS = ((33 * 24.0 + 8, 35 * 24.0 + 8),)  # two days for brickwork, hours from the start
COAL_T_PER_T_CLINKER = 0.1421
LOSS_RATIO = 0.012  # transformers and cables between the incomer and the branches

_DAY_H, _WEEK_H = 24.0, 168.0
# What the incomer feeds. Waste heat power feeds in beside it.
_BRANCHES = (
    "raw_mill",
    "kiln",
    "coal_mill",
    "cement_mill_1",
    "cement_mill_2",
    "packing",
    "air",
    "office",
)


def _with_kiln(*parts: Part) -> Part:
    return WhileRunning(added(*parts), KILN_STOPS)


def _electric_loads() -> dict[str, Part]:
    """kW of everything but the incomer."""
    return {
        # The raw mill rests in the evening peak of the tariff, the coal mill in the small hours.
        "raw_mill": _with_kiln(Steady(150), Shift(2000, 0, 18), Shift(2000, 22, 24)),
        "kiln": added(Steady(180), _with_kiln(Steady(3257), Wave(120, _DAY_H, 4))),
        "coal_mill": _with_kiln(Steady(15), Shift(560, 5, 23)),
        "waste_heat": _with_kiln(Steady(3050), Wave(250, _DAY_H, 3)),
        "cement_mill_1": added(Shift(2190, 0, 18), Shift(2190, 21, 24)),
        "cement_mill_2": added(Shift(2325, 0, 8), Shift(2325, 12, 24)),
        "packing": added(Steady(35), Shift(195, 6, 22), Wave(8, _WEEK_H, 40)),
        "air": added(Steady(230), Wave(60, _DAY_H, 15)),
        # A gauge that is read each quarter hour misses what falls between: nothing does.
        "office": added(
            Steady(55), Straight(Wave(30, _DAY_H, 14)), Straight(Wave(10, _WEEK_H, 60))
        ),
    }


def _material_loads() -> dict[str, Part]:
    """t/h, and kg/h of diesel."""
    clinker = _with_kiln(Steady(2500 / 24), Wave(2.0, _DAY_H, 4), Wave(1.5, _WEEK_H, 80))
    restart_h = KILN_STOPS[0][1]
    return {
        "water": added(Steady(34), Wave(4, _DAY_H, 15)),
        "coal_burner": weighted([(COAL_T_PER_T_CLINKER * 0.4, clinker)]),
        "coal_precalciner": weighted([(COAL_T_PER_T_CLINKER * 0.6, clinker)]),
        "diesel": added(Steady(8), Once(900, restart_h - 4, restart_h + 6)),
        "clinker_out": clinker,
        "cement_ground": added(
            Shift(72.5, 0, 18), Shift(72.5, 21, 24), Shift(75, 0, 8), Shift(75, 12, 24)
        ),
        "cement_packed": added(Steady(24), Shift(152.9, 6, 22)),
    }


def loads() -> Mapping[str, Part]:
    """Load by meter id, after the multiplier, in the meter's amount unit per hour."""
    electric = _electric_loads()
    incomer = weighted(
        [(1 + LOSS_RATIO, electric[branch]) for branch in _BRANCHES]
        + [(-1.0, electric["waste_heat"])]
    )
    return {"main_incomer": incomer, **electric, **_material_loads()}
