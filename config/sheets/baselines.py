"""The sheets of energy baselines: the models, their periods, and what was saved."""

from __future__ import annotations

from config.columns import COVERAGE, UNIT, Table, flag, moment, number, text

_BASELINE = text("baseline", "id of the baseline", "基准")
_REASON = text("reason", "why it is as it is; empty where nothing is to be said", "说明")
_CONFIDENCE = text("confidence", "weakest confidence of the data behind it", "可信度")
_LOW = number("low", "unit", "smallest; empty where nothing bounds it", "下限", nullable=True)
_HIGH = number("high", "unit", "largest; empty where nothing bounds it", "上限", nullable=True)

BASELINE = Table(
    "baseline",
    "",
    ("baseline", "part", "name"),
    (
        _BASELINE,
        text(
            "part",
            "term: a coefficient; quality: of the whole model; acceptance: a condition",
            "部分",
        ),
        text("name", "constant or driver; statistic; condition", "名称"),
        number("value", "unit", "the figure", "数值", nullable=True),
        number("low", "unit", "of a term: lower end of its 95 % interval", "下限", nullable=True),
        number("high", "unit", "upper end", "上限", nullable=True),
        UNIT,
        number("standard_error", "unit", "of a term", "标准误差", nullable=True),
        number("p_value", "1", "of a term: t test", "p值", nullable=True),
        number("driver_min", "driver's unit", "in the base period", "自变量最小值", nullable=True),
        number("driver_max", "driver's unit", "in the base period", "自变量最大值", nullable=True),
        number("driver_mean", "driver's unit", "in the base period", "自变量均值", nullable=True),
        text("allowed", "of a condition: what is allowed", "允许范围"),
        flag("met", "of a condition", "满足", nullable=True),
        text("status", "accepted, not_accepted or refused: the whole baseline", "状态"),
        number("points", "1", "complete periods that the model is made of", "样本数"),
        number("left_out", "1", "periods of the base period that are no points", "剔除数"),
        COVERAGE,
        _CONFIDENCE,
        _REASON,
    ),
)

PERFORMANCE = Table(
    "performance",
    "",
    ("baseline", "period"),
    (
        _BASELINE,
        text("period", "hour, day or month", "期间"),
        moment("start_utc", "start of the period", "开始时间"),
        moment("end_utc", "end of the period", "结束时间"),
        text("part", "base: of the base period; report: behind it", "部分"),
        number(
            "actual", "unit", "energy; empty where the period is no point", "实际", nullable=True
        ),
        number("low", "unit", "smallest that the readings allow", "下限", nullable=True),
        number("high", "unit", "largest; empty where nothing bounds it", "上限", nullable=True),
        UNIT,
        number("expected", "unit", "by the model, adjusted", "预期", nullable=True),
        number("expected_low", "unit", "lower end of its 95 % interval", "预期下限", nullable=True),
        number("expected_high", "unit", "upper end", "预期上限", nullable=True),
        number(
            "adjustment", "unit", "what adjustments add to the model's", "调整量", nullable=True
        ),
        number("difference", "unit", "actual - expected", "偏差", nullable=True),
        number("cusum", "unit", "sum of the differences so far", "累计偏差", nullable=True),
        flag(
            "inside_range", "the drivers lie in the base period's range", "在范围内", nullable=True
        ),
        number("change", "unit", "a step begins here: its size a period", "突变量", nullable=True),
        number(
            "change_p_value",
            "1",
            "chance of such a step where nothing changed",
            "突变p值",
            nullable=True,
        ),
        COVERAGE,
        text("status", "complete, partial or refused", "状态"),
        _CONFIDENCE,
        _REASON,
    ),
)

SAVINGS = Table(
    "savings",
    "",
    ("baseline", "period"),
    (
        _BASELINE,
        text("period", "month or year that is reported", "期间"),
        number("actual", "unit", "energy of the complete periods", "实际", nullable=True),
        number("expected", "unit", "by the model for the same, adjusted", "预期", nullable=True),
        number("value", "unit", "saved: expected - actual", "节能量", nullable=True),
        _LOW,
        _HIGH,
        UNIT,
        number("value_tce", "tce", "saved, as coal equivalent", "节能量（折标煤）", nullable=True),
        number("ratio", "1", "saved of expected", "节能率", nullable=True),
        number(
            "uncertainty", "unit", "half width of the model's interval", "不确定度", nullable=True
        ),
        number("uncertainty_ratio", "1", "the same of the saving", "相对不确定度", nullable=True),
        number(
            "short_formula_ratio",
            "1",
            "the same by the short formula of ASHRAE Guideline 14",
            "简式相对不确定度",
            nullable=True,
        ),
        number("confidence_level", "1", "of low, high and uncertainty", "置信水平"),
        flag("sure", "low and high have one sign", "确定", nullable=True),
        number(
            "adjustment", "unit", "what adjustments add to the expected", "调整量", nullable=True
        ),
        number("periods", "1", "complete hours, days or months", "期间数"),
        number("left_out", "1", "those that are not, and do not count", "剔除数"),
        COVERAGE,
        text("status", "complete, partial or refused", "状态"),
        _CONFIDENCE,
        _REASON,
    ),
)

BASELINES = (BASELINE, PERFORMANCE, SAVINGS)
