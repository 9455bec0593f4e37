"""What feeds the rubric's items: figures, and the lead and base that they are held against."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from config.rubric import RubricReference
from config.standards_rubric import RubricItemRow
from indicators.rubric import Part


class Measured(NamedTuple):
    """One figure of the plant or of a product, before anything is held against it.

    ``subject``: the product, or empty. ``value`` None: unknown (``reason`` says why) or refused;
    ``low``, ``high`` None: nothing bounds it. ``weight``: energy of the product [tce], or 1.
    ``levels``: of the ``norm``'s row, from 1. ``tce_per_unit``: what one unit less of the figure
    saves [tce/a]. ``rows``: ids of the rows that it was made from.
    """

    subject: str
    value: float | None
    low: float | None
    high: float | None
    unit: str
    coverage_ratio: float | None
    status: str
    confidence: str
    weight: float | None = 1.0
    norm: str = ""
    levels: tuple[float | None, ...] = (None, None, None)
    tce_per_unit: float | None = None
    reason: str = ""
    rows: tuple[str, ...] = ()


class Found(NamedTuple):
    """The figures of one input; ``missing``: why there is none."""

    measured: tuple[Measured, ...]
    missing: str = ""


def reference_of(
    references: Iterable[RubricReference], item: str, product: str, year: int
) -> RubricReference | None:
    """The lead and base [unit that they state] of an item, product and year; the most particular
    first. kgce's own rule.

    >>> some = RubricReference(item="G25-02", lead=1.0, base=2.0, unit="t", source="annex")
    >>> own = some.model_copy(update={"product": "clinker", "lead": 3.0})
    >>> reference_of([some, own], "G25-02", "clinker", 2026).lead
    3.0
    >>> reference_of([own], "G25-02", "", 2026) is None
    True
    """
    fitting = [
        one
        for one in references
        if one.item == item and one.product in (None, product) and one.year in (None, year)
    ]
    return max(
        fitting, key=lambda one: (one.product is not None, one.year is not None), default=None
    )


def parts_of(
    item: RubricItemRow,
    measured: Sequence[Measured],
    references: Sequence[RubricReference],
    year: int,
) -> list[Part]:
    r"""Figures with the lead and base that ``item`` holds them against.

    .. math:: S = (e - e_{lead}) \cdot s

    Those that the plant states go before the item's own numbers, and these before the levels of the
    norm that the figure is judged by (level 1 and 2 for energy intensity). ``tce_to_lead`` [tce/a]
    is S, s the figure's ``tce_per_unit``. GB/T 36132-2025 appendix C.

    >>> from config.standards_files import read_dataset
    >>> item = read_dataset(RubricItemRow)["G25-01"]
    >>> one = Measured("clinker", 110.0, None, None, "kgce/t", 1.0, "complete", "seen",
    ...                norm="GB 16780-2021", levels=(100.0, 107.0, 117.0), tce_per_unit=5.0)
    >>> (part,) = parts_of(item, [one], [], 2026)
    >>> part.lead, part.base, part.reference, part.tce_to_lead
    (100.0, 107.0, 'GB 16780-2021', 50.0)
    """
    return [
        _part(item, one, reference_of(references, item.id, one.subject, year)) for one in measured
    ]


def _part(item: RubricItemRow, one: Measured, stated: RubricReference | None) -> Part:
    lead: float | None
    base: float | None
    if stated is not None:
        lead, base, unit, source = stated.lead, stated.base, stated.unit, stated.source
    elif item.lead is not None:
        lead, base, unit, source = item.lead, item.base, item.unit, item.id
    else:
        lead, base = _level(one, item.lead_rule), _level(one, item.base_rule)
        unit, source = one.unit, one.norm if lead is not None else ""
    gap = None if lead is None or one.value is None else one.value - lead
    saves = gap is not None and one.tce_per_unit is not None and item.direction == "smaller"
    return Part(
        subject=one.subject,
        value=one.value,
        low=one.low,
        high=one.high,
        unit=one.unit,
        lead=lead,
        base=base,
        reference_unit=unit,
        reference=source,
        weight=one.weight,
        coverage_ratio=one.coverage_ratio,
        status=one.status,
        confidence=one.confidence,
        tce_to_lead=(gap or 0.0) * (one.tce_per_unit or 0.0) if saves else None,
        reason=one.reason,
        rows=one.rows,
    )


def _level(one: Measured, rule: str) -> float | None:
    """The level that ``norm level 2`` and the like name; None for any other rule."""
    name, _, number = rule.rpartition(" ")
    return one.levels[int(number) - 1] if name == "norm level" else None
