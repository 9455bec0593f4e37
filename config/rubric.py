"""What the green-factory rubric needs of a plant: its edition, lead values, typed evidence."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from config.base import Identifier, Model


class RubricReference(Model):
    """Lead and base value of one item, and where they were read."""

    item: str = Field(description="Id of the item, such as G25-02.")
    product: Identifier | None = Field(None, description="Only for this product.")
    year: int | None = Field(None, ge=2000, description="Only for this year; else for every year.")
    lead: float = Field(description="Lead value (引领值, 先进值): full points from here on.")
    base: float | None = Field(
        None, description="Base value (基准值): no points beyond it. None where the lead decides."
    )
    unit: str = Field(description="Unit of both, as the item's figure has it.")
    source: str = Field(description="Where they were read: annex, notice, statistics.")


class RubricEvidence(Model):
    """What a person states of an item, with the document that shows it."""

    item: str = Field(description="Id of the item, such as G25-12.")
    year: int | None = Field(None, ge=2000, description="Only for this year; else for every year.")
    met: bool | None = Field(None, description="Whether the requirement is met.")
    value: float | None = Field(None, description="Or a figure that lead and base are held to.")
    unit: str | None = Field(None, description="Unit of the value.")
    points: float | None = Field(None, ge=0, description="Or the points that an assessor gave.")
    document: str = Field(min_length=1, description="Document that shows it.")
    dated: date = Field(alias="date", description="Date of the document.")
    by: str = Field(min_length=1, description="Who states it.")

    @model_validator(mode="after")
    def _states_one_thing(self) -> RubricEvidence:
        stated = [name for name in ("met", "value", "points") if getattr(self, name) is not None]
        if len(stated) != 1:
            given = ", ".join(stated) or "nothing"
            raise ValueError(f"states {given}; allowed: one of met, value and points")
        if bool(self.unit) != (self.value is not None):
            raise ValueError("a value has a unit, and nothing else has one")
        return self


class Rubric(Model):
    """How the plant is scored by the green-factory rubric."""

    edition: str = Field("G25", description="Id of rubric_editions.csv: S6, G25 or JS26.")
    method: Literal["linear", "range"] = Field(
        "linear", description="Points between base and lead: linear, or by ranges of equal width."
    )
    steps: int | None = Field(None, ge=2, le=100, description="Ranges between base and lead.")
    products: tuple[Identifier, ...] = Field(
        (), description="Products that the energy items look at; default every one."
    )
    references: tuple[RubricReference, ...] = Field((), description="Lead and base values.")
    evidence: tuple[RubricEvidence, ...] = Field((), description="What no meter gives.")

    @model_validator(mode="after")
    def _steps_of_a_range(self) -> Rubric:
        if (self.steps is not None) != (self.method == "range"):
            raise ValueError("method range needs steps, and linear has none")
        return self
