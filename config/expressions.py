"""Expressions over meters: text to a tree of numbers, meters and five kinds of operation.

    sum      =  product { ("+" | "-") product }
    product  =  factor { ("*" | "/") factor }
    factor   =  ("-" | "+") factor | number | meter | "(" sum ")"
             |  ("min" | "max" | "abs" | "clip") "(" sum { "," sum } ")"

A meter stands by its id. Ids may hold "-", so a minus between two names needs blanks: `a-b` is the
meter "a-b", `a - b` a difference. Brackets hold any id: `[min]`, `[2-main]`. Nothing is ever
evaluated as Python; length and nesting are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, NoReturn, TypeAlias

from config.base import IDENTIFIER
from config.errors import ConfigError

LONGEST = 10_000  # characters
DEEPEST = 20  # parentheses, functions and signs inside each other
MOST_ARGUMENTS = 50
FUNCTIONS = {"min": (2, MOST_ARGUMENTS), "max": (2, MOST_ARGUMENTS), "abs": (1, 1), "clip": (3, 3)}
ALLOWED = "meters by id, numbers, + - * /, parentheses, min(), max(), abs(), clip(x, low, high)"

_BLANK = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9_])?")
_BRACKETED = re.compile(r"\[([^][]*)\]")
_IDENTIFIER = re.compile(IDENTIFIER.removesuffix("$"))
# What a Chinese keyboard gives in their stead, all outside ASCII.
_MEANT = {"（": "(", "）": ")", "＋": "+", "－": "-", "×": "*", "＊": "*", "÷": "/", "／": "/",
          "，": ",", "【": "[", "】": "]", "−": "-", "–": "-"}  # fmt: skip


@dataclass(frozen=True)
class Number:
    value: float
    at: int


@dataclass(frozen=True)
class MeterName:
    meter_id: str
    at: int
    bracketed: bool = False


@dataclass(frozen=True)
class Sum:
    """Terms with their signs, from left to right."""

    terms: tuple[tuple[Literal[1, -1], Expression], ...]
    at: int


@dataclass(frozen=True)
class Product:
    """Factors from left to right; -1 divides."""

    factors: tuple[tuple[Literal[1, -1], Expression], ...]
    at: int


@dataclass(frozen=True)
class Call:
    function: str
    arguments: tuple[Expression, ...]
    at: int


# ``at`` is the character at which each begins, from 1.
Expression: TypeAlias = Number | MeterName | Sum | Product | Call


@lru_cache(maxsize=1024)
def parse(text: str) -> Expression:
    """The tree of ``text``. Raises ConfigError for anything that is no expression."""
    if len(text) > LONGEST:
        raise ConfigError(
            f"expression of {len(text)} characters",
            allowed=f"{LONGEST} characters",
            todo="make parts of it virtual meters of their own",
        )
    return _Parser(text).whole()


def children(expression: Expression) -> tuple[Expression, ...]:
    """What an expression is made of, from left to right."""
    if isinstance(expression, Sum):
        return tuple(term for _, term in expression.terms)
    if isinstance(expression, Product):
        return tuple(factor for _, factor in expression.factors)
    return expression.arguments if isinstance(expression, Call) else ()


def names(expression: Expression) -> Iterator[MeterName]:
    """Every mention of a meter, from left to right."""
    if isinstance(expression, MeterName):
        yield expression
    for child in children(expression):
        yield from names(child)


def meters_of(expression: Expression) -> tuple[str, ...]:
    """Ids of the meters in the expression, each once, as first mentioned."""
    return tuple(dict.fromkeys(name.meter_id for name in names(expression)))


class _Token(NamedTuple):
    kind: str  # number, word, meter (in brackets), end, or the sign itself
    text: str
    at: int


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._read())
        self._next = 0
        self._depth = 0

    def whole(self) -> Expression:
        found = self._sum()
        token = self._peek()
        if token.kind == ")":
            self._refuse(token.at, "')' without its '('")
        if token.kind != "end":
            self._refuse(token.at, f"an operator is missing before {token.text!r}")
        return found

    def _refuse(self, at: int, problem: str, todo: str = "") -> NoReturn:
        begin = max(0, at - 30)
        shown = ("..." if begin else "") + self._text[begin : at + 29].strip()
        shown += "..." if at + 29 < len(self._text) else ""
        raise ConfigError(f"{shown!r}: character {at}: {problem}", allowed=ALLOWED, todo=todo)

    def _read(self) -> Iterator[_Token]:
        here = 0
        while True:
            blank = _BLANK.match(self._text, here)
            here = blank.end() if blank else here
            if here == len(self._text):
                yield _Token("end", "", here + 1)
                return
            token = self._token(here)
            yield token
            here += len(token.text) + (2 if token.kind == "meter" else 0)

    def _token(self, here: int) -> _Token:
        number, word = _NUMBER.match(self._text, here), _WORD.match(self._text, here)
        if number and (word is None or number.end() >= word.end()):
            return _Token("number", number.group(), here + 1)
        if word:
            return _Token("word", word.group(), here + 1)
        sign = self._text[here]
        if sign in "+-*/(),":
            return _Token(sign, sign, here + 1)
        if sign == "[":
            return self._in_brackets(here)
        if sign in _MEANT:
            self._refuse(here + 1, f"unexpected {sign!r}", f"write {_MEANT[sign]!r}")
        todo = "ids of meters are in lower case" if sign.isascii() and sign.isupper() else ""
        return self._refuse(here + 1, f"unexpected {sign!r}", todo)

    def _in_brackets(self, here: int) -> _Token:
        found = _BRACKETED.match(self._text, here)
        if found is None:
            self._refuse(here + 1, "'[' without its ']'")
        if not _IDENTIFIER.fullmatch(found.group(1)):
            self._refuse(here + 2, "no id of a meter in the brackets")
        return _Token("meter", found.group(1), here + 1)

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _sum(self) -> Expression:
        first = self._product()
        terms: list[tuple[Literal[1, -1], Expression]] = [(1, first)]
        while self._peek().kind in ("+", "-"):
            sign: Literal[1, -1] = 1 if self._take().kind == "+" else -1
            terms.append((sign, self._product()))
        return first if len(terms) == 1 else Sum(tuple(terms), first.at)

    def _product(self) -> Expression:
        first = self._factor()
        factors: list[tuple[Literal[1, -1], Expression]] = [(1, first)]
        while self._peek().kind in ("*", "/"):
            power: Literal[1, -1] = 1 if self._take().kind == "*" else -1
            factors.append((power, self._factor()))
        return first if len(factors) == 1 else Product(tuple(factors), first.at)

    def _factor(self) -> Expression:
        token = self._take()
        if token.kind == "number":
            return self._number(token)
        if token.kind == "meter":
            return MeterName(token.text, token.at, bracketed=True)
        if token.kind == "word" and self._peek().kind == "(":
            return self._call(token)
        if token.kind == "word":
            return self._name(token)
        if token.kind in ("+", "-"):
            with_sign = self._deeper(token, self._factor)
            return Sum(((1 if token.kind == "+" else -1, with_sign),), token.at)
        if token.kind == "(":
            inside = self._deeper(token, self._sum)
            self._close(token)
            return inside
        missing = "it ends" if token.kind == "end" else f"{token.text!r} stands"
        return self._refuse(token.at, f"{missing} where a meter or a number is wanted")

    def _deeper(self, token: _Token, read: Callable[[], Expression]) -> Expression:
        self._depth += 1
        if self._depth > DEEPEST:
            self._refuse(token.at, f"nested more than {DEEPEST} deep")
        found = read()
        self._depth -= 1
        return found

    def _close(self, opened: _Token) -> None:
        token = self._take()
        if token.kind != ")":
            self._refuse(token.at, f"')' is missing for the '(' at character {opened.at}")

    def _number(self, token: _Token) -> Number:
        value = float(token.text)
        if value == float("inf"):
            self._refuse(token.at, "a number that is too large")
        return Number(value, token.at)

    def _name(self, token: _Token) -> MeterName:
        if not _IDENTIFIER.fullmatch(token.text):
            self._refuse(token.at, "a name that is too long for an id")
        return MeterName(token.text, token.at)

    def _call(self, token: _Token) -> Call:
        if token.text not in FUNCTIONS:
            self._refuse(token.at, f"no function {token.text!r}")
        opened = self._take()
        arguments = [self._deeper(opened, self._sum)]
        while self._peek().kind == ",":
            self._take()
            arguments.append(self._deeper(opened, self._sum))
        self._close(opened)
        least, most = FUNCTIONS[token.text]
        if not least <= len(arguments) <= most:
            wanted = f"{least}" if least == most else f"{least} to {most}"
            self._refuse(token.at, f"{token.text}() takes {wanted} arguments, not {len(arguments)}")
        return Call(token.text, tuple(arguments), token.at)
