"""park.yaml: the plants of a park, what passes between them, and what no meter gives."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from config.base import Identifier, Model
from config.economy import PERIOD, EconomyRow
from config.rubric import RubricEvidence


class ParkInfo(Model):
    """The park itself."""

    id: Identifier = Field(description="Short id of the park.")
    name: str = Field(description="Name of the park.")
    region: str | None = Field(None, description="Administrative region, such as 350000 (Fujian).")


class Transfer(Model):
    """Energy that one plant of the park sends to another."""

    energy: str = Field(description="Energy code, such as electricity.")
    sender: Identifier = Field(alias="from", description="Plant that sends it.")
    receiver: Identifier = Field(alias="to", description="Plant that receives it.")
    meter: Identifier | None = Field(None, description="Meter of either plant that counts it.")
    amounts: dict[str, float] = Field(
        default_factory=dict, description="Or amounts by month or year, in the energy's unit."
    )
    deducted: bool | None = Field(
        None,
        description="The sender's own consumption is already less it. Default: it is, where the "
        "sender has a meter of the energy with the role output.",
    )
    source: str | None = Field(None, description="Where typed amounts are from.")

    @field_validator("amounts")
    @classmethod
    def _by_period(cls, amounts: dict[str, float]) -> dict[str, float]:
        import re

        for period in amounts:
            if not re.fullmatch(PERIOD, period):
                raise ValueError(f"{period!r} is no month or year; allowed: 2026-10 or 2026")
        return amounts

    @model_validator(mode="after")
    def _metered_or_typed(self) -> Transfer:
        if bool(self.amounts) == (self.meter is not None):
            raise ValueError("a transfer has either a meter or amounts")
        if self.sender == self.receiver:
            raise ValueError("from and to are one plant")
        return self


class ParkReference(Model):
    """The park's own lead value of an item."""

    item: str = Field(description="Id of green_park.csv, such as PARK-01.")
    lead: float = Field(gt=0, description="Lead value, in the item's unit.")
    source: str = Field(description="Where it was read.")


class Park(Model):
    """park.yaml, whole."""

    park: ParkInfo = Field(description="The park itself.")
    plants: tuple[Path, ...] = Field(
        min_length=1, description="plant.yaml of each plant; relative to this file."
    )
    transfers: tuple[Transfer, ...] = Field((), description="Energy passed between plants.")
    economy: tuple[EconomyRow, ...] = Field(
        (), description="Industrial value added of the park; default the sum of its plants'."
    )
    basis: Literal["calorific", "equivalent"] = Field(
        "calorific", description="Basis of the park's comprehensive energy."
    )
    clean_energies: tuple[str, ...] = Field(
        (), description="Energies that count as clean; the form at hand does not list them."
    )
    references: tuple[ParkReference, ...] = Field((), description="Own lead values.")
    evidence: tuple[RubricEvidence, ...] = Field((), description="What no meter gives.")
