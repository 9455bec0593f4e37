"""Corrections that product standards make before a figure is judged (可比能耗).

The numbers are those of GB 16780-2021, as they stand in the notes of its rows; recalled there, to
be checked against the printed standard.
"""

from __future__ import annotations

BASE_CLINKER_RATIO = 0.75
# kgce/t for one percentage point of clinker more or less, by level
CLINKER_KGCE_PER_POINT = (1.10, 1.15, 1.20)
HIGH_ALTITUDE_M = 1500.0
STANDARD_PRESSURE_PA = 101_325.0


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

    ``pressure_pa`` is the yearly mean pressure of the site [Pa]. GB 16780-2021, level 3 only.

    >>> round(altitude_factor(2000.0, 81_060.0), 9), altitude_factor(1500.0, 84_500.0)
    (1.0102, 1.0)
    """
    if altitude_m <= HIGH_ALTITUDE_M:
        return 1.0
    return 1.179 - 0.211 * pressure_pa / STANDARD_PRESSURE_PA
