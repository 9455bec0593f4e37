"""The tables of the energy balance: mains against branches, conversions, shares of products."""

from __future__ import annotations

from config.columns import COVERAGE, PERIOD, PLANT, UNIT, Table, number, text

NODE = text("node_id", "node of the plant tree", "用能单元")
ENERGY = text("energy_code", "energy or energy-carrying medium", "能源品种")

BALANCES = Table(
    "balances",
    "start_utc",
    ("plant_id", "node_id", "energy_code", "grain", "period"),
    (
        PLANT,
        NODE,
        ENERGY,
        *PERIOD,
        number("main", "unit", "what the node's own input meters say", "总表量", nullable=True),
        number(
            "inside",
            "unit",
            "made or recovered below, or sent back by branches",
            "内部供入量",
            nullable=True,
        ),
        number("branches", "unit", "what the meters below say", "分表量", nullable=True),
        number(
            "aside",
            "unit",
            "sent out, used outside production, feedstock of the nodes below",
            "外供及非生产量",
            nullable=True,
        ),
        UNIT,
        number("residual", "unit", "main + inside - branches - aside", "不平衡量", nullable=True),
        number("residual_ratio", "1", "residual / (main + inside)", "不平衡率", nullable=True),
        number("low", "unit", "smallest residual that the readings allow", "下限", nullable=True),
        number("high", "unit", "largest; empty where nothing bounds it", "上限", nullable=True),
        number(
            "tolerance",
            "unit",
            "what the meters' accuracy classes explain",
            "允许差",
            nullable=True,
        ),
        number(
            "losses",
            "unit",
            "what the node's losses_ratio allows besides",
            "允许损耗",
            nullable=True,
        ),
        COVERAGE,
        text(
            "status",
            "balanced, within_losses, unbalanced, main_below_branches, or unknown (gaps may "
            "explain the residual)",
            "状态",
        ),
        text(
            "suspect",
            "meter whose error explains the residual, and no other's; empty where it cannot be "
            "told",
            "疑似异常表",
            nullable=True,
        ),
        text(
            "suspect_cause",
            "ratio (wrong by a factor) or dead (nothing while the others run)",
            "疑似原因",
            nullable=True,
        ),
        number(
            "suspect_factor",
            "1",
            "by which the suspect's amounts would have to be multiplied",
            "疑似倍率",
            nullable=True,
        ),
    ),
)

CONVERSIONS = Table(
    "conversions",
    "start_utc",
    ("plant_id", "node_id", "energy_code", "grain", "period"),
    (
        PLANT,
        NODE,
        text("energy_code", "energy that is made", "产出能源"),
        *PERIOD,
        number("output", "unit", "amount given out", "产出量", nullable=True),
        UNIT,
        number("input_kgce", "kgce", "energy put in, calorific basis", "投入能量", nullable=True),
        number(
            "output_kgce",
            "kgce",
            "energy content of the output; empty where a medium has none",
            "产出能量",
            nullable=True,
        ),
        number("loss_kgce", "kgce", "input - output", "转换损失", nullable=True),
        number("efficiency_ratio", "1", "output / input", "转换效率", nullable=True),
        number("low", "1", "smallest efficiency that the readings allow", "下限", nullable=True),
        number("high", "1", "largest; empty where nothing bounds it", "上限", nullable=True),
        number("specific_kgce", "kgce/unit", "input for one unit of output", "单耗", nullable=True),
        COVERAGE,
        text("status", "complete, partial (the period is not whole) or refused", "状态"),
        text("confidence", "weakest confidence of the factors used", "系数可信度"),
    ),
)

ALLOCATIONS = Table(
    "allocations",
    "start_utc",
    ("plant_id", "node_id", "energy_code", "product_id", "grain", "period"),
    (
        PLANT,
        text("node_id", "shared node", "共用单元"),
        ENERGY,
        text("product_id", "product that takes a share", "产品"),
        *PERIOD,
        number("share_ratio", "1", "the product's share", "分摊比例", nullable=True),
        number("amount", "unit", "its part of the node's net amount", "分摊量", nullable=True),
        UNIT,
        number("low", "unit", "smallest amount that the readings allow", "下限", nullable=True),
        number("high", "unit", "largest; empty where nothing bounds it", "上限", nullable=True),
        COVERAGE,
        text("rule", "output, drivers or shares; several where it changed", "分摊方法"),
        text("status", "complete, partial (the period is not whole) or refused", "状态"),
        text("reason", "why it was refused; else empty", "原因"),
        text("factors", "ids of the factors of the node's consumption", "折标系数"),
    ),
)
