"""The sample plant on paper: nodes, products, connections and the meter ledger.

A dry-process cement works: one kiln of 2,500 t of clinker a day with waste heat power generation,
two cement mills, packing. No real plant is meant.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from config.models import Meter, Node, Product

PLANT_ID = "sample-cement"
PLANT_NAME = "示例水泥有限公司 Sample Cement"
INDUSTRY = "3011"  # GB/T 4754-2017: cement manufacturing
REGION = "350000"  # Fujian
TIMEZONE = "Asia/Shanghai"

LINE_GATEWAY, MILL_GATEWAY, WEIGHING = "line_gateway", "mill_gateway", "weighing"
WEIGHING_TOPIC = "works/weighing"
BATCH_TOPIC = "works/batches"
BATCH_MINUTES = 15.0

NODES: dict[str, Node] = {
    "works": Node(name="全厂 Works", level="plant", losses_ratio=0.02),
    "raw_prep": Node(name="生料制备 Raw meal", level="process", parent="works"),
    "clinker_line": Node(name="熟料烧成 Clinker line", level="process", parent="works"),
    "kiln": Node(name="回转窑 Kiln", level="equipment", parent="clinker_line"),
    "coal_mill": Node(name="煤磨 Coal mill", level="equipment", parent="clinker_line"),
    "waste_heat": Node(name="余热发电 Waste heat power", level="equipment", parent="clinker_line"),
    "cement_line": Node(name="水泥粉磨 Cement grinding", level="process", parent="works"),
    "mill_1": Node(name="1号水泥磨 Cement mill 1", level="equipment", parent="cement_line"),
    "mill_2": Node(name="2号水泥磨 Cement mill 2", level="equipment", parent="cement_line"),
    "packing": Node(name="包装发运 Packing", level="process", parent="works"),
    "utilities": Node(name="空压与供水 Compressed air, water", level="process", parent="works"),
    "office": Node(name="办公生活 Office", level="process", parent="works"),
}

PRODUCTS: dict[str, Product] = {
    "clinker": Product(
        name="水泥熟料 Clinker",
        unit="t",
        boundary=("raw_prep", "clinker_line"),
        benchmarks=("发改产业〔2023〕723号|水泥熟料|单位产品综合能耗",),
        norms=(
            "GB 16780-2021|水泥熟料|单位产品综合能耗",
            "GB 16780-2021|水泥熟料|单位产品综合电耗",
            "GB 16780-2021|水泥熟料|单位产品综合煤耗",
        ),
    ),
    "cement": Product(
        name="水泥产品 Cement",
        unit="t",
        boundary=("works",),
        norms=("GB 16780-2021|水泥产品|单位产品综合能耗",),
    ),
    "cement_grinding": Product(
        name="水泥制备工段 Cement preparation",
        unit="t",
        boundary=("cement_line", "packing"),
        norms=("GB 16780-2021|水泥制备工段|电耗",),
    ),
}


def _electricity(meter_id: str, name: str, node: str, **more: Any) -> Meter:
    row = {"kind": "counter", "unit": "kWh", "accuracy_class": "0.5S", **more}
    return Meter(meter_id=meter_id, name=name, node=node, energy="electricity", **row)


def _weighed(meter_id: str, name: str, node: str, **more: Any) -> Meter:
    row: dict[str, Any] = {"kind": "counter", "unit": "t", **more}
    return Meter(
        meter_id=meter_id,
        name=name,
        node=node,
        connection=WEIGHING,
        value_path=f"meters.{meter_id}",
        time_path="ts",
        **{"topic": WEIGHING_TOPIC, **row},
    )


def _electricity_meters() -> list[Meter]:
    line: dict[str, Any] = {"connection": LINE_GATEWAY}
    mill: dict[str, Any] = {"connection": MILL_GATEWAY}
    abb: dict[str, Any] = {"device": "abb-b-series", "quantity": "energy_import"}
    iem: dict[str, Any] = {"device": "schneider-iem3000"}
    return [
        # 10 kV / 100 V and 600 A / 5 A
        _electricity("main_incomer", "总进线 Main incomer", "works", unit_id=1, multiplier=12000,
                     rated_per_h=12000, **line, **(abb | {"accuracy_class": "0.2S"})),
        _electricity("raw_mill", "生料磨 Raw mill", "raw_prep", unit_id=2, multiplier=4000,
                     quantity="energy_import", rated_per_h=3000, **line, **iem),
        _electricity("kiln", "窑系统 Kiln", "kiln", unit_id=3, multiplier=6000,
                     device="siemens-pac2200", quantity="energy_import", rated_per_h=4500, **line),
        # Five digits before the point: it rolls over to 0 after 99,999.99 kWh.
        _electricity("coal_mill", "煤磨 Coal mill", "coal_mill", unit_id=4, multiplier=200,
                     device="acrel-adw300", quantity="energy_import", modulus=100000,
                     rated_per_h=800, **line),
        _electricity("waste_heat", "余热发电 Waste heat power", "waste_heat", unit_id=5,
                     role="recovered", multiplier=8000, rated_per_h=4500, **line,
                     **(abb | {"quantity": "energy_export"})),
        _electricity("cement_mill_1", "1号水泥磨 Cement mill 1", "mill_1", unit_id=11,
                     device="eastron-sdm630", quantity="energy_import", rated_per_h=3000, **mill),
        _electricity("cement_mill_2", "2号水泥磨 Cement mill 2", "mill_2", unit_id=12,
                     multiplier=4000, rated_per_h=3200, **mill, **abb),
        _electricity("packing", "包装 Packing", "packing", unit_id=13, multiplier=60,
                     device="chint-dtsu666", quantity="energy_import", rated_per_h=400, **mill),
        # A data concentrator without a register map: two totals side by side, words swapped.
        _electricity("air", "空压站 Compressed air", "utilities", unit_id=14, multiplier=80,
                     register=40, type="u32", order="CDAB", scale=0.1,
                     rated_per_h=500, **mill),
        _electricity("office", "办公生活 Office", "office", unit_id=15, role="non_production",
                     kind="gauge", unit="kW", multiplier=40, quantity="total_power",
                     rated_per_h=150, accuracy_class="1", **mill, **iem),
    ]  # fmt: skip


def _other_meters() -> list[Meter]:
    coal: dict[str, Any] = {"energy": "raw_coal", "accuracy_class": "0.5"}
    scale: dict[str, Any] = {"role": "output", "accuracy_class": "0.5"}
    return [
        Meter(meter_id="water", name="新水 Fresh water", node="utilities", energy="water_fresh",
              kind="counter", unit="t", connection=MILL_GATEWAY, unit_id=14, register_address=42,
              type="u32", order="CDAB", scale=0.01, rated_per_h=80, accuracy_class="2"),
        _weighed("coal_burner", "窑头喂煤 Coal to burner", "kiln", rated_per_h=10, **coal),
        _weighed("coal_precalciner", "分解炉喂煤 Coal to precalciner", "kiln", rated_per_h=15,
                 **coal),
        _weighed("diesel", "柴油 Diesel", "kiln", energy="diesel", unit="kg", rated_per_h=2500,
                 accuracy_class="0.5"),
        _weighed("clinker_out", "熟料产量 Clinker output", "kiln", product="clinker",
                 rated_per_h=150, **scale),
        _weighed("cement_ground", "出磨水泥 Cement ground", "cement_line",
                 product="cement_grinding", rated_per_h=200, **scale),
        _weighed("cement_packed", "水泥出厂 Cement packed", "packing", product="cement",
                 topic=BATCH_TOPIC, kind="amount", span_minutes=BATCH_MINUTES,
                 rated_per_h=300, **scale),
    ]  # fmt: skip


def ledger(since: date) -> dict[str, Meter]:
    """The meters by id; their last calibration was half a year before ``since``."""
    calibrated = {
        "calibrated_on": since - timedelta(days=180),
        "calibration_due": since + timedelta(days=550),
    }
    meters = (*_electricity_meters(), *_other_meters())
    return {meter.meter_id: meter.model_copy(update=calibrated) for meter in meters}
