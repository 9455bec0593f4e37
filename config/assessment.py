"""What judging and pricing the figures needs, and no meter gives.

Nothing of it enters into a figure, so a change of it computes none anew.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from config.base import Identifier, Model
from config.baselines import Baseline, Quota, Target
from config.carbon import Carbon
from config.economy import EconomyRow
from config.equipment import Equipment
from config.metering import Metering
from config.rubric import Rubric
from config.standards_files import DATASETS
from config.supervision import Supervision
from config.tariffs import Price, Tariff
from config.tiered_price import TieredPrice


class Assessment(Model):
    """Prices, evidence, targets: for the sheets, and for no figure."""

    standards: dict[str, Path] = Field(
        default_factory=dict,
        description="Files of your own rows, by the name of a file of config/standards without "
        ".csv; with the same columns. A row with the id of one of ours goes before it.",
    )
    economy: tuple[EconomyRow, ...] = Field(
        (), description="Output value and value added, by month or year."
    )
    carbon: Carbon = Field(Carbon(), description="Emission factors and renewable energy.")
    baselines: tuple[Baseline, ...] = Field((), description="Energy baselines (能源基准).")
    targets: tuple[Target, ...] = Field((), description="Targets and budgets of years.")
    quotas: tuple[Quota, ...] = Field((), description="Rights to use energy (用能权), by year.")
    equipment: dict[Identifier, Equipment] = Field(
        default_factory=dict, description="The equipment ledger, by id."
    )
    prices: tuple[Price, ...] = Field((), description="What energies cost, dated.")
    tariffs: tuple[Tariff, ...] = Field((), description="Tariffs of electricity, dated.")
    tiered_price: tuple[TieredPrice, ...] = Field(
        (), description="Products that a tiered or differential electricity price may apply to."
    )
    rubric: Rubric = Field(Rubric(), description="The green-factory rubric.")
    metering: Metering = Field(Metering(), description="Metering beside the ledger.")
    supervision: Supervision = Field(Supervision(), description="Energy-saving supervision.")

    @field_validator("economy")
    @classmethod
    def _one_row_for_a_period(cls, rows: tuple[EconomyRow, ...]) -> tuple[EconomyRow, ...]:
        labels = [row.period for row in rows]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"{label} stands twice; allowed: one row for a period")
        return rows

    @field_validator("standards")
    @classmethod
    def _known_files(cls, given: dict[str, Path]) -> dict[str, Path]:
        for name in given:
            if name not in DATASETS:
                raise ValueError(f"{name!r} is no such file; allowed: {', '.join(DATASETS)}")
        return given
