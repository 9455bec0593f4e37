"""Expressions: what they mean, what is refused and where, and that no text does anything else."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from typing import TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from config.errors import ConfigError
from config.expression_form import form_of, written
from config.expressions import DEEPEST, LONGEST, Sum, meters_of, parse

Numeric: TypeAlias = tuple[str, float]
UNITS = {"main": "kWh", "line1": "kWh", "a-b": "kWh", "gas": "m3", "coal": "kg", "made": "t"}
unit_of: Callable[[str], str] = UNITS.__getitem__


def weights(text: str) -> dict[str, float] | None:
    found = form_of(parse(text), unit_of).weights
    return None if found is None else dict(found)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("8 / 4 / 2", 1),
        ("8 - 4 - 2", 2),
        ("-2 * -3", 6),
        ("2 - -3", 5),
        ("--2", 2),
        ("+.5 + 1. + 1e-1 + 2E2", 201.6),
        ("1.5-.5", 1),
        ("min(3, 2, 1 + 1)", 2),
        ("max(3, abs(-4))", 4),
        ("clip(7, 1, 5) + clip(0, 1, 5) + clip(3, 1, 5)", 9),
        ("\t1\n+\r\n1 ", 2),
    ],
)
def test_arithmetic_is_as_at_school(text: str, value: float) -> None:
    assert form_of(parse(text), unit_of).number == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("main", {"main": 1}),
        ("-main", {"main": -1}),
        ("main - (line1 + [a-b]) * 1.02", {"main": 1, "line1": -1.02, "a-b": -1.02}),
        ("2 * main / 4 + main", {"main": 1.5}),
        ("main - a-b", {"main": 1, "a-b": -1}),
        ("main - line1 + line1", {"main": 1, "line1": 0}),
        ("main + 0", {"main": 1}),
        ("(1 + 0.02) * main", {"main": 1.02}),
        ("max(main, line1)", None),
        ("main * line1 / (main + line1)", None),
    ],
)
def test_weighted_sums_are_known_as_such(text: str, wanted: dict[str, float] | None) -> None:
    assert weights(text) == wanted


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("main-line1", ("main-line1",)),
        ("main -line1", ("main", "line1")),
        ("main- line1", ("main", "line1")),
        ("2-main", ("2-main",)),
        ("2 - main", ("main",)),
        ("1e5 + [1e5]", ("1e5",)),
        ("min + [max] - abs", ("min", "max", "abs")),
        ("2nd*2nd/2nd", ("2nd",)),
        ("[a-]+a_", ("a-", "a_")),
    ],
)
def test_a_minus_inside_a_name_is_part_of_it(text: str, ids: tuple[str, ...]) -> None:
    assert meters_of(parse(text)) == ids


REFUSED = {
    "": (1, "it ends where a meter or a number is wanted"),
    "  ": (3, "it ends"),
    "main +": (7, "it ends"),
    "main + * line1": (8, "'*' stands where"),
    "main line1": (6, "an operator is missing before 'line1'"),
    "2 main": (3, "an operator is missing before 'main'"),
    "1.5main": (4, "an operator is missing before 'main'"),
    "(main": (6, "')' is missing for the '(' at character 1"),
    "main)": (5, "')' without its '('"),
    "()": (2, "')' stands where"),
    "min(main)": (1, "min() takes 2 to 50 arguments, not 1"),
    "abs(main, line1)": (1, "abs() takes 1 arguments, not 2"),
    "clip(main, 0)": (1, "clip() takes 3 arguments, not 2"),
    "min()": (5, "')' stands where"),
    "main, line1": (5, "an operator is missing before ','"),
    "sum(main, line1)": (1, "no function 'sum'"),
    "eval(main)": (1, "no function 'eval'"),
    "__import__('os')": (1, "unexpected '_'"),
    "main.real": (5, "unexpected '.'"),
    "main ** 2": (7, "'*' stands where"),
    "main // 2": (7, "'/' stands where"),
    "main % 2": (6, "unexpected '%'"),
    "main if main else 0": (6, "an operator is missing before 'if'"),
    "lambda: 0": (7, "unexpected ':'"),
    "'main'": (1, 'unexpected "\'"'),
    "Main": (1, "lower case"),
    "main － line1": (6, "write '-'"),
    "main × 2": (6, "write '*'"),
    "[main": (1, "'[' without its ']'"),
    "[]": (2, "no id of a meter in the brackets"),
    "[Main]": (2, "no id"),
    "[main\n]": (2, "no id"),
    "main]": (5, "unexpected ']'"),
    "x" * 64: (1, "too long for an id"),
    "1e999": (1, "a number that is too large"),
    "9" * 400: (1, "a number that is too large"),
    "٣ + main": (1, "unexpected '٣'"),
    "main\x00": (5, "unexpected '\\x00'"),
    "(" * (DEEPEST + 1) + "main": (DEEPEST + 1, f"nested more than {DEEPEST} deep"),
    "-" * LONGEST: (DEEPEST + 1, f"nested more than {DEEPEST} deep"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_refuses_and_says_where(text: str) -> None:
    at, problem = REFUSED[text]
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert f": character {at}: " in caught.value.given
    assert problem in str(caught.value)
    assert "clip(x, low, high)" in caught.value.allowed


def test_refuses_what_is_too_long() -> None:
    with pytest.raises(ConfigError, match=f"expression of {LONGEST + 1} characters"):
        parse("1" + "+1" * (LONGEST // 2))


def test_a_long_sum_and_deep_parentheses_are_taken() -> None:
    many = parse("+".join("1" for _ in range(LONGEST // 2)))
    assert form_of(many, unit_of).number == LONGEST // 2
    deep = parse("(" * DEEPEST + "main" + ")" * DEEPEST)
    assert meters_of(deep) == ("main",)


MISMATCHED = {
    "main + gas": (8, "m3 meets kWh"),
    "main - 5": (8, "a plain number meets kWh"),
    "5 + main": (5, "kWh meets a plain number"),
    "max(main, gas, 0)": (11, "m3 meets kWh"),
    "main + (line1 + coal) * 2": (17, "kg meets kWh"),
    "main * gas / coal + main": (21, "kWh meets kWh*m3/kg"),
    "main + main * line1": (8, "kWh^2 meets kWh"),
    "clip(main, 0, 100)": (15, "a plain number meets kWh"),
    "clip(main / line1, 2, 1)": (1, "clip() between 2 and 1"),
    "main / 0": (8, "division by 0"),
    "main / (1 - 1)": (9, "division by 0"),
    "1e300 * 1e300 * main": (9, "too large"),
    "1e300 * main * 1e300": (16, "too large"),
    "1e308 * main + 1e308 * main": (1, "too large"),
}


@pytest.mark.parametrize("text", MISMATCHED)
def test_refuses_what_does_not_fit_together(text: str) -> None:
    at, problem = MISMATCHED[text]
    with pytest.raises(ConfigError, match=re.escape(f"character {at}: ")) as caught:
        form_of(parse(text), unit_of)
    assert problem in caught.value.given


@pytest.mark.parametrize(
    ("text", "unit", "degree"),
    [
        ("main - line1", "kWh", 1),
        ("max(main - line1, 0)", "kWh", 1),
        ("main * line1 / (line1 + main)", "kWh", 1),
        ("gas * 35.9", "m3", 1),
        ("main / made", "kWh/t", 0),
        ("clip(main / line1, 0, 1) * gas", "m3", 1),
        ("main * line1", "kWh^2", 2),
        ("1 / main", "1/kWh", -1),
        ("coal / main / main", "kg/kWh^2", -1),
        ("main / line1", "a plain number", 0),
        ("main * gas / coal", "kWh*m3/kg", 1),
        ("max(0, 0) * main", "kWh", 1),
    ],
)
def test_units_follow_the_arithmetic(text: str, unit: str, degree: int) -> None:
    form = form_of(parse(text), unit_of)
    assert (written(form.powers), form.degree) == (unit, degree)


@pytest.mark.parametrize(
    ("text", "has_factor"),
    [("gas", False), ("-gas", False), ("gas * 35.9", True), ("gas / 2 + gas", True),
     ("2 * gas", True), ("max(gas, 2 * gas)", True), ("gas + 0", False), ("2 / (1 / gas)", True)],
)  # fmt: skip
def test_a_factor_is_noticed(text: str, has_factor: bool) -> None:
    assert form_of(parse(text), unit_of).has_factor is has_factor


def test_places_count_from_one() -> None:
    found = parse("  1 + [main]")
    assert isinstance(found, Sum)
    assert [term.at for _, term in found.terms] == [3, 7]
    assert found.at == 3


def _both(pair: tuple[Numeric, Numeric], sign: str) -> Numeric:
    (left, x), (right, y) = pair
    return f"({left} {sign} {right})", {"+": x + y, "-": x - y, "*": x * y}[sign]


def _extended(inner: st.SearchStrategy[Numeric]) -> st.SearchStrategy[Numeric]:
    pairs = st.tuples(inner, inner)
    return st.one_of(
        st.builds(_both, pairs, st.sampled_from("+-*")),
        inner.map(lambda one: (f"-{one[0]}", -one[1])),
        inner.map(lambda one: (f"abs({one[0]})", abs(one[1]))),
        pairs.map(lambda two: (f"min({two[0][0]},{two[1][0]})", min(two[0][1], two[1][1]))),
        pairs.map(lambda two: (f"max({two[0][0]} ,{two[1][0]})", max(two[0][1], two[1][1]))),
    )


numeric = st.recursive(
    st.integers(0, 99).map(lambda n: (str(n), float(n))), _extended, max_leaves=8
)


@settings(max_examples=200, deadline=None)
@given(numeric)
def test_means_what_the_tree_means_that_it_was_written_from(one: Numeric) -> None:
    text, value = one
    found, refusal = taken(text)
    assert found == value or refusal.endswith(f"nested more than {DEEPEST} deep")


def taken(text: str) -> tuple[float | None, str]:
    """The number that a text without meters is, or how it was refused."""
    try:
        form = form_of(parse(text), lambda _: "kWh")
    except ConfigError as error:
        return None, error.given
    ids = meters_of(parse(text))
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", name) for name in ids)
    assert bool(ids) is (form.number is None)
    return form.number, ""


def refused_briefly(text: str) -> bool:
    _, refusal = taken(text)
    return len(refusal) < 400 and ("character" in refusal or not refusal)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
@example("\ud800")
@example("1" * LONGEST)
@example("a-" * (LONGEST // 2))
@example("." * LONGEST)
@example("[" * LONGEST)
@example("min(" * (LONGEST // 4))
def test_any_text_is_taken_or_refused(text: str) -> None:
    assert refused_briefly(text)


ALPHABET = [*"+-*/(),[].e_ 019", *string.ascii_lowercase[:3], "main", "line1", "min(", "max(",
            "abs(", "clip(", "1.5", "1e300", " - ", "0"]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(ALPHABET), max_size=40).map("".join))
def test_any_text_of_the_right_letters_is_taken_or_refused(text: str) -> None:
    assert refused_briefly(text)
