"""The sheets of `kgce carbon`."""

from __future__ import annotations

from config.columns import COVERAGE, UNIT, Table, number, text

PERIOD = text("period", "month or year", "期间")
LOW = number("low", "unit", "smallest value that the readings allow", "下限", nullable=True)
HIGH = number("high", "unit", "largest; empty where nothing bounds it", "上限", nullable=True)
STATUS = text("status", "complete, partial (the period is not whole) or refused", "状态")
FACTORS = text("factors", "ids of the emission factors used", "排放因子")
CONFIDENCE = text("confidence", "weakest confidence of the data behind the figure", "可信度")
REASON = text("reason", "why there is no value; else empty", "无值原因")
NOTE = text("note", "what is to be known of the figure", "备注")

CARBON = Table(
    "carbon",
    "",
    ("scope", "source", "period"),
    (
        text(
            "scope",
            "direct, electricity, heat, exported (deducted), total; not in it: own_renewable, "
            "biomass, feedstock",
            "排放范围",
        ),
        text("source", "energy code; `all` for the sum of a scope", "排放源"),
        PERIOD,
        number("amount", "amount_unit", "amount of the energy", "活动水平", nullable=True),
        text("amount_unit", "unit of the amount; empty for a sum", "数量单位"),
        number("factor", "tCO2/amount_unit", "emission factor", "排放因子值", nullable=True),
        number("value", "unit", "CO2; empty where unknown", "二氧化碳排放量", nullable=True),
        LOW,
        HIGH,
        UNIT,
        COVERAGE,
        STATUS,
        FACTORS,
        CONFIDENCE,
        REASON,
        NOTE,
    ),
)

CARBON_INTENSITY = Table(
    "carbon_intensity",
    "",
    ("indicator", "subject", "period"),
    (
        text(
            "indicator",
            "carbon_per_product, product_footprint (gate to gate), carbon_per_output_value, "
            "carbon_per_added_value or carbon_per_energy",
            "指标",
        ),
        text("subject", "product, or plant", "对象"),
        PERIOD,
        number("value", "unit", "the figure; empty where unknown", "数值", nullable=True),
        LOW,
        HIGH,
        UNIT,
        number("numerator", "tCO2", "energy-related CO2", "二氧化碳排放量", nullable=True),
        number("denominator", "denominator_unit", "output, money or energy", "分母", nullable=True),
        text("denominator_unit", "unit of the denominator", "分母单位"),
        COVERAGE,
        STATUS,
        FACTORS,
        CONFIDENCE,
        REASON,
        NOTE,
    ),
)

SUPPLY_CHAIN = Table(
    "supply_chain_carbon",
    "",
    ("material", "supplier", "period"),
    (
        text("material", "material that was bought; total for all", "材料"),
        text("supplier", "who supplied it; empty for the total", "供应商"),
        PERIOD,
        number("quantity", "quantity_unit", "how much", "采购量", nullable=True),
        text("quantity_unit", "unit of the quantity", "数量单位"),
        number(
            "tco2_per_unit", "tCO2/unit", "footprint to the supplier's gate", "单位碳足迹",
            nullable=True,
        ),
        number("value", "tCO2", "CO2 of making it; empty where not reported", "二氧化碳排放量",
               nullable=True),
        number("known", "tCO2", "of the total, what is reported", "已知排放量", nullable=True),
        UNIT,
        STATUS,
        text("source", "report or data base that the footprint is from", "来源"),
        REASON,
    ),
)  # fmt: skip

RENEWABLES = Table(
    "renewables",
    "",
    ("item", "subject", "period"),
    (
        text(
            "item",
            "own, direct_line, biomass, traded, certificate, sold; then electricity, energy, "
            "renewable, non_fossil; then renewable_rate, non_fossil_rate",
            "项目",
        ),
        text("subject", "meter, energy or certificate; `all` for the plant", "对象"),
        PERIOD,
        text("technology", "what it is made of; empty where that is not one", "能源类型"),
        number("stated", "unit", "amount metered or stated", "申报量", nullable=True),
        number("value", "unit", "what counts; empty where unknown", "计入量", nullable=True),
        LOW,
        HIGH,
        number(
            "unused",
            "unit",
            "what is over, sold or without its electricity, and does not count",
            "未计入量",
            nullable=True,
        ),
        UNIT,
        number("tce", "tce", "what counts, calorific basis", "折标煤", nullable=True),
        COVERAGE,
        STATUS,
        CONFIDENCE,
        text("source", "where a stated amount is from; else empty", "来源"),
        REASON,
        NOTE,
    ),
)
