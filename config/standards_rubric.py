"""Rows of the rubric's files: items, editions, tiers, platform functions, parks and chains."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from config.standards_rows import Confidence

YesNo = Literal["yes", "no"]
Feeds = Literal["yes", "partly", "no"]
Method = Literal["linear", "reach", "evidence"]


@dataclass(frozen=True)
class RubricItemRow:
    """One item of one edition of the green-factory rubric.

    ``points`` is None where they were not found. ``method``: linear between base and lead, reach
    (the lead value or nothing), or evidence (typed, with its document). ``input`` names the figure
    that feeds it; ``lead_rule`` and ``base_rule`` where lead and base come from, such as a level of
    the norm. ``gate``: a basic requirement, without which no score counts.
    """

    id: str
    edition: str
    section: str
    section_zh: str
    section_en: str
    section_weight: float | None
    item_zh: str
    item_en: str
    kind: Literal["item", "gate", "weight", "rule"]
    requirement: Literal["veto", "required", "optional"]
    gate: YesNo
    points: float | None
    feeds: Feeds
    method: Method
    confidence: Confidence
    direction: Literal["smaller", "bigger", ""] = ""
    input: str = ""
    lead: float | None = None
    base: float | None = None
    unit: str = ""
    lead_rule: str = ""
    base_rule: str = ""
    region: str = ""
    data_needed: str = ""
    note: str = ""


@dataclass(frozen=True)
class RubricEditionRow:
    """One edition that a factory can be scored by; ``basic_known``: its basic requirements are."""

    id: str
    edition: str
    name_zh: str
    name_en: str
    effective_from: date | None
    points_total: float | None
    basic_known: YesNo
    confidence: Confidence
    note: str = ""


@dataclass(frozen=True)
class RubricTierRow:
    """A threshold of a region, and the award that its plan states for those who reach it."""

    id: str
    edition: str
    subject: Literal["factory", "park", "supply_chain", "design_product"]
    tier: str
    tier_zh: str
    region: str
    threshold: float | None
    award_cny: float | None
    award_up_to: YesNo
    award_cap_cny: float | None
    confidence: Confidence
    award_cap_per: str = ""
    effective_from: date | None = None
    note: str = ""


@dataclass(frozen=True)
class PlatformFunctionRow:
    """One function of an energy-carbon platform, and the commands that show it (``; `` between)."""

    id: str
    edition: str
    name_zh: str
    name_en: str
    confidence: Confidence
    commands: str = ""
    note: str = ""


@dataclass(frozen=True)
class GreenParkRow:
    """One item, index or fact of the green park, supply chain or design product forms.

    ``choice``: of the items with the same text, ``choose`` count.
    """

    id: str
    edition: str
    scheme: Literal["park", "low_carbon_park", "supply_chain", "design_product"]
    item_zh: str
    item_en: str
    kind: Literal["item", "gate", "reference", "index", "form", "threshold", "fact"]
    feeds: Feeds
    confidence: Confidence
    group: str = ""
    group_zh: str = ""
    group_en: str = ""
    number: float | None = None
    unit: str = ""
    formula: str = ""
    direction: Literal["bigger", "smaller", "present", ""] = ""
    lead: float | None = None
    lead_text: str = ""
    points: float | None = None
    requirement: str = ""
    choice: str = ""
    choose: float | None = None
    input: str = ""
    note: str = ""


RUBRIC_FILES: dict[str, type[Any]] = {
    "rubric_items": RubricItemRow,
    "rubric_editions": RubricEditionRow,
    "rubric_tiers": RubricTierRow,
    "platform_functions": PlatformFunctionRow,
    "green_park": GreenParkRow,
}
