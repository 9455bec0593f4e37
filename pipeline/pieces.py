"""Steps between readings, laid on the 15-minute grid: what was measured, and what are gaps.

A step inside one interval, or over one boundary while the meter was watched, is measured: at the
boundary it is split by time, so that the sum of the intervals is last minus first. A step over more
is a gap: its amount is exact in total and unknown in shape (law 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from pipeline.rules import GRID_US, MeterRule
from pipeline.sums import quotient, total

MEASURED_SCHEMA = pl.Schema(
    {"meter_id": pl.String(), "bin": pl.Int64(), "amount": pl.Float64(), "covered_us": pl.Int64()}
)
# amount, low, high are raw; amount is null where nothing is known of it, high where nothing
# bounds it.
GAP_SCHEMA = pl.Schema(
    {
        "meter_id": pl.String(),
        "t0": pl.Int64(),
        "t1": pl.Int64(),
        "code": pl.String(),
        "amount": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
    }
)
OVERLAP = "amount.overlap"
"""Code of an amount that may have come twice: its time is that of other pieces."""


def is_covered() -> pl.Expr:
    """Whether the meter was watched over the gap: its readings are only far apart (*.sparse)."""
    return pl.col("code").str.ends_with(".sparse")


def is_beside() -> pl.Expr:
    """Whether the gap takes no time of its own: other pieces cover it, or leave it open."""
    return pl.col("code") == OVERLAP


@dataclass(frozen=True)
class Pieces:
    """``measured``: amounts inside bins, one row a meter and bin. ``gaps``: the rest."""

    measured: pl.DataFrame
    gaps: pl.DataFrame

    @classmethod
    def of_gaps(cls, gaps: pl.DataFrame) -> Pieces:
        """Gaps alone."""
        return cls(MEASURED_SCHEMA.to_frame(), gaps)


def sum_by_bin(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Parts of ``measured`` that meet in a bin, added up."""
    return (
        pl.concat(parts)
        .group_by("meter_id", "bin")
        .agg(total("amount"), pl.col("covered_us").sum())
    )


def join_pieces(parts: Sequence[Pieces]) -> Pieces:
    return Pieces(
        pl.concat([MEASURED_SCHEMA.to_frame(), *(part.measured for part in parts)]),
        pl.concat([GAP_SCHEMA.to_frame(), *(part.gaps for part in parts)]),
    )


def rule_frame(rules: Sequence[MeterRule]) -> pl.LazyFrame:
    """Rules as a frame: meter_id, max_gap_us, span_us, rate (raw a microsecond), scale, unit."""
    return pl.LazyFrame(
        [
            (
                rule.meter_id,
                rule.quantity,
                rule.max_gap_us,
                rule.span_us,
                rule.rate_per_us,
                rule.scale,
                rule.unit,
                rule.max_rate_per_h,
            )
            for rule in rules
        ],
        schema={
            "meter_id": pl.String,
            "quantity": pl.String,
            "max_gap_us": pl.Int64,
            "span_us": pl.Int64,
            "rate": pl.Float64,
            "scale": pl.Float64,
            "unit": pl.String,
            "max_rate_per_h": pl.Float64,
        },
        orient="row",
    )


def counter_pieces(
    bins: pl.DataFrame, holes: pl.DataFrame, registers: Sequence[MeterRule]
) -> Pieces:
    """Pieces of counters from their bins (``bins.BIN_SCHEMA``) and the holes inside bins.

    ``registers``: the rule of each register, by its number.
    """
    frame = _register_frame(registers)
    steps = (
        bins.lazy()
        .join(frame, on="register", maintain_order="left")
        .select(
            "register",
            "bin",
            "inner",
            "enter_code",
            "rate",
            seen_us=pl.col("t1") - pl.col("t0") - pl.col("hole_us"),
            apart=pl.col("bin").diff().over("register"),
            t0=pl.col("t1").shift(1).over("register"),
            t1="t0",
            amount=(pl.col("v0") - pl.col("v1").shift(1) + pl.col("enter_add")).over("register"),
            watched=(pl.col("t0") - pl.col("t1").shift(1)).over("register") <= pl.col("max_gap_us"),
        )
        .with_columns(
            split=(
                pl.col("watched") & (pl.col("apart") == 1) & pl.col("enter_code").is_null()
            ).fill_null(False)
        )
        .with_columns(
            before_us=pl.when("split").then(pl.col("bin") * GRID_US - pl.col("t0")).otherwise(0),
            after_us=pl.when("split").then(pl.col("t1") - pl.col("bin") * GRID_US).otherwise(0),
        )
        .with_columns(
            before=pl.when("split")
            .then(
                pl.col("amount")
                * quotient(pl.col("before_us"), pl.col("before_us") + pl.col("after_us"))
            )
            .otherwise(0.0)
        )
        .collect()
    )
    # A bin holds what its readings span, the end of the step into it, the start of the one out.
    after = pl.when("split").then(pl.col("amount") - pl.col("before")).otherwise(0.0)
    out_amount = pl.col("before").shift(-1).over("register").fill_null(0.0)
    out_us = pl.col("before_us").shift(-1).over("register").fill_null(0)
    measured = steps.lazy().select(
        "register",
        "bin",
        amount=pl.col("inner") + after + out_amount,
        covered_us=pl.col("seen_us") + pl.col("after_us") + out_us,
    )
    gaps = _step_gaps(steps.filter(pl.col("apart").is_not_null() & ~pl.col("split")))
    gaps = pl.concat([gaps, _hole_gaps(holes.lazy(), frame)])
    laid = _of_meters(measured, frame, "amount").collect()
    if any(rule.later for rule in registers):  # two registers can meet in one bin
        laid = sum_by_bin([laid])
    return Pieces(
        laid,
        _of_meters(gaps.lazy(), frame, "amount", "low", "high").collect(),
    )


def _register_frame(registers: Sequence[MeterRule]) -> pl.LazyFrame:
    """Registers as a frame; ``ratio``: raw amounts of the ledger for one of the register's."""
    return pl.LazyFrame(
        [
            (
                number,
                rule.meter_id,
                rule.max_gap_us,
                rule.rate_per_us,
                rule.scale / (rule.ledger_scale or rule.scale),
            )
            for number, rule in enumerate(registers)
        ],
        schema={
            "register": pl.Int32,
            "meter_id": pl.String,
            "max_gap_us": pl.Int64,
            "rate": pl.Float64,
            "ratio": pl.Float64,
        },
        orient="row",
    )


def _of_meters(pieces: pl.LazyFrame, frame: pl.LazyFrame, *amounts: str) -> pl.LazyFrame:
    """Pieces of registers as those of their meters, in raw amounts of the ledger's row."""
    names = [name for name in pieces.collect_schema().names() if name != "register"]
    return (
        pieces.join(frame.select("register", "meter_id", "ratio"), on="register")
        .with_columns(pl.col(amounts) * pl.col("ratio"))
        .select("meter_id", *names)
    )


def _step_gaps(steps: pl.DataFrame) -> pl.DataFrame:
    known = pl.col("amount").is_not_null()
    most = pl.col("rate") * (pl.col("t1") - pl.col("t0"))
    return steps.select(
        "register",
        "t0",
        "t1",
        code=pl.when(pl.col("enter_code").is_not_null())
        .then(pl.col("enter_code"))
        .when(pl.col("watched"))
        .then(pl.lit("counter.sparse"))
        .otherwise(pl.lit("counter.gap")),
        amount="amount",
        low=pl.when(known).then(pl.col("amount")).otherwise(0.0),
        high=pl.when(known).then(pl.col("amount")).otherwise(most),
    )


def _hole_gaps(holes: pl.LazyFrame, frame: pl.LazyFrame) -> pl.DataFrame:
    """Gaps inside one bin: unwatched with a known amount, or cut with an unknown one."""
    return (
        holes.join(frame, on="register")
        .select(
            "register",
            "t0",
            "t1",
            "code",
            "amount",
            low=pl.col("amount").fill_null(0.0),
            high=pl.col("amount").fill_null(pl.col("rate") * (pl.col("t1") - pl.col("t0"))),
        )
        .collect()
    )
