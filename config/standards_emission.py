"""Rows of emission_factors.csv and regions.csv: what carbon is counted by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from config.standards_rows import Confidence

GridUse = Literal["average", "without_traded", "fossil", "reporting"]
GRID_REGIONS = ("North", "Northeast", "East", "Central", "Northwest", "South", "Southwest")
NATION = "CN"


@dataclass(frozen=True)
class EmissionRow:
    """One emission factor: CO2 of a ``unit`` of electricity (MWh), heat (GJ) or a fuel.

    ``year`` and ``region`` (a province's Chinese name, a grid region, or CN) are of grid rows;
    ``fuel_set``, ``fuel``, its ``energy`` in factors.csv and the constituents of fuels.
    ``tco2_per_unit`` is what the source prints; where the constituents are all there, they count.
    ``conflicts_with``: a row of another set, whose number for the same fuel contradicts this one.
    """

    id: str
    kind: Literal["grid", "heat", "fuel"]
    name_zh: str
    unit: str
    tco2_per_unit: float | None
    ncv_gj_per_unit: float | None
    carbon_tc_per_tj: float | None
    oxidation_ratio: float | None
    edition: str
    effective_from: date | None
    confidence: Confidence
    name_en: str = ""
    region: str = ""
    year: str = ""
    use: Literal["average", "without_traded", "fossil", "reporting", ""] = ""
    fuel_set: str = ""
    fuel: str = ""
    energy: str = ""
    conflicts_with: str = ""
    note: str = ""


@dataclass(frozen=True)
class RegionRow:
    """A province: the first two digits of GB/T 2260 as ``id``, and the grid that it belongs to."""

    id: str
    name_zh: str
    name_en: str
    edition: str
    effective_from: date | None
    confidence: Confidence
    grid_region: str = ""
    note: str = ""
