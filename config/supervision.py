"""What energy-saving supervision needs to know beside figures: returns, holidays, filings."""

from __future__ import annotations

from datetime import date

from pydantic import Field, model_validator

from config.base import Identifier, Model
from config.economy import PERIOD


class Reported(Model):
    """An amount as it was reported: in the statistical return, or on a bill."""

    node: Identifier = Field(description="Node that it is of, mostly the plant.")
    energy: Identifier = Field(description="Energy code.")
    period: str = Field(pattern=PERIOD, description="Month, `2026-10`, or year, `2026`.")
    amount: float = Field(description="Amount reported.")
    unit: str = Field(description="Its unit, such as kWh or t.")
    source: str = Field(description="Form, line and date of the return, or number of the bill.")


class FiledOutage(Model):
    """An outage of online data that was filed with the authority in time."""

    meters: tuple[Identifier, ...] = Field((), description="Meters that it hit; none: all of them.")
    first_day: date = Field(description="First day.")
    last_day: date = Field(description="Last day.")
    note: str = Field(description="Where and when it was filed.")

    @model_validator(mode="after")
    def _in_order(self) -> FiledOutage:
        if self.last_day < self.first_day:
            raise ValueError(f"last_day {self.last_day} is before first_day {self.first_day}")
        return self


class Supervision(Model):
    """For `kgce supervise`."""

    new_products: tuple[Identifier, ...] = Field(
        (),
        description="Products whose plant is new, rebuilt or extended: held to level 2 of the "
        "norm, not to level 3.",
    )
    reported: tuple[Reported, ...] = Field((), description="Amounts that were reported.")
    holidays: tuple[date, ...] = Field(
        (),
        description="Public holidays from Monday to Friday, on which no repair is due. In a year "
        "without one, days on which a holiday may fall leave an outage undecided.",
    )
    filed_outages: tuple[FiledOutage, ...] = Field(
        (), description="Outages of online data that were filed."
    )
