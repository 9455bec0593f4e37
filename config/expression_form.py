"""What an expression is: a number, a weighted sum of meters, or neither; and in which unit.

Two worked cases, all meters in kWh. `main - (line1 + light) * 1.02` is the weighted sum
{main: 1, line1: -1.02, light: -1.02} in kWh. `main * line1 / (line1 + line2)` is none, but in kWh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import NoReturn

from config.errors import ConfigError
from config.expressions import Call, Expression, MeterName, Number, Product, Sum

# Powers by unit, without those of 0. A number has none; an amount of kWh has {"kWh": 1}.
Powers = tuple[tuple[str, int], ...]
ROUNDING = 1e-12


@dataclass(frozen=True)
class Form:
    """``powers``: unit; None where it fits any (the number 0). ``number``: value of an expression
    without meters. ``weights``: factor of each meter where the expression is a weighted sum; else
    None. ``has_factor``: a number multiplies or divides, so that the unit may have changed."""

    powers: Powers | None
    number: float | None = None
    weights: Mapping[str, float] | None = None
    has_factor: bool = False

    @property
    def degree(self) -> int:
        """Sum of the powers: 1 for amounts, 0 for their ratios."""
        return sum(power for _, power in self.powers or ())


def form_of(expression: Expression, unit_of: Callable[[str], str]) -> Form:
    """The form of ``expression``; ``unit_of`` gives the unit in which a meter's amounts count.

    Raises ConfigError for parts of unlike units that are added or compared, and for a division by
    the number 0.
    """
    if isinstance(expression, Number):
        return _number(expression.value, expression)
    if isinstance(expression, MeterName):
        return Form(((unit_of(expression.meter_id), 1),), weights={expression.meter_id: 1.0})
    if isinstance(expression, Sum):
        parts = [(sign, form_of(term, unit_of), term) for sign, term in expression.terms]
        return _sum(expression, parts)
    if isinstance(expression, Product):
        found = form_of(expression.factors[0][1], unit_of)
        for power, factor in expression.factors[1:]:
            found = _times(found, power, form_of(factor, unit_of), factor)
        return found
    return _call(expression, [form_of(argument, unit_of) for argument in expression.arguments])


def _number(value: float, where: Expression, *, has_factor: bool = False) -> Form:
    if not isfinite(value):
        _refuse(where, "a number that is too large")
    return Form(None if value == 0 else (), value, {}, has_factor)


def _sum(expression: Sum, parts: Sequence[tuple[int, Form, Expression]]) -> Form:
    common = _common([(form, term) for _, form, term in parts])
    has_factor = any(form.has_factor for _, form, _ in parts)
    if all(form.number is not None for _, form, _ in parts):
        value = sum(sign * (form.number or 0.0) for sign, form, _ in parts)
        return _number(value, expression, has_factor=has_factor)
    if any(form.weights is None for _, form, _ in parts):
        return Form(common, has_factor=has_factor)
    weights = added(
        (meter_id, sign * weight)
        for sign, form, _ in parts
        for meter_id, weight in (form.weights or {}).items()
    )
    return Form(common, weights=_finite(weights, expression), has_factor=has_factor)


def added(terms: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Weights of the same meter added up; what is left by rounding alone is 0.

    >>> added([("main", 0.1), ("main", 0.2), ("main", -0.3)])
    {'main': 0.0}
    """
    found: dict[str, float] = {}
    sizes: dict[str, float] = {}
    for meter_id, weight in terms:
        found[meter_id] = found.get(meter_id, 0.0) + weight
        sizes[meter_id] = sizes.get(meter_id, 0.0) + abs(weight)
    return {
        meter_id: 0.0 if abs(weight) <= ROUNDING * sizes[meter_id] < inf else weight
        for meter_id, weight in found.items()
    }


def _times(left: Form, power: int, right: Form, where: Expression) -> Form:
    if power == -1 and right.number == 0:
        _refuse(where, "division by 0")
    if right.number is not None:
        by = right.number
        if left.number is not None:
            value = left.number * by if power == 1 else left.number / by
            return _number(value, where, has_factor=True)
        return _scaled(left, by, where) if power == 1 else _scaled(left, 1 / by, where)
    if left.number is not None and power == 1:
        return _scaled(right, left.number, where)
    powers = dict(left.powers or ())
    for unit, exponent in right.powers or ():
        powers[unit] = powers.get(unit, 0) + power * exponent
    return Form(
        tuple(sorted((unit, exponent) for unit, exponent in powers.items() if exponent)),
        has_factor=left.has_factor or right.has_factor or left.number is not None,
    )


def _scaled(form: Form, by: float, where: Expression) -> Form:
    weights = form.weights
    if weights is not None:
        weights = _finite({meter_id: by * weight for meter_id, weight in weights.items()}, where)
    return replace(form, weights=weights, has_factor=True)


def _call(expression: Call, forms: list[Form]) -> Form:
    common = _common(list(zip(forms, expression.arguments, strict=True)))
    has_factor = any(form.has_factor for form in forms)
    numbers = [form.number for form in forms if form.number is not None]
    if len(numbers) == len(forms):
        return _number(_value(expression, numbers), expression, has_factor=has_factor)
    if expression.function == "clip":
        _, low, high = forms
        if low.number is not None and high.number is not None and low.number > high.number:
            _refuse(expression, f"clip() between {low.number:g} and {high.number:g}")
    return Form(common, has_factor=has_factor)


def _value(call: Call, numbers: list[float]) -> float:
    if call.function == "abs":
        return abs(numbers[0])
    if call.function == "clip":
        return min(max(numbers[0], numbers[1]), numbers[2])
    return min(numbers) if call.function == "min" else max(numbers)


def _common(parts: list[tuple[Form, Expression]]) -> Powers | None:
    """The unit of all parts. Raises ConfigError where they differ."""
    known = [(form, where) for form, where in parts if form.powers is not None]
    if not known:
        return None
    first = known[0][0].powers or ()
    for form, where in known[1:]:
        if form.powers != first:
            _refuse(
                where,
                f"{written(form.powers)} meets {written(first)}",
                "bring each into one unit in a virtual meter of its own, with its factor and "
                "`unit:`; a number other than 0 is no amount",
            )
    return first


def written(powers: Powers | None) -> str:
    """A unit as people write it.

    >>> written((("kWh", 1), ("t", -1)))
    'kWh/t'
    """
    above = [unit + (f"^{n}" if n > 1 else "") for unit, n in powers or () if n > 0]
    below = [unit + (f"^{-n}" if n < -1 else "") for unit, n in powers or () if n < 0]
    if not above and not below:
        return "a plain number"
    return "/".join(["*".join(above) or "1", *below])


def _finite(weights: dict[str, float], where: Expression) -> dict[str, float]:
    if not all(isfinite(weight) for weight in weights.values()):
        _refuse(where, "a number that is too large")
    return weights


def _refuse(where: Expression, problem: str, todo: str = "") -> NoReturn:
    raise ConfigError(f"character {where.at}: {problem}", todo=todo)
