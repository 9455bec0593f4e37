"""The tables that an energy auditor delivers for a year (能源审计报告附表)."""

from __future__ import annotations

from config.columns import COVERAGE, UNIT, Column, Table, flag, number, text

_STATUS = text("status", "complete, partial (the period is not whole) or refused", "状态")
_CONFIDENCE = text("confidence", "weakest confidence of the data behind the row", "可信度")
_NODE = text("node_id", "node of the plant tree", "用能单元")
_NODE_NAME = text("node_name", "its name", "用能单元名称")
_ENERGY = text("energy_code", "energy or energy-carrying medium; or total", "能源品种")
_ENERGY_NAME = text("energy_name", "its name in Chinese", "能源名称")
_LOW = number("low", "unit", "smallest value that the readings allow", "下限", nullable=True)
_HIGH = number("high", "unit", "largest; empty where nothing bounds it", "上限", nullable=True)

CONSUMPTION_SUMMARY = Table(
    "audit_consumption",
    "",
    ("energy_code",),
    (
        _ENERGY,
        _ENERGY_NAME,
        number("amount", "unit", "net consumption of the plant", "消费量", nullable=True),
        UNIT,
        _LOW,
        _HIGH,
        number(
            "tce_calorific", "tce", "coal equivalent, calorific", "折标煤（当量值）", nullable=True
        ),
        number(
            "tce_equivalent",
            "tce",
            "coal equivalent, equivalent",
            "折标煤（等价值）",
            nullable=True,
        ),
        number(
            "share_ratio",
            "1",
            "share of the calorific total; empty where a part of the total is unknown",
            "占比",
            nullable=True,
        ),
        number(
            "feedstock_tce",
            "tce",
            "part of it that is raw material, calorific",
            "其中原料用能",
            nullable=True,
        ),
        number("purchased", "unit", "purchased, as stated", "购进量", nullable=True),
        number("opening_stock", "unit", "stock at the start, as stated", "期初库存", nullable=True),
        number("closing_stock", "unit", "stock at the end, as stated", "期末库存", nullable=True),
        number("sold", "unit", "sent out, as stated", "外供量", nullable=True),
        COVERAGE,
        _STATUS,
        _CONFIDENCE,
    ),
)

CONVERSION = Table(
    "audit_conversion",
    "",
    ("kind", "node_id", "energy_code"),
    (
        text("kind", "conversion or recovery", "类别"),
        _NODE,
        _NODE_NAME,
        _ENERGY,
        _ENERGY_NAME,
        number("amount", "unit", "made, or recovered", "产出或回收量", nullable=True),
        UNIT,
        number("input_tce", "tce", "energy put in, calorific", "投入", nullable=True),
        number("output_tce", "tce", "energy content of what was made", "产出", nullable=True),
        number("efficiency_ratio", "1", "output / input", "转换效率", nullable=True),
        COVERAGE,
        _STATUS,
        _CONFIDENCE,
    ),
)

BALANCE = Table(
    "audit_balance",
    "",
    ("node_id", "energy_code"),
    (
        _NODE,
        _NODE_NAME,
        _ENERGY,
        _ENERGY_NAME,
        number("amount", "unit", "net consumption of the node", "消费量", nullable=True),
        UNIT,
        number(
            "tce_calorific", "tce", "coal equivalent, calorific", "折标煤（当量值）", nullable=True
        ),
        number(
            "share_ratio", "1", "share of the plant's amount of this energy", "占比", nullable=True
        ),
        number("branches", "unit", "what the meters below say", "分表量", nullable=True),
        number("residual", "unit", "main + inside - branches - aside", "不平衡量", nullable=True),
        number("tolerance", "unit", "what the accuracy classes explain", "允许差", nullable=True),
        text("balance", "status of the balance; empty where none is metered", "平衡状态"),
        COVERAGE,
        _STATUS,
        _CONFIDENCE,
    ),
)

PRODUCTS = Table(
    "audit_products",
    "",
    ("product_id", "indicator", "norm"),
    (
        text("product_id", "product", "产品"),
        text("product_name", "its name", "产品名称"),
        text("indicator", "unit_product_energy, _electricity or _coal", "指标"),
        text("norm", "id of the norm's row; empty where none is set", "限额条目"),
        UNIT,
        *(
            column
            for prefix, en, zh in (("", "", "本年"), ("before_", " of the year before", "上年"))
            for column in (
                number(f"{prefix}value", "unit", f"figure{en}", f"{zh}指标值", nullable=True),
                number(f"{prefix}low", "unit", f"smallest{en}", f"{zh}下限", nullable=True),
                number(f"{prefix}high", "unit", f"largest{en}", f"{zh}上限", nullable=True),
                number(
                    f"{prefix}numerator", "numerator_unit", f"energy{en}", f"{zh}能耗量",
                    nullable=True,
                ),
                number(
                    f"{prefix}denominator", "denominator_unit", f"output{en}", f"{zh}产量",
                    nullable=True,
                ),
                text(f"{prefix}status", f"status{en}; empty where there is none", f"{zh}状态"),
            )
        ),
        text("numerator_unit", "unit of the energy", "能耗单位"),
        text("denominator_unit", "unit of the output", "产量单位"),
        number("change", "unit", "this year less the year before", "变化", nullable=True),
        number("change_ratio", "1", "change / |year before|", "变化率", nullable=True),
        Column("level_reached", "int", "", "best level that it meets; 0 none", "达到等级", True),
        COVERAGE,
        _CONFIDENCE,
    ),
)  # fmt: skip

FACTORS = Table(
    "audit_factors",
    "",
    ("energy_code", "basis"),
    (
        _ENERGY,
        _ENERGY_NAME,
        text("basis", "calorific or equivalent", "折标口径"),
        UNIT,
        number("kgce_per_unit", "kgce/unit", "coefficient", "折标系数", nullable=True),
        text("factor", "id of the row; empty where none gives a number", "系数条目"),
        text("edition", "standard, notice or certificate", "依据"),
        _CONFIDENCE,
    ),
)

SAVINGS = Table(
    "audit_savings",
    "",
    ("subject",),
    (
        text("subject", "product; output_value; or total of the products", "对象"),
        text("method", "by product, or by output value (GB/T 13234)", "方法"),
        number("before", "unit", "unit consumption of the year before", "基期单耗", nullable=True),
        number("now", "unit", "unit consumption of the year", "报告期单耗", nullable=True),
        UNIT,
        number("quantity", "quantity_unit", "output of the year", "报告期产量", nullable=True),
        text("quantity_unit", "unit of the output", "产量单位"),
        number(
            "saved_tce", "tce", "saved; below zero where more was used", "节能量", nullable=True
        ),
        number("low", "tce", "least that the bounds of both years allow", "下限", nullable=True),
        number("high", "tce", "most", "上限", nullable=True),
        _STATUS,
        _CONFIDENCE,
    ),
)

METERS = Table(
    "audit_meters",
    "",
    ("meter_id",),
    (
        text("meter_id", "meter", "计量器具"),
        text("name", "its name", "名称"),
        _NODE,
        text("level", "plant, process or equipment", "计量级别"),
        text("measures", "energy or product", "计量对象"),
        text("role", "role in its node", "用途"),
        text("accuracy_class", "accuracy class; empty where not stated", "准确度等级"),
        text("calibrated_on", "last calibration; empty where not stated", "检定日期"),
        text("calibration_due", "next calibration; empty where not stated", "有效期至"),
        text("calibration", "valid, overdue or unknown on the last day of the year", "检定状态"),
        number("amount", "unit", "amount of the year", "年计量值", nullable=True),
        UNIT,
        COVERAGE,
    ),
)

EQUIPMENT = Table(
    "audit_equipment",
    "",
    ("equipment_id",),
    (
        text("equipment_id", "equipment", "设备编号"),
        text("name", "its name", "设备名称"),
        _NODE,
        text("model", "model", "型号"),
        Column("count", "int", "", "how many", "台数"),
        number("rated_kw", "kW", "rated power of one", "额定功率", nullable=True),
        number("total_kw", "kW", "rated power of all", "总功率", nullable=True),
        Column("in_use_since", "int", "", "year of commissioning", "投用年份", True),
        flag("obsolete", "in a catalogue of equipment to be eliminated", "淘汰", nullable=True),
        text("listed_in", "catalogue that lists it; empty where none does", "淘汰目录"),
    ),
)

AUDIT: tuple[Table, ...] = (
    CONSUMPTION_SUMMARY, CONVERSION, BALANCE, PRODUCTS, FACTORS, SAVINGS, METERS, EQUIPMENT,
)  # fmt: skip
