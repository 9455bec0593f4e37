"""The table of the loss account: what became of every reading, by meter and day of the plant."""

from __future__ import annotations

from config.columns import METER, PERIOD, PLANT, Column, Table, text


def _count(name: str, en: str, zh: str) -> Column:
    return Column(name, "int", "", en, zh)


LOSSES = Table(
    "losses",
    "start_utc",
    ("plant_id", "meter_id", "grain", "start_utc", "source"),
    (
        PLANT,
        METER,
        *PERIOD,
        _count("expected", "readings expected: good + missing + dropped", "应采"),
        _count("good", "readings with a value", "正常"),
        _count("missing", "readings that are not there, or have no value", "缺失"),
        _count("dropped", "readings that came and could not be used", "丢弃"),
        _count("late", "of those that came: came after their time had been passed", "迟到"),
        _count("duplicate", "came again and were refused; not expected", "重复"),
        _count("repeated", "once more for the same tick or time; not expected", "同刻再采"),
        text("reasons", "JSON: why missing or dropped, and how many", "原因"),
        text("balanced", "yes where expected is good + missing + dropped; else no", "账平"),
        text(
            "source",
            "spool: collected by the daemon; import: from files, with what they should hold. In "
            "the lake a spool's rows name its account, and those of one day add up",
            "账目来源",
        ),
    ),
)
