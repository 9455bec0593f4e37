"""Energy baselines, targets and energy-use quotas of the plant."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from config.base import Identifier, Model


class Adjustment(Model):
    """A change that the drivers do not tell of, put onto what the baseline expects."""

    from_: date = Field(alias="from", description="First day it holds.")
    to: date | None = Field(None, description="Last day it holds; default for ever.")
    factor: float | None = Field(None, gt=0, description="What is expected, times this.")
    amount_per_day: float | None = Field(
        None, description="What is expected, plus this a day, in the baseline's unit."
    )
    reason: str = Field(min_length=1, description="Why: the non-routine event.")
    entered_on: date = Field(description="Day on which it was decided.")
    entered_by: str = Field(min_length=1, description="By whom.")

    @model_validator(mode="after")
    def _one_of_two(self) -> Adjustment:
        if (self.factor is None) == (self.amount_per_day is None):
            raise ValueError("give either `factor` or `amount_per_day`")
        if self.to is not None and self.to < self.from_:
            raise ValueError("`to` is before `from`")
        return self


class Baseline(Model):
    """A baseline (能源基准): the energy of a node in a base period, by what drives it."""

    id: Identifier = Field(description="Id of the baseline.")
    node: Identifier = Field(description="Node whose energy it is of.")
    energy: str | None = Field(
        None, description="Energy code, in its unit; default all energies together, in kgce."
    )
    basis: Literal["calorific", "equivalent"] = Field(
        "calorific", description="Coal equivalents in which all energies are added."
    )
    grain: Literal["hour", "day", "month"] = Field(
        "month", description="Length of a period; at least 12 complete ones are needed."
    )
    from_: date = Field(alias="from", description="First day of the base period.")
    to: date = Field(description="Last day of the base period.")
    drivers: tuple[Identifier, ...] = Field(
        min_length=1,
        description="Products (their output), meters (their amounts), and columns of `file`.",
    )
    file: Path | None = Field(
        None,
        description="CSV file beside plant.yaml of what no meter measures, such as degree days: a "
        "column `period` (2026-10, 2026-10-05 or 2026-10-05T14:00+08:00) and one for each driver.",
    )
    confidence_level: float = Field(
        0.9, ge=0.5, lt=1, description="Confidence of the uncertainty of savings and forecasts."
    )
    adjustments: tuple[Adjustment, ...] = Field((), description="Non-routine adjustments.")

    @model_validator(mode="after")
    def _in_order(self) -> Baseline:
        if self.to < self.from_:
            raise ValueError("`to` is before `from`")
        return self


class Target(Model):
    """What a year may use, emit, or need for a unit of product, at most."""

    id: Identifier = Field(description="Id of the target, unique in its year.")
    year: int = Field(ge=2000, le=2100, description="Statistical year.")
    kind: Literal["energy", "carbon", "unit_product"] = Field(description="What is limited.")
    limit: float = Field(description="The most that is allowed, in the unit of its kind.")
    node: Identifier | None = Field(
        None,
        description="Node, for energy [tce]; default the plant. Carbon [tCO2] is of the plant.",
    )
    product: Identifier | None = Field(
        None, description="Product, for energy [tce] and unit_product [the indicator's unit]."
    )
    indicator: Literal["unit_product_energy", "unit_product_electricity", "unit_product_coal"] = (
        Field("unit_product_energy", description="Which, for unit_product.")
    )
    norm: str | None = Field(
        None, description="Norm whose figure of the product it is of; default its first."
    )
    basis: Literal["calorific", "equivalent"] = Field(
        "calorific", description="Coal equivalents of an energy target of a node."
    )
    baseline: Identifier | None = Field(
        None, description="Baseline that forecasts the rest of the year, of the same node."
    )
    planned: dict[Identifier, float] = Field(
        default_factory=dict,
        description="Drivers' planned totals of the year, for the baseline; else as to date.",
    )
    source: str = Field(min_length=1, description="Where it was set: budget, notice, contract.")

    @model_validator(mode="after")
    def _has_a_subject(self) -> Target:
        if self.kind == "unit_product" and self.product is None:
            raise ValueError("unit_product needs `product`")
        if self.node is not None and self.product is not None:
            raise ValueError("give either `node` or `product`")
        if self.kind == "carbon" and (self.product is not None or self.node is not None):
            raise ValueError("carbon is of the plant")
        if self.norm is not None and self.product is None:
            raise ValueError("`norm` needs `product`")
        if self.kind != "energy" and self.baseline is not None:
            raise ValueError("a baseline forecasts energy; allowed: kind energy")
        return self


class Quota(Model):
    """The right to use energy (用能权) in a year, and what was traded of it."""

    year: int = Field(ge=2000, le=2100, description="Year of the allowance.")
    allowance_tce: float = Field(ge=0, description="Allowance as it was set, tce.")
    bought_tce: float = Field(0.0, ge=0, description="Bought since, tce.")
    sold_tce: float = Field(0.0, ge=0, description="Sold since, tce.")
    basis: Literal["calorific", "equivalent"] = Field(
        description="Coal equivalents that the allowance counts in."
    )
    baseline: Identifier | None = Field(
        None, description="Baseline of the plant that forecasts the rest of the year."
    )
    planned: dict[Identifier, float] = Field(
        default_factory=dict, description="Drivers' planned totals of the year."
    )
    source: str = Field(min_length=1, description="Notice that set it, and of the trades.")
