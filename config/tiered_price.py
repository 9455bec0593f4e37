"""What a production line is, as the rules of tiered electricity prices (阶梯电价) ask."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from config.base import Identifier, Model
from config.standards_tiered import Sector, UnitClass


class StatedFigure(Model):
    """The figure of a year as the authority accepted it; it goes before the computed one."""

    year: int = Field(ge=2000, le=2100, description="Calendar year that the figure is of.")
    value: float = Field(description="In the unit of the rule's thresholds.")
    low: float | None = Field(None, description="Least that it can be; default the value.")
    high: float | None = Field(None, description="Most that it can be; default the value.")
    source: str = Field(description="Verification report or notice.")

    @model_validator(mode="after")
    def _in_order(self) -> StatedFigure:
        low, high = self.low, self.high
        if (low is not None and low > self.value) or (high is not None and high < self.value):
            raise ValueError(f"{self.value} is not from {low} to {high}")
        return self


class TieredPrice(Model):
    """A product's line that a tiered or differential electricity price may apply to."""

    product: Identifier = Field(description="Product whose electricity is charged.")
    sector: Sector = Field(description="Sector, as the rules name it.")
    indicator: Literal["unit_product_electricity", "unit_product_energy"] = Field(
        "unit_product_electricity", description="Figure of the product that the rules judge."
    )
    norm: str | None = Field(
        None, description="Which figure, by its norm, where norms correct it in different ways."
    )
    province: str | None = Field(
        None, pattern=r"^\d{2}0000$", description="Default the plant's region."
    )
    unit_class: UnitClass = Field(
        "none", description="Class of the unit in the industry catalogue, or its task list."
    )
    in_production_since: date | None = Field(
        None, description="First day of production; some rules have two sets of bands."
    )
    renewable_percent: float | None = Field(
        None,
        ge=0,
        le=100,
        description="Renewable share of its electricity, without water power; where it is not "
        "stated, a surcharge that it would lower is only bounded.",
    )
    renewable_source: str = Field("", description="Where the share is from: certificates, bills.")
    figures: tuple[StatedFigure, ...] = Field(
        (), description="Figures as accepted, by year, such as comparable (可比) ones."
    )

    @model_validator(mode="after")
    def _consistent(self) -> TieredPrice:
        if self.renewable_percent is not None and not self.renewable_source:
            raise ValueError("renewable_percent without renewable_source: say where it is from")
        years = [figure.year for figure in self.figures]
        for year in years:
            if years.count(year) > 1:
                raise ValueError(f"year {year} stands twice; allowed: one figure for a year")
        return self

    def stated(self, year: int) -> StatedFigure | None:
        """The accepted figure of a year."""
        return next((figure for figure in self.figures if figure.year == year), None)
