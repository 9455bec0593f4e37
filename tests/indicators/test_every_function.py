"""Each public function of indicators/ says what it computes, in what units, by whose rule."""

from __future__ import annotations

import ast
import doctest
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import indicators

LONGEST_BODY = 25
FRAMES = {"DataFrame", "LazyFrame", "Series", "Frame"}
UNIT = re.compile(r"\[[^\[\]\n]{1,60}\]")
STANDARD = re.compile(
    r"\b(GB|GB/T|GB/Z|DB\d\d|DB\d\d/T|DL/T|HJ|JJF|JJG|ISO|IEC|IPMVP|ASHRAE|IPCC)\b|〔\d{4}〕|\d+号|令"
)
PLACE = re.compile(
    r"(?i:\b(annex|appendix|article|chapter|clause|equation|formula|note|option|part|section|table)s?)"
    r" (to the |no\. ?|\(?[A-Z]\b|\(?[A-Z]?\.?\d)"
    r"|附录|附件|附表|第[\d一二三四五六七八九十]+[条章节款]"
    r"|-(19|20)\d\d,? ([A-Z]\.)?\d"
)
NOT_CHECKED = "not checked against the print"
OWN_RULE = "kgce's own rule"


class Names(NamedTuple):
    """Names in annotations that stand for numbers, and those of them that are computed ones."""

    numbers: frozenset[str]
    figures: frozenset[str]


class Public(NamedTuple):
    """A public function, or a public method of a public class."""

    name: str
    line: int
    node: ast.FunctionDef


def read(folder: Path) -> dict[str, ast.Module]:
    return {file.stem: ast.parse(file.read_text("utf-8")) for file in sorted(folder.glob("*.py"))}


def public_of(module: ast.Module) -> Iterator[Public]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield Public(node.name, node.lineno, node)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                    said = {words(one).pop() for one in inner.decorator_list if words(one)}
                    if not said & {"property", "cached_property", "overload"}:
                        yield Public(f"{node.name}.{inner.name}", inner.lineno, inner)


def words(node: ast.expr | None) -> set[str]:
    """The names in an annotation, without the modules before them."""
    if node is None:
        return set()
    inside = list(ast.walk(node))
    quoted = [one.value for one in inside if isinstance(one, ast.Constant)]
    return (
        {one.id for one in inside if isinstance(one, ast.Name)}
        | {one.attr for one in inside if isinstance(one, ast.Attribute)}
        | {word for text in quoted if isinstance(text, str) for word in re.findall(r"\w+", text)}
    )


def names_of(modules: dict[str, ast.Module]) -> Names:
    """Frames, numbers, their aliases, and records of which numbers are at least the half."""
    computed = {"float", *FRAMES}
    numbers, figures = {"int", *computed}, set(computed)
    for node in (node for module in modules.values() for node in module.body):
        if isinstance(node, ast.ClassDef):
            fields = [words(one.annotation) for one in node.body if isinstance(one, ast.AnnAssign)]
            if fields and 2 * sum(bool(field & computed) for field in fields) >= len(fields):
                numbers.add(node.name)
                figures.add(node.name)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, held = node.targets[0].id, words(node.value)
            if name[0].isupper() and not name.isupper():
                numbers |= {name} if held & {"int", *computed} else set()
                figures |= {name} if held & computed else set()
    return Names(frozenset(numbers), frozenset(figures))


def lacks(public: Public, names: Names) -> Iterator[str]:
    """What the function does not have of what it must have."""
    node = public.node
    text = ast.get_docstring(node) or ""
    if not text:
        yield "a docstring"
    parts = doctest.DocTestParser().parse(text)
    examples = [one for one in parts if isinstance(one, doctest.Example)]
    prose = "".join(one for one in parts if isinstance(one, str))
    told = re.sub(r"\s+", " ", re.sub(r"\.\. math::.*?(\n\s*\n|\Z)", "\n\n", prose, flags=re.S))
    if not any(re.search(rf"\b{node.name}\b", one.source) for one in examples):
        yield "a doctest that calls it"
    elif not any(one.want for one in examples):
        yield "a doctest that shows a result"
    given = [one.annotation for one in (*node.args.posonlyargs, *node.args.args)]
    given += [one.annotation for one in node.args.kwonlyargs]
    numbers = set().union(words(node.returns), *map(words, given)) & names.numbers
    if numbers and not UNIT.search(told):
        yield "units in square brackets"
    if words(node.returns) & names.figures and ".. math::" not in prose:
        yield "its equation after `.. math::`"
    if OWN_RULE not in told:
        if not STANDARD.search(told):
            yield f"a standard or notice, or the words {OWN_RULE!r}"
        elif not PLACE.search(told) and NOT_CHECKED not in told:
            yield f"the clause, annex, note or equation of it, or the words {NOT_CHECKED!r}"
    body = node.body[1:] if text else node.body
    lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
    if lines > LONGEST_BODY:
        yield f"a body of at most {LONGEST_BODY} lines (it has {lines})"


MODULES = read(Path(indicators.__file__).parent)
NAMES = names_of(MODULES)
FUNCTIONS = [
    pytest.param(module, public, id=f"{module}.{public.name}")
    for module, tree in MODULES.items()
    for public in public_of(tree)
]


@pytest.mark.parametrize(("module", "public"), FUNCTIONS)
def test_a_public_function_says_what_it_computes(module: str, public: Public) -> None:
    missing = list(lacks(public, NAMES))
    assert not missing, (
        f"indicators/{module}.py:{public.line} {public.name} lacks: {'; '.join(missing)}. "
        "Write it, or begin the name with an underscore where no other module needs it"
    )


WHOLE = '''
def gap(value: float, level: float) -> float:
    """Distance to a level [kgce/t].

    .. math:: d = e - L

    GB 1-2020, clause 5.1.

    >>> gap(3.0, 1.0)
    2.0
    """
    return value - level
'''


def missing_in(source: str) -> list[str]:
    tree = ast.parse(source)
    (public,) = public_of(tree)
    return list(lacks(public, names_of({"it": tree})))


def test_a_function_that_says_it_all_lacks_nothing() -> None:
    assert missing_in(WHOLE) == []


@pytest.mark.parametrize(
    ("said", "instead", "missing"),
    [
        (" [kgce/t]", "", "units in square brackets"),
        (".. math:: d = e - L", "d = e - L", "its equation after `.. math::`"),
        (", clause 5.1", "", "the clause, annex, note or equation of it"),
        ("GB 1-2020, clause 5.1.", "As usual.", "a standard or notice"),
        (">>> gap(3.0, 1.0)", ">>> 3.0 - 1.0", "a doctest that calls it"),
        ("    2.0\n", "", "a doctest that shows a result"),
        ("    return", "    value *= 1\n" * 25 + "    return", "a body of at most 25 lines"),
    ],
)
def test_what_is_taken_away_is_missed(said: str, instead: str, missing: str) -> None:
    assert said in WHOLE
    (found,) = missing_in(WHOLE.replace(said, instead))
    assert found.startswith(missing)


@pytest.mark.parametrize(
    "place",
    ["annex B", "table 3", "note to the level", "附录 A", "clause not checked against the print"],
)
def test_a_place_in_the_standard_may_be_said_in_many_ways(place: str) -> None:
    assert missing_in(WHOLE.replace("clause 5.1", place)) == []


def test_brackets_of_an_equation_or_an_example_are_no_units() -> None:
    silent = (
        WHOLE.replace(" [kgce/t]", "").replace("e - L", "[e] - [L]").replace("gap(3", "[gap][0](3")
    )
    assert missing_in(silent) == ["units in square brackets"]


def told(returns: str) -> str:
    return (
        f'def kind(of: str) -> {returns}:\n    """kgce\'s own rule.\n\n    >>> kind("")\n    0"""\n'
    )


@pytest.mark.parametrize(
    ("returns", "missing"),
    [
        ("str", []),
        ("set[tuple[str, str]]", []),
        ("Rule", []),
        ("int", ["units in square brackets"]),
        ("float | None", ["units in square brackets", "its equation after `.. math::`"]),
        ("pl.DataFrame", ["units in square brackets", "its equation after `.. math::`"]),
        ("list[Gap]", ["units in square brackets", "its equation after `.. math::`"]),
        ("Levels", ["units in square brackets", "its equation after `.. math::`"]),
        ('"Gap"', ["units in square brackets", "its equation after `.. math::`"]),
    ],
)
def test_numbers_need_units_and_what_is_computed_an_equation(
    returns: str, missing: list[str]
) -> None:
    records = (
        "class Gap(NamedTuple):\n    value: float | None\n    reason: str\n"
        "class Rule(NamedTuple):\n    id: str\n    unit: str\n    limit: float\n"
        "Levels = tuple[float, ...]\n"
    )
    assert missing_in(records + told(returns)) == missing


def test_methods_of_public_classes_are_judged_and_properties_are_not() -> None:
    source = (
        "class Meter:\n"
        "    @property\n    def own(self) -> float: ...\n"
        "    def _own(self) -> float: ...\n"
        "    def read(self) -> float: ...\n"
        "class _Hidden:\n    def read(self) -> float: ...\n"
    )
    assert [public.name for public in public_of(ast.parse(source))] == ["Meter.read"]
