"""Corrections that product standards make to their levels before a figure is judged (可比能耗).

The numbers are those of GB 16780-2021, as they stand in the notes of its rows; recalled there, to
be checked against the printed standard.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from config.models import PlantInfo, Product
from config.standards_rows import NormRow

BASE_CLINKER_RATIO = 0.75
# kgce/t for one percentage point of clinker more or less, by level
CLINKER_KGCE_PER_POINT = (1.10, 1.15, 1.20)
HIGH_ALTITUDE_M = 1500.0
STANDARD_PRESSURE_PA = 101_325.0
NAMES = ("cement_clinker_ratio", "cement_altitude")


class Corrected(NamedTuple):
    """Levels of a norm as they hold for a plant on a day, and what was done to them."""

    levels: tuple[float | None, ...]
    said: str


def cement_level(level: float, k: int, clinker_ratio: float) -> float:
    r"""Level ``k`` (1 to 3) of cement's comprehensive energy at a clinker ratio [kgce/t].

    .. math:: L_k' = L_k + c_k \cdot 100 (r - 0.75)

    ``level`` [kgce/t] as printed for 75 % of clinker; ``clinker_ratio`` [1], the clinker in
    the cement. c is 1.10, 1.15, 1.20 kgce/t a percentage point. GB 16780-2021, note to the level.

    >>> round(cement_level(80.0, 1, 0.78), 9), round(cement_level(94.0, 3, 0.70), 9)
    (83.3, 88.0)
    """
    if not 0 <= clinker_ratio <= 1:
        raise ValueError(f"clinker ratio {clinker_ratio}: a share is 0 to 1")
    return level + CLINKER_KGCE_PER_POINT[k - 1] * 100 * (clinker_ratio - BASE_CLINKER_RATIO)


def altitude_factor(altitude_m: float, pressure_pa: float) -> float:
    r"""Factor on level 3 of cement and clinker at a high site [1]; 1 up to 1500 m.

    .. math:: K = 1.179 - 0.211 \cdot P / 101325

    ``pressure_pa`` is the yearly mean pressure of the site [Pa]. GB 16780-2021, level 3 only
    (as recalled; clause not checked against the print).

    >>> round(altitude_factor(2000.0, 81_060.0), 9), altitude_factor(1500.0, 84_500.0)
    (1.0102, 1.0)
    """
    if altitude_m <= HIGH_ALTITUDE_M:
        return 1.0
    return 1.179 - 0.211 * pressure_pa / STANDARD_PRESSURE_PA


def corrected(norm: NormRow, product: Product, info: PlantInfo, on: date) -> Corrected:
    r"""The norm's levels [its unit] for the product of a plant on a day, by its own corrections.

    .. math:: L_k' = (L_k + c_k \cdot 100 (r - 0.75)) \cdot K_k, \quad K_1 = K_2 = 1

    First the clinker ratio, then the altitude. What is not stated is said, and not corrected. A
    level that the standard leaves blank stays blank. GB 16780-2021, notes to the levels (as
    recalled), for the rows that name a correction.

    >>> norm = NormRow("", "GB 16780-2021", "", "", "", "", "", "kgce/t", 80.0, None, 94.0, None,
    ...     "seen", "cement_clinker_ratio")
    >>> mixed = {"name": "c", "unit": "t", "boundary": ["mill"],
    ...     "clinker_ratio": [{"from": "2026-01-01", "ratio": 0.78, "source": "mix"}]}
    >>> plant = PlantInfo(id="w", name="W")
    >>> found = corrected(norm, Product.model_validate(mixed), plant, date(2026, 5, 1))
    >>> [level and round(level, 9) for level in found.levels], found.said
    ([83.3, None, 97.6], 'clinker ratio 0.78')
    """
    levels: Sequence[float | None] = norm.levels
    said: list[str] = []
    if "cement_clinker_ratio" in norm.correction:
        levels = _by_clinker(levels, product, on, said)
    if "cement_altitude" in norm.correction:
        levels = _by_altitude(levels, info, said)
    return Corrected(tuple(levels), "; ".join(said))


def _by_clinker(
    levels: Sequence[float | None], product: Product, on: date, said: list[str]
) -> Sequence[float | None]:
    in_force = [one for one in product.clinker_ratio if one.from_ <= on]
    if not in_force:
        said.append("clinker ratio not stated: levels for 75 %")
        return levels
    ratio = max(in_force, key=lambda one: one.from_).ratio
    said.append(f"clinker ratio {ratio:g}")
    return [
        None if level is None else cement_level(level, k, ratio)
        for k, level in enumerate(levels, start=1)
    ]


def _by_altitude(
    levels: Sequence[float | None], info: PlantInfo, said: list[str]
) -> Sequence[float | None]:
    if info.altitude_m is None or info.altitude_m <= HIGH_ALTITUDE_M or levels[2] is None:
        return levels
    if info.mean_pressure_pa is None:
        said.append("altitude over 1500 m, mean pressure not stated: level 3 as printed")
        return levels
    factor = altitude_factor(info.altitude_m, info.mean_pressure_pa)
    said.append(f"altitude factor {factor:g} on level 3")
    return [*levels[:2], levels[2] * factor]
