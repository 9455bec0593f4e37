"""The columns of entries, and the Chinese headings under which files may have them."""

from __future__ import annotations

HEADINGS: dict[str, str] = {
    "产品": "product_id",
    "产品编号": "product_id",
    "计量器具": "meter_id",
    "计量器具编号": "meter_id",
    "开始": "start",
    "开始时间": "start",
    "结束": "end",
    "结束时间": "end",
    "日期": "date",
    "月份": "month",
    "班次": "shift",
    "批次": "batch",
    "产量": "qualified_quantity",
    "合格品产量": "qualified_quantity",
    "单位": "unit",
    "产值": "output_value_cny",
    "期初库存": "opening_stock",
    "购进": "purchased",
    "购进量": "purchased",
    "期末库存": "closing_stock",
    "外供": "sold",
    "外供量": "sold",
    "原因": "reason",
    "更正原因": "reason",
}

TIMES = ("start", "end", "date", "month", "shift")
PRODUCTION = ("product_id", "qualified_quantity")
PRODUCTION_OPTIONAL = (*TIMES, "batch", "unit", "output_value_cny", "reason")
AMOUNTS = ("opening_stock", "purchased", "closing_stock", "sold")
STATEMENTS = ("meter_id", *AMOUNTS)
STATEMENTS_OPTIONAL = (*TIMES, "unit", "reason")
