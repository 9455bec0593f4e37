"""The ledger of energy-using equipment (用能设备台账), as an audit and an inspector ask for it."""

from __future__ import annotations

from pydantic import Field, model_validator

from config.base import Identifier, Model


class Equipment(Model):
    """One machine, or several of one model."""

    name: str = Field(description="Name shown, such as circulating water pump 2.")
    node: Identifier = Field(description="Node that it belongs to.")
    model: str = Field(description="Model as on the name plate, such as Y280S-4.")
    count: int = Field(1, ge=1, description="How many of this model.")
    rated_kw: float | None = Field(None, gt=0, description="Rated power of one, kW.")
    in_use_since: int | None = Field(None, ge=1900, le=2100, description="Year of commissioning.")
    obsolete: bool | None = Field(
        None,
        description="Whether the model stands in a catalogue of equipment to be eliminated; empty "
        "where nobody has looked.",
    )
    listed_in: str | None = Field(
        None, description="Catalogue and batch that lists it, and the date by which it goes."
    )

    @model_validator(mode="after")
    def _listed_where(self) -> Equipment:
        if self.obsolete and not self.listed_in:
            raise ValueError("obsolete: true needs listed_in, the catalogue that says so")
        return self
