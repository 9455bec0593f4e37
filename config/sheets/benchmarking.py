"""The sheet of `kgce benchmark`."""

from __future__ import annotations

from config.columns import COVERAGE, UNIT, Table, flag, number, text

BENCHMARKING = Table(
    "benchmarking",
    "",
    ("subject", "indicator", "period", "against", "reference"),
    (
        text("subject", "product", "产品"),
        text("indicator", "unit_product_energy, _electricity or _coal", "指标"),
        text("period", "month or year", "期间"),
        number("value", "unit", "the figure", "数值"),
        number("low", "unit", "smallest value that the readings allow", "下限", nullable=True),
        number("high", "unit", "largest; empty where nothing bounds it", "上限", nullable=True),
        UNIT,
        COVERAGE,
        text("status", "complete or partial (the period is not whole)", "状态"),
        text(
            "against",
            "norm level 1 to 3, benchmark, baseline, own best, year before, peers best 5 %, peers "
            "median",
            "对标项",
        ),
        text("reference", "id of the row, or the period, that it is held against", "参照"),
        number("reference_value", "unit", "its value", "参照值"),
        number("gap", "unit", "value - reference_value; above zero is still to go", "差距"),
        number("gap_ratio", "1", "gap / |reference_value|", "差距比", nullable=True),
        flag("sure", "the gap has one sign within the figure's bounds", "确定"),
        number("tce_per_year", "tce/a", "what closing the gap saves in a year", "年节能量"),
        number(
            "cny_per_year",
            "CNY/a",
            "the same in money at the plant's prices; empty where they are not all stated",
            "年节约金额",
            nullable=True,
        ),
        text("confidence", "weakest confidence of the data behind both", "可信度"),
    ),
)
