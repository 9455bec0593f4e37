"""Every table of the lake, each column declared once: type, unit, meaning in both languages."""

from __future__ import annotations

from typing import NamedTuple

from config.balance_tables import ALLOCATIONS, BALANCES, CONVERSIONS
from config.book_tables import CLOSINGS, CORRECTIONS, METER_PERIODS, REVISIONS
from config.columns import (
    COVERAGE,
    ENTRY,
    METER,
    PERIOD,
    PLANT,
    UNIT,
    Column,
    Table,
    moment,
    month_of,
    number,
    text,
)
from config.loss_table import LOSSES

__all__ = ["TABLES", "Column", "Reading", "Table", "month_of"]


class Reading(NamedTuple):
    """One answer of one meter, or the reason why there is none.

    ``value`` is in the unit that the ledger states, before the CT x PT multiplier; it is None
    exactly when ``status`` is not ``good``. ``time_us`` and ``received_us`` are microseconds since
    the epoch, UTC. ``sequence`` counts the ticks of a polled meter's schedule (time // interval),
    and is None where nothing is scheduled.
    """

    meter_id: str
    quantity: str
    time_us: int
    value: float | None
    status: str
    source: str
    received_us: int
    sequence: int | None = None


READINGS = Table(
    "readings",
    "time_utc",
    ("plant_id", "meter_id", "quantity", "time_utc"),
    (
        PLANT,
        METER,
        text("quantity", "quantity read, as the register map names it", "读数项目"),
        moment(
            "time_utc", "time of the reading; for amounts and means the end of their span", "时间"
        ),
        number(
            "value",
            "the ledger's unit",
            "value before the CT x PT multiplier; empty unless good",
            "读数",
            nullable=True,
        ),
        text("status", "good, or the reason why there is no value", "状态"),
        text("source", "connection or file that it came from", "来源"),
        moment("received_utc", "when kgce received it", "接收时间"),
        Column("sequence", "int", "", "tick of the poll schedule", "采集序号", True),
    ),
)

INTERVALS = Table(
    "intervals",
    "interval_start_utc",
    ("plant_id", "meter_id", "quantity", "interval_start_utc"),
    (
        PLANT,
        METER,
        text("quantity", "quantity read", "读数项目"),
        moment("interval_start_utc", "start of the interval", "区间开始"),
        UNIT,
        number("measured", "unit", "amount measured inside the interval", "实测量"),
        number(
            "imputed", "unit", "part of a gap's amount that is laid into the interval", "插补量"
        ),
        text("imputation_code", "how the imputed part was made; empty where none", "插补方式"),
        COVERAGE,
        number("low", "unit", "smallest amount that the readings allow", "下限"),
        number("high", "unit", "largest; empty where nothing bounds it", "上限", nullable=True),
    ),
)

GAPS = Table(
    "gaps",
    "gap_start_utc",
    ("plant_id", "meter_id", "gap_start_utc", "gap_end_utc"),
    (
        PLANT,
        METER,
        moment("gap_start_utc", "last good reading before the gap", "缺口开始"),
        moment("gap_end_utc", "first good reading after the gap", "缺口结束"),
        text("code", "what made the gap and how its amount is known", "缺口类型"),
        UNIT,
        number(
            "amount",
            "unit",
            "amount over the whole gap; empty where unknown",
            "数量",
            nullable=True,
        ),
        number("low", "unit", "smallest amount over the gap", "下限"),
        number("high", "unit", "largest; empty where nothing bounds it", "上限", nullable=True),
        number(
            "max_rate_per_h",
            "unit/h",
            "rate that bounds any part of the gap; empty where the meter states none",
            "最大速率",
            nullable=True,
        ),
    ),
)

OUTPUTS = Table(
    "outputs",
    "start_utc",
    ("plant_id", "product_id", "start_utc", "end_utc"),
    (
        PLANT,
        text("product_id", "product", "产品"),
        moment("start_utc", "start of the span", "开始时间"),
        moment("end_utc", "end of the span", "结束时间"),
        number("qualified_quantity", "unit", "qualified output", "合格品产量"),
        UNIT,
        number("output_value_cny", "CNY", "output value", "产值", nullable=True),
        *ENTRY,
        text("shift", "shift that it was made in", "班次", nullable=True),
        text("batch", "batch that it is", "批次", nullable=True),
        text("reason", "why it corrects an earlier entry", "更正原因", nullable=True),
        text(
            "withdrawn", "yes: what was entered for the span is taken back", "撤销", nullable=True
        ),
    ),
)

STATEMENTS = Table(
    "statements",
    "start_utc",
    ("plant_id", "meter_id", "start_utc", "end_utc"),
    (
        PLANT,
        METER,
        moment("start_utc", "start of the span", "开始时间"),
        moment("end_utc", "end of the span", "结束时间"),
        UNIT,
        number("opening_stock", "unit", "stock at the start", "期初库存"),
        number("purchased", "unit", "purchased or received", "购进量"),
        number("closing_stock", "unit", "stock at the end", "期末库存"),
        number("sold", "unit", "sold or sent out", "外供量"),
        number("consumed", "unit", "opening + purchased - closing - sold", "消费量"),
        *ENTRY,
        text("reason", "why it corrects, or its stock differs", "更正原因", nullable=True),
        text(
            "withdrawn", "yes: what was entered for the span is taken back", "撤销", nullable=True
        ),
    ),
)

CONSUMPTION = Table(
    "consumption",
    "start_utc",
    ("plant_id", "node_id", "energy_code", "grain", "period"),
    (
        PLANT,
        text("node_id", "node of the plant tree", "用能单元"),
        text("energy_code", "energy or energy-carrying medium", "能源品种"),
        *PERIOD,
        number("amount", "unit", "net amount; empty where unknown", "消费量", nullable=True),
        UNIT,
        number("low", "unit", "smallest amount that the readings allow", "下限", nullable=True),
        number("high", "unit", "largest; empty where nothing bounds it", "上限", nullable=True),
        number(
            "kgce_calorific",
            "kgce",
            "coal equivalent, calorific basis",
            "折标煤（当量值）",
            nullable=True,
        ),
        number(
            "kgce_equivalent",
            "kgce",
            "coal equivalent, equivalent basis",
            "折标煤（等价值）",
            nullable=True,
        ),
        COVERAGE,
        text("status", "complete, partial (the period is not whole) or refused", "状态"),
        text("factors", "ids of the factors used, calorific then equivalent", "折标系数"),
        text("confidence", "weakest confidence of the factors used", "系数可信度"),
    ),
)

INDICATORS = Table(
    "indicators",
    "start_utc",
    ("plant_id", "indicator", "subject", "grain", "period", "norm"),
    (
        PLANT,
        text("indicator", "unit_product_energy, _electricity or _coal", "指标"),
        text("subject", "product that the figure is of", "产品"),
        *PERIOD,
        number("value", "unit", "the indicator; empty where refused", "指标值", nullable=True),
        UNIT,
        number("low", "unit", "smallest value that the readings allow", "下限", nullable=True),
        number("high", "unit", "largest; empty where nothing bounds it", "上限", nullable=True),
        COVERAGE,
        text("status", "complete, partial (the period is not whole) or refused", "状态"),
        text(
            "basis", "calorific or equivalent; physical where no coal equivalent enters", "折标口径"
        ),
        number("numerator", "numerator_unit", "energy", "能耗量", nullable=True),
        text("numerator_unit", "unit of the numerator", "能耗单位"),
        number(
            "denominator", "denominator_unit", "qualified (standard) output", "产量", nullable=True
        ),
        text("denominator_unit", "unit of the denominator", "产量单位"),
        text("norm", "id of the norm's row; empty where none is set", "限额条目"),
        text("standard", "standard and edition", "标准"),
        number("level1", "unit", "level 1, advanced", "1级（先进值）", nullable=True),
        number("level2", "unit", "level 2, access", "2级（准入值）", nullable=True),
        number("level3", "unit", "level 3, limit", "3级（限定值）", nullable=True),
        text(
            "corrections",
            "what the norm's own corrections made of the levels; empty where it has none",
            "限额修正",
        ),
        Column(
            "level_reached",
            "int",
            "",
            "best level that the value meets; 0 none; empty where not judged",
            "达到等级",
            True,
        ),
        *(
            number(
                f"distance_level{n}",
                "unit",
                f"value minus level {n}; above zero is still to go",
                f"距{n}级差距",
                nullable=True,
            )
            for n in (1, 2, 3)
        ),
        *(
            number(
                f"distance_level{n}_tce_per_year",
                "tce/a",
                "the same as coal equivalent a year at this period's rate of output",
                f"距{n}级年节能量",
                nullable=True,
            )
            for n in (1, 2, 3)
        ),
        text("confidence", "weakest confidence of the data behind the figure", "数据可信度"),
        text("provenance", "JSON: table versions, hashes of config and standards data", "数据来源"),
    ),
)

FINDINGS = Table(
    "findings",
    "start_utc",
    ("plant_id", "code", "subject", "start_utc", "end_utc"),
    (
        PLANT,
        text("code", "dotted name of what was found", "代码"),
        text("severity", "info, warning or error", "级别"),
        text("subject", "meter, product or node", "对象"),
        moment("start_utc", "start of the time concerned", "开始时间"),
        moment("end_utc", "end of the time concerned", "结束时间"),
        text("message", "what it is and what was done with the data", "说明"),
        text("evidence", "JSON that shows why", "证据"),
    ),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        READINGS,
        INTERVALS,
        GAPS,
        METER_PERIODS,
        OUTPUTS,
        STATEMENTS,
        CONSUMPTION,
        INDICATORS,
        FINDINGS,
        LOSSES,
        CORRECTIONS,
        CLOSINGS,
        REVISIONS,
        BALANCES,
        CONVERSIONS,
        ALLOCATIONS,
    )
}
