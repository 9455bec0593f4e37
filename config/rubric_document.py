"""The one document of `kgce rubric --format json`: what a scoring tool imports.

`SCHEMA_VERSION` is semantic: a tool that reads 1.x reads every 1.y. The JSON Schema in docs/schemas
derives from these models.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import Field

from config.base import Model

SCHEMA_VERSION = "1.0.0"

Status = Literal[
    "met", "partly_met", "not_met", "provisional", "refused", "needs_evidence", "no_reference"
]


class DocumentPlant(Model):
    """The factory that is scored."""

    id: str = Field(description="Plant id.")
    name: str = Field(description="Name as on the business licence.")
    credit_code: str | None = Field(description="统一社会信用代码.")
    region: str | None = Field(description="Administrative region.")
    industry: str | None = Field(description="GB/T 4754 industry code.")


class DocumentEdition(Model):
    """The edition that it is scored by."""

    id: str = Field(description="S6, G25, JS26.")
    standard: str = Field(description="Standard or form.")
    name_zh: str = Field(description="Name in Chinese.")
    name_en: str = Field(description="Name in English.")
    effective_from: date | None = Field(description="First day in force; null: not known.")
    confidence: str = Field(description="How sure the edition's data are.")
    note: str = Field(description="What is not known of it.")


class DocumentMethod(Model):
    """How points lie between base and lead."""

    name: Literal["linear", "range"] = Field(description="Method.")
    steps: int | None = Field(description="Ranges of the range method.")


class DocumentGates(Model):
    """The basic requirements."""

    status: Literal["passed", "not_passed", "unknown"] = Field(description="All of them together.")
    failed: tuple[str, ...] = Field(description="Items that are not met.")
    unknown: tuple[str, ...] = Field(description="Items that are not known.")


class DocumentTotal(Model):
    """Points: known, certain, possible, most."""

    points: float | None = Field(description="Null where one item's is not known.")
    points_low: float = Field(description="Points that are certain.")
    points_high: float = Field(description="Points that are possible.")
    points_most: float = Field(description="Points that there are.")


class DocumentSection(DocumentTotal):
    """One section with its points."""

    section: str = Field(description="Code of the section.")
    name_zh: str = Field(description="Name in Chinese.")
    name_en: str = Field(description="Name in English.")
    weight: float | None = Field(description="Weight of the section; null where it has none.")


class DocumentPart(Model):
    """The figure of one product, or of the plant, that feeds an item."""

    subject: str = Field(description="Product; empty for the plant.")
    value: float | None = Field(description="Figure; null where unknown or refused.")
    low: float | None = Field(description="Smallest that the readings allow.")
    high: float | None = Field(description="Largest; null where nothing bounds it.")
    unit: str = Field(description="Unit.")
    lead: float | None = Field(description="Lead value.")
    base: float | None = Field(description="Base value.")
    reference: str = Field(description="Where lead and base are from.")
    weight: float | None = Field(description="Its weight: energy in tce, or 1.")
    coverage_ratio: float | None = Field(description="Share of the time that was observed.")
    status: str = Field(description="complete, partial, refused or unknown.")
    confidence: str = Field(description="Weakest confidence behind it.")
    reason: str = Field(description="Why it is not known.")


class DocumentItem(Model):
    """One item; the columns are those of the sheet `rubric`."""

    item: str = Field(description="Stable id.")
    section: str = Field(description="Code of its section.")
    item_zh: str = Field(description="Item in Chinese.")
    item_en: str = Field(description="Item in English.")
    kind: Literal["item", "gate", "rule"] = Field(description="Kind.")
    requirement: Literal["veto", "required", "optional"] = Field(description="Requirement.")
    gate: bool = Field(description="No score counts unless it is met.")
    feeds: Literal["yes", "partly", "no"] = Field(description="Whether energy data feed it.")
    input: str = Field(description="Figure that feeds it; empty where none does.")
    value: float | None = Field(description="The figure, where there is one for the whole plant.")
    low: float | None = Field(description="Smallest that the readings allow.")
    high: float | None = Field(description="Largest; null where nothing bounds it.")
    unit: str = Field(description="Unit.")
    lead: float | None = Field(description="Lead value.")
    base: float | None = Field(description="Base value.")
    reference: str = Field(description="Where lead and base are from.")
    fraction: float | None = Field(description="Share of the points, 0 to 1.")
    points: float | None = Field(description="Points; null where not known.")
    points_low: float | None = Field(description="Points that are certain.")
    points_high: float | None = Field(description="Points that are possible.")
    points_most: float | None = Field(description="Points of the item; null: not found.")
    status: Status = Field(description="Stable code.")
    reason: str = Field(description="Why.")
    coverage_ratio: float | None = Field(description="Share of the time that was observed.")
    confidence: str = Field(description="Weakest confidence behind it.")
    source: str = Field(description="figures, or the document and person that state it.")
    rows: tuple[str, ...] = Field(description="Ids of the rows used.")
    parts: tuple[DocumentPart, ...] = Field(description="One figure for each product that counts.")


class DocumentTier(Model):
    """A tier of the plant's region."""

    id: str = Field(description="Id of rubric_tiers.csv.")
    tier: str = Field(description="provincial or national.")
    threshold: float = Field(description="Points asked for.")
    status: Literal["reached", "gates_open", "within_reach", "out_of_reach", "barred"] = Field(
        description="How the plant stands to it."
    )
    missing: float = Field(description="Points that the certain ones lack.")
    award_cny: float | None = Field(description="Award that the plan states, CNY.")
    award_up_to: bool = Field(description="The award is at most this.")
    edition: str = Field(description="Plan that states it.")


class DocumentSuggestion(Model):
    """What would gain points; the most for the least energy first."""

    item: str = Field(description="Item.")
    subject: str = Field(description="Product; empty for the plant.")
    kind: Literal["save", "show"] = Field(description="Reach the lead value, or show evidence.")
    points: float = Field(description="Points gained.")
    tce_per_year: float | None = Field(description="Saving that it takes, tce a year.")
    points_per_tce: float | None = Field(description="Points for a tce a year.")


class DocumentProvenance(Model):
    """What the document was made from; it has no clock in it."""

    kgce: str = Field(description="Version of the program.")
    config: str = Field(description="Hash of the configuration that figures are made by.")
    assessment: str = Field(description="Hash of what was typed for the sheets.")
    standards: dict[str, str] = Field(description="Hash of each file of standards data.")
    figures: tuple[dict[str, Any], ...] = Field(description="Provenance of the figures used.")


class RubricDocument(Model):
    """The rubric of one factory and period."""

    schema_version: str = Field(
        pattern=r"^1\.\d+\.\d+$", description="Semantic version of this form."
    )
    plant: DocumentPlant = Field(description="The factory.")
    period: str = Field(description="Year, or month.")
    indicative: bool = Field(description="A month: the rubric is judged on a year.")
    edition: DocumentEdition = Field(description="The edition.")
    method: DocumentMethod = Field(description="The method.")
    gates: DocumentGates = Field(description="Basic requirements.")
    sections: tuple[DocumentSection, ...] = Field(description="Points by section.")
    items: tuple[DocumentItem, ...] = Field(description="Every item.")
    totals: DocumentTotal = Field(description="Points of the whole.")
    tiers: tuple[DocumentTier, ...] = Field(description="Tiers of the plant's region.")
    suggestions: tuple[DocumentSuggestion, ...] = Field(description="What would gain points.")
    provenance: DocumentProvenance = Field(description="What it was made from.")


def document_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the document."""
    made = RubricDocument.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **made,
        "title": "kgce rubric-document",
    }
