"""What the meter ledger cannot say of metering: flows without a meter, the class of the user."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from config.base import Identifier, Model

UserClass = Literal["I", "II", "III", "IV", "V"]


class Unmetered(Model):
    """A flow of energy that no meter measures: a feeder, a tank, a boiler."""

    node: Identifier = Field(description="Node that the energy goes into, or comes from.")
    energy: Identifier = Field(description="Energy code.")
    points: int = Field(1, ge=1, le=1000, description="Meters that would measure it.")
    yearly_amount: float | None = Field(
        None, ge=0, description="About how much a year, in the energy's unit, if that is known."
    )
    rated_per_h: float | None = Field(
        None, gt=0, description="Rated power or flow, in the energy's unit an hour."
    )
    note: str = Field("", description="What it is.")


class Metering(Model):
    """For `kgce metering`."""

    user_class: UserClass | None = Field(
        None,
        description="Class of the plant as a user of electricity, by transformers and use; without "
        "it what the use alone says bounds it.",
    )
    unmetered: tuple[Unmetered, ...] = Field((), description="Flows without a meter.")
