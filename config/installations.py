"""Dated records of what hung at a metering point: replaced meters, changed ratios."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field, model_validator

from config.base import Identifier, Model


class Installation(Model):
    """From a moment on, another meter or another ratio; before the first one the ledger's row.

    Two cases. A meter replaced at 10:00: ``serial``, ``final_reading`` of the old one and
    ``start_reading`` of the new one make the energy across it exact. A ratio corrected from a day
    on: ``multiplier`` alone; the register goes on.
    """

    meter: Identifier = Field(description="Metering point: a counter of the ledger.")
    from_: datetime = Field(
        alias="from", description="Since when; local time of the plant where no offset is given."
    )
    serial: str | None = Field(None, description="Serial number; says that the meter is another.")
    multiplier: float | None = Field(
        None, gt=0, description="CT ratio x PT ratio from then on; default as before."
    )
    modulus: float | None = Field(
        None, gt=0, description="Where the new register rolls over; default as before."
    )
    start_reading: float | None = Field(
        None,
        ge=0,
        description="The new register at that moment; without it what passed until its "
        "first reading is bounded only.",
    )
    final_reading: float | None = Field(
        None,
        ge=0,
        description="The old register at that moment; without it what passed since its "
        "last reading is bounded only.",
    )
    note: str = Field("", description="Who did it, and why: number of the work order.")

    @property
    def new_register(self) -> bool:
        """Whether the register began anew; else only the ratio changed."""
        return (self.serial, self.start_reading, self.final_reading) != (None, None, None)

    @model_validator(mode="after")
    def _says_something(self) -> Installation:
        if not self.new_register and self.multiplier is None and self.modulus is None:
            raise ValueError("states neither another meter (serial, readings) nor another ratio")
        return self
