"""Rows of supervision_checks.csv: what energy-saving supervision (节能监察) looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from config.standards_rows import Confidence


@dataclass(frozen=True)
class CheckRow:
    """One check. Ids S are an inspector's; ids T are signs of tampering that the data show.

    ``answered_by``: the plant's data, or records and visits that kgce does not see. ``limit`` is
    what a figure of the check is held against, in ``limit_unit``; none where the plant, a norm or a
    meter's own class gives it.
    """

    id: str
    edition: str
    area: str
    item_zh: str
    item_en: str
    answered_by: Literal["data", "records"]
    basis: str
    consequence: str
    confidence: Confidence
    limit: float | None = None
    limit_unit: str = ""
    note: str = ""
