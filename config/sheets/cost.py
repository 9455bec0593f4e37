"""The sheets of `kgce structure`, `kgce cost` and `kgce surcharge`."""

from __future__ import annotations

from config.columns import COVERAGE, UNIT, Table, moment, number, text

_PERIOD = text("period", "month or year", "期间")
_STATUS = text("status", "complete, partial (the period is not whole) or refused", "状态")
_REASON = text("reason", "why a value is empty, or what it is only bounded by", "说明")
_LOW = number("low", "unit", "smallest value that the readings allow", "下限", nullable=True)
_HIGH = number("high", "unit", "largest; empty where nothing bounds it", "上限", nullable=True)

STRUCTURE = Table(
    "structure",
    "",
    ("period", "by", "part", "basis"),
    (
        _PERIOD,
        text("by", "energy, process or economy", "划分"),
        text(
            "part",
            "energy; node below the plant, or unallocated; output_value or added_value; total",
            "组成",
        ),
        text("basis", "calorific or equivalent", "折标口径"),
        number("value", "unit", "coal equivalent; empty where unknown", "数值", nullable=True),
        _LOW,
        _HIGH,
        text("unit", "tce; tce/10^4 CNY of value", "单位"),
        number("share_pct", "%", "share of the known total", "占比", nullable=True),
        number("known_total_tce", "tce", "sum of the parts that are known", "已知合计"),
        number("amount", "amount_unit", "amount of the energy", "实物量", nullable=True),
        text("amount_unit", "unit of the amount; empty where it is a sum", "实物单位"),
        COVERAGE,
        _STATUS,
        text("confidence", "weakest confidence of the factors used", "可信度"),
        text("sources", "ids of factors; where the money is from", "来源"),
        _REASON,
    ),
)

TARIFF_PERIODS = Table(
    "tariff_periods",
    "",
    ("period", "tariff_period"),
    (
        _PERIOD,
        text(
            "tariff_period",
            "sharp, peak, flat, valley or deep_valley; no_tariff where none is in force; "
            "not_billed for what other meters bring; total",
            "时段",
        ),
        number("value", "unit", "electricity; empty where unknown", "电量", nullable=True),
        _LOW,
        _HIGH,
        UNIT,
        number("measured", "unit", "part that was measured", "实测量"),
        number("imputed", "unit", "part that gaps put there, even over each gap", "插补量"),
        number("share_pct", "%", "share of the known total", "占比", nullable=True),
        number("hours", "h", "time that belongs to it", "时长"),
        number(
            "cny_per_kwh", "CNY/kWh", "mean price; empty where there is none", "电价", nullable=True
        ),
        COVERAGE,
        _STATUS,
        text("sources", "tariffs in force", "来源"),
        _REASON,
    ),
)

COST = Table(
    "cost",
    "",
    ("period", "subject", "item", "energy_code", "tariff_period", "month"),
    (
        _PERIOD,
        text("subject", "plant, or a product", "对象"),
        text(
            "item",
            "energy_cost, demand_charge, total, unit_cost (of one unit of the product)",
            "费用项目",
        ),
        text("energy_code", "energy; empty for sums", "能源品种"),
        text("tariff_period", "of electricity under a tariff; else empty", "时段"),
        text("month", "month of a demand charge; else empty", "月份"),
        number("value", "unit", "cost; empty where unknown", "金额", nullable=True),
        _LOW,
        _HIGH,
        text("unit", "CNY, or CNY a unit of the product", "单位"),
        number("share_pct", "%", "share of the subject's known cost", "占比", nullable=True),
        number(
            "amount",
            "amount_unit",
            "energy, highest demand, or output",
            "数量",
            nullable=True,
        ),
        text("amount_unit", "unit of the amount", "数量单位"),
        number(
            "price",
            "CNY/amount_unit",
            "mean price",
            "单价",
            nullable=True,
        ),
        moment(
            "demand_start_utc",
            "start of the interval in which the highest demand stood",
            "最大需量时间",
            nullable=True,
        ),
        COVERAGE,
        _STATUS,
        text("confidence", "weakest confidence of the standards data used", "可信度"),
        text("sources", "prices and tariffs used", "来源"),
        _REASON,
    ),
)

SURCHARGE = Table(
    "surcharge",
    "",
    ("year", "product", "rule"),
    (
        text("year", "calendar year in which it is paid", "年度"),
        text("product", "product whose line is judged", "产品"),
        text("rule", "id of the row of the rules; empty where none can be named", "规则条目"),
        text("edition", "policy", "政策"),
        text("kind", "class, band or step", "规则类型"),
        text("province", "province, GB/T 2260", "省份"),
        text("indicator_zh", "figure that the rule judges, in its own words", "规则所用指标"),
        text("judged_by", "figure's year and where it is from; or the unit's class", "评价依据"),
        number("figure", "figure_unit", "figure of the year before", "上年指标值", nullable=True),
        number("figure_low", "figure_unit", "least that it can be", "指标下限", nullable=True),
        number("figure_high", "figure_unit", "most that it can be", "指标上限", nullable=True),
        text("figure_unit", "unit of figure and threshold", "指标单位"),
        number(
            "threshold",
            "figure_unit",
            "end of the band, or where the steps begin",
            "门槛值",
            nullable=True,
        ),
        number("value", "unit", "surcharge; empty where not known", "加价", nullable=True),
        _LOW,
        _HIGH,
        text("unit", "CNY/kWh", "单位"),
        number("kwh", "kWh", "electricity that it is paid on", "电量", nullable=True),
        number("cny", "CNY", "what it comes to", "加价金额", nullable=True),
        number("cny_low", "CNY", "least", "金额下限", nullable=True),
        number("cny_high", "CNY", "most", "金额上限", nullable=True),
        COVERAGE,
        _STATUS,
        text("confidence", "weakest confidence of the data behind it", "可信度"),
        text("sources", "ids of all rows used", "来源"),
        _REASON,
    ),
)

COST_SHEETS = (STRUCTURE, TARIFF_PERIODS, COST, SURCHARGE)
