"""A plant's own norms and benchmarks: a printed annex, a newer edition, a province's rule."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from config.base import Model
from config.standards_rows import BenchmarkRow, NormRow


class OwnNorm(Model):
    """A norm's row of the plant; one with the id of a row of ours goes before it."""

    standard: str = Field(description="Standard with its edition, such as GB 16780-2021.")
    product: str = Field(description="Product as the standard names it.")
    indicator: str = Field(description="Indicator as the standard names it.")
    unit: str = Field(description="Unit of the levels, such as kgce/t.")
    level1: float | None = Field(None, description="Level 1, advanced (1级); none where blank.")
    level2: float | None = Field(None, description="Level 2, access (2级); none where blank.")
    level3: float | None = Field(None, description="Level 3, limit (3级); none where blank.")
    feedstock: Literal["included", "excluded"] = Field(
        "included", description="Whether energy used as raw material counts."
    )
    effective_from: date = Field(description="First day it holds.")
    source: str = Field(description="Where the numbers were read: page, notice, annex.")

    @property
    def id(self) -> str:
        return f"{self.standard}|{self.product}|{self.indicator}"

    def row(self, ours: NormRow | None) -> NormRow:
        """The row of the library; what it does not say is as in ``ours``."""
        return NormRow(
            id=self.id,
            standard=self.standard,
            title_zh=ours.title_zh if ours else self.standard,
            sector_zh=ours.sector_zh if ours else "",
            sector_en=ours.sector_en if ours else "",
            product=self.product,
            indicator=self.indicator,
            unit=self.unit,
            level1=self.level1,
            level2=self.level2,
            level3=self.level3,
            effective_from=self.effective_from,
            confidence="seen",
            correction=ours.correction if ours else "",
            feedstock=self.feedstock if "feedstock" in self.model_fields_set else _of(ours),
            note=self.source,
        )


def _of(ours: NormRow | None) -> str:
    return ours.feedstock if ours else ""


class OwnBenchmark(Model):
    """Benchmark and baseline of the plant's; with the id of a row of ours it goes before it."""

    notice: str = Field(description="Notice, such as 发改产业〔2023〕723号.")
    product: str = Field(description="Product as the notice names it.")
    indicator: str = Field(description="Indicator as the notice names it.")
    unit: str = Field(description="Unit of the levels, such as kgce/t.")
    benchmark_level: float | None = Field(None, description="Benchmark (标杆水平).")
    baseline_level: float | None = Field(None, description="Baseline (基准水平).")
    effective_from: date = Field(description="First day it holds.")
    source: str = Field(description="Where the numbers were read: page, notice, annex.")

    @property
    def id(self) -> str:
        return f"{self.notice}|{self.product}|{self.indicator}"

    def row(self, ours: BenchmarkRow | None) -> BenchmarkRow:
        """The row of the library; what it does not say is as in ``ours``."""
        return BenchmarkRow(
            id=self.id,
            notice=self.notice,
            sector_zh=ours.sector_zh if ours else "",
            sector_en=ours.sector_en if ours else "",
            product=self.product,
            product_en=ours.product_en if ours else self.product,
            indicator=self.indicator,
            unit=self.unit,
            benchmark_level=self.benchmark_level,
            baseline_level=self.baseline_level,
            effective_from=self.effective_from,
            confidence="seen",
            reference_standard=ours.reference_standard if ours else "",
            note=self.source,
        )
