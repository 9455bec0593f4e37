"""The words that options of the command line take. Light, so that `--help` is."""

from __future__ import annotations

from enum import StrEnum


class Language(StrEnum):
    zh = "zh"
    en = "en"


class Format(StrEnum):
    table = "table"
    json = "json"
    csv = "csv"
    parquet = "parquet"


class Kind(StrEnum):
    """What an imported file holds."""

    readings = "readings"
    production = "production"
    statements = "statements"


class What(StrEnum):
    """Tables that can be shown."""

    consumption = "consumption"
    indicators = "indicators"
    intervals = "intervals"
    gaps = "gaps"
    readings = "readings"
    outputs = "outputs"
    statements = "statements"
    findings = "findings"
    balances = "balances"
    conversions = "conversions"
    allocations = "allocations"
    losses = "losses"
    meter_periods = "meter_periods"
    corrections = "corrections"
    closings = "closings"
    revisions = "revisions"


class Grain(StrEnum):
    """Lengths of periods."""

    quarter_hour = "15min"
    half_hour = "30min"
    hour = "hour"
    shift = "shift"
    day = "day"
    month = "month"
    year = "year"
