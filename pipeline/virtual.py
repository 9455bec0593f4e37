"""Virtual meters by period: weighted sums of meters, and what else the pipeline knows of each.

A weighted sum is taken over periods, where a gap inside the period is exact. Every other expression
(min, max, abs, clip, products and quotients of meters) is taken interval by interval, in
`virtual_intervals`, and rolled up like a meter that is read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from config.expression_form import form_of
from config.expressions import Call, Expression, MeterName, Number, Sum, meters_of
from config.site import Site
from config.virtual import flattened, in_order
from pipeline.bounds import (
    Bounded,
    absolute,
    exactly,
    least_of,
    minus,
    most_of,
    over,
    plus,
    scaled,
    times,
)
from pipeline.rollup import METER_PERIOD_KEY
from pipeline.rules import MeterRule
from pipeline.sums import total, total_or_null


@dataclass(frozen=True)
class VirtualRule:
    """How one virtual meter's amounts come from other meters'.

    ``weights``: factor of each meter where it is a weighted sum (of meters that are read and of
    virtual ones that are no weighted sums), sorted by id; None where it is none. ``scale`` turns
    what the expression gives into ``unit``; it is in the weights already. ``sources``: all meters
    that are read and enter it, through other virtual meters too.
    """

    meter_id: str
    unit: str
    expression: Expression
    scale: float
    weights: tuple[tuple[str, float], ...] | None
    parts: tuple[str, ...]
    sources: frozenset[str]


def virtual_rules_of(site: Site) -> list[VirtualRule]:
    """One rule for each virtual meter, each after all those that it is made of."""
    found: dict[str, VirtualRule] = {}
    known: dict[str, Mapping[str, float]] = {}
    for meter_id in in_order(site.plant.virtual):
        meter, unit = site.plant.virtual[meter_id], site.amount_unit(meter_id)
        expression, scale = meter.formula, meter.scale(unit)
        form = form_of(expression, site.amount_unit)
        if form.weights is not None:
            known[meter_id] = flattened(form.weights, known, scale)
        weights = tuple(known[meter_id].items()) if meter_id in known else None
        parts = tuple(sorted(meters_of(expression)))
        found[meter_id] = VirtualRule(
            meter_id=meter_id,
            unit=unit,
            expression=expression,
            scale=scale,
            weights=weights,
            parts=parts,
            sources=frozenset().union(
                *(found[part].sources if part in found else {part} for part in parts)
            ),
        )
    return list(found.values())


def dependents(rules: Sequence[VirtualRule], meter_ids: Collection[str]) -> list[str]:
    """Ids of the virtual meters that any of ``meter_ids`` (read or virtual) enters."""
    touched = set(meter_ids)
    for rule in rules:
        if not touched.isdisjoint(rule.parts):
            touched.add(rule.meter_id)
    return [rule.meter_id for rule in rules if not touched.isdisjoint(rule.parts)]


def rolled_up(rules: Sequence[VirtualRule]) -> list[MeterRule]:
    """Rules for `meter_periods` of the virtual meters that have rows of ``intervals``.

    Nothing bounds what they were in time without a row.
    """
    return [
        MeterRule(
            meter_id=rule.meter_id,
            quantity=QUANTITY,
            kind="virtual",
            unit=rule.unit,
            scale=1.0,
            max_gap_us=0,
        )
        for rule in rules
        if rule.weights is None
    ]


QUANTITY = "value"
_FORWARDS = Bounded(np.array([np.nan]), np.array([0.0]), np.array([np.inf]))
_BOTH_WAYS = _FORWARDS._replace(low=np.array([-np.inf]))


def below_zero(rules: Sequence[VirtualRule], backwards: Collection[str]) -> frozenset[str]:
    """Those of `rolled_up` that can be below zero: for ``backwards`` of `meter_periods`.

    ``backwards``: meters that are read and have flowed backwards.
    """
    ranges: dict[str, Bounded] = {}
    for rule in rules:
        for source in rule.sources:
            ranges[source] = _BOTH_WAYS if source in backwards else _FORWARDS
        ranges[rule.meter_id] = evaluate(rule.expression, rule.scale, rule.weights, ranges)
    return frozenset(
        rule.meter_id for rule in rules if rule.weights is None and ranges[rule.meter_id].low[0] < 0
    )


def virtual_periods(by_meter: pl.DataFrame, rules: Sequence[VirtualRule]) -> pl.DataFrame:
    """Rows like those of ``by_meter`` (see `meter_periods`) for weighted sums of its meters.

    A factor below zero swaps low and high. One unknown amount, or a meter without a row, makes the
    amount unknown, one missing bound that bound; the coverage is the weakest part's. ``by_meter``
    holds the meters that are read and those of `rolled_up`.
    """
    terms = pl.LazyFrame(
        [
            (rule.meter_id, rule.unit, part, weight, len(rule.weights))
            for rule in rules
            if rule.weights is not None
            for part, weight in rule.weights
        ],
        schema={
            "virtual_id": pl.String,
            "virtual_unit": pl.String,
            "meter_id": pl.String,
            "weight": pl.Float64,
            "parts": pl.Int64,
        },
        orient="row",
    )
    plus_ = pl.col("weight") > 0
    whole = pl.len() == pl.col("parts").first()
    return (
        terms.join(by_meter.lazy(), on="meter_id")
        .with_columns(
            low=pl.when(plus_).then("low").otherwise("high"),
            high=pl.when(plus_).then("high").otherwise("low"),
        )
        .with_columns(
            pl.col("measured", "imputed", "amount", "low", "high") * pl.col("weight"),
            meter_id="virtual_id",
            unit="virtual_unit",
        )
        .group_by(*METER_PERIOD_KEY, "unit")
        .agg(
            # 0 times a factor below zero is no -0.0.
            *((total(name) + 0.0).alias(name) for name in ("measured", "imputed")),
            *(
                pl.when(whole).then(total_or_null(name) + 0.0).alias(name)
                for name in ("amount", "low", "high")
            ),
            *(
                pl.when(whole).then(pl.col(name).min()).otherwise(0.0).alias(name)
                for name in ("covered_s", "coverage_ratio")
            ),
        )
        .select(by_meter.columns)
        .sort("meter_id", "start_utc")
        .collect()
    )


def evaluate(
    expression: Expression,
    scale: float,
    weights: Sequence[tuple[str, float]] | None,
    of: Mapping[str, Bounded],
) -> Bounded:
    """The expression times ``scale`` of many amounts at once; by ``weights`` where it has them.

    A weighted sum names each meter once, so that its bounds are the tightest.
    """
    if weights is not None:
        return _sum_of([scaled(of[meter_id], weight) for meter_id, weight in weights])
    length = len(of[meters_of(expression)[0]].amount)
    return scaled(_evaluate(expression, of, length), scale)


def _evaluate(expression: Expression, of: Mapping[str, Bounded], length: int) -> Bounded:
    if isinstance(expression, Number):
        return exactly(expression.value, length)
    if isinstance(expression, MeterName):
        return of[expression.meter_id]
    if isinstance(expression, Sum):
        signed = [(sign, _evaluate(term, of, length)) for sign, term in expression.terms]
        return _sum_of([term if sign == 1 else minus(term) for sign, term in signed])
    if isinstance(expression, Call):
        return _call(expression, [_evaluate(a, of, length) for a in expression.arguments])
    found = _evaluate(expression.factors[0][1], of, length)
    for power, factor in expression.factors[1:]:
        by = _evaluate(factor, of, length)
        found = times(found, by) if power == 1 else over(found, by)
    return found


def _sum_of(terms: Sequence[Bounded]) -> Bounded:
    found = terms[0]
    for term in terms[1:]:
        found = plus(found, term)
    return found


def _call(call: Call, parts: Sequence[Bounded]) -> Bounded:
    if call.function == "abs":
        return absolute(parts[0])
    if call.function == "clip":
        one, low, high = parts
        return least_of([most_of([one, low]), high])
    return least_of(parts) if call.function == "min" else most_of(parts)
