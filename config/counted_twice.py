"""Meters that reach one sum on two paths: a virtual meter beside its parts, one register twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from config.errors import ConfigError
from config.expressions import Call, Expression, MeterName, Product, Sum, meters_of
from config.models import Meter
from config.node_tree import NodeTree
from config.same_reading import Place, places_of
from config.site import Site

ROUNDING = 1 + 1e-9


class Path(NamedTuple):
    """A meter that enters a sum, and how many of one reading come with it."""

    meter_id: str
    energy: str
    times: float


@dataclass(frozen=True)
class Twice:
    """``meter_ids`` all bring the reading of ``reading`` into the sum called ``where``."""

    reading: str
    meter_ids: tuple[str, ...]
    where: str


def counted_twice(site: Site) -> Iterator[Twice]:
    """Each group of meters that counts a reading more than once: in a node, else in a product.

    What cancels out does not count: a virtual meter `main - line1` beside line1 is main. Nor does
    what is split: 0.3 and 0.7 of one meter are one.
    """
    plant = site.plant
    tree, readings = NodeTree(plant.nodes, plant.all_meters), _Readings(site)
    seen: set[tuple[str, ...]] = set()
    for where, counted in _sums(site, tree):
        by_reading: dict[str, list[Path]] = {}
        for meter_id, energy, weight in counted:
            for reading, times in readings.of(meter_id).items():
                by_reading.setdefault(reading, []).append(Path(meter_id, energy, weight * times))
        for reading, paths in sorted(by_reading.items()):
            meter_ids = tuple(sorted({path.meter_id for path in paths}))
            if len(meter_ids) > 1 and meter_ids not in seen and _too_many(paths):
                seen.add(meter_ids)
                yield Twice(reading, meter_ids, where)


def _sums(site: Site, tree: NodeTree) -> Iterator[tuple[str, list[tuple[str, str, int]]]]:
    """Every sum that is made of meters: of a node, of a product's nodes, of its output."""
    by_node = {
        node_id: [
            (meter_id, energy, weight)
            for energy in tree.energies
            for meter_id, weight in tree.weights(node_id, energy).items()
        ]
        for node_id in tree.nodes
    }
    for node_id, counted in by_node.items():
        yield f"node {node_id!r}", counted
    for product_id, product in site.plant.products.items():
        shared = [one.node for one in site.plant.allocations if product_id in one.products]
        nodes = [one for one in dict.fromkeys((*product.boundary, *shared)) if one in by_node]
        yield (
            f"the energy of product {product_id!r}",
            [one for node_id in nodes for one in by_node[node_id]],
        )
        made = [
            (meter_id, "", 1)
            for meter_id, meter in site.plant.all_meters.items()
            if meter.product == product_id and meter.role == "output"
        ]
        yield f"the output of product {product_id!r}", made


def _too_many(paths: Iterable[Path]) -> bool:
    """Whether the paths together bring in, or take out, more than one of the reading."""
    nets: dict[str, float] = {}
    largest = 1.0
    for path in paths:
        nets[path.energy] = nets.get(path.energy, 0.0) + path.times
        largest = max(largest, abs(path.times))
    totals = (sum(max(sign * net, 0.0) for net in nets.values()) for sign in (1, -1))
    return any(total > largest * ROUNDING for total in totals)


class _Readings:
    """Which readings a meter is made of, and how many of each."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._first: dict[Place, str] = {}
        self._same: dict[str, str] = {}
        for meter_id, meter in site.plant.meters.items():
            self._same[meter_id] = self._reading(meter_id, meter)

    def _reading(self, meter_id: str, meter: Meter) -> str:
        places = places_of(self._site, meter)
        known = sorted(self._first[place] for place in places if place in self._first)
        reading = known[0] if known else meter_id
        for place in places:
            self._first.setdefault(place, reading)
        return reading

    def of(self, meter_id: str) -> dict[str, float]:
        virtual = self._site.plant.virtual.get(meter_id)
        if virtual is None:
            return {self._same.get(meter_id, meter_id): 1.0}
        found: dict[str, float] = {}
        for part, times in parts_of(virtual.formula).items():
            for reading, inner in self.of(part).items():
                found[reading] = found.get(reading, 0.0) + times * inner
        return {reading: times for reading, times in found.items() if times != 0}


def parts_of(expression: Expression) -> Mapping[str, float]:
    """How many of each meter an expression counts.

    Of min(), max(), abs() and clip() one of each meter inside. Of a product of several meters, such
    as `main * line1 / (line1 + line2)`, none: it shares something out, by meters that may well
    count beside it.
    """
    if isinstance(expression, MeterName):
        return {expression.meter_id: 1.0}
    found: dict[str, float] = {}
    if isinstance(expression, Sum):
        for sign, term in expression.terms:
            for meter_id, times in parts_of(term).items():
                found[meter_id] = found.get(meter_id, 0.0) + sign * times
    elif isinstance(expression, Product):
        return _parts_of_product(expression)
    elif isinstance(expression, Call):
        found = dict.fromkeys(meters_of(expression), 1.0)
    return found


def _parts_of_product(expression: Product) -> Mapping[str, float]:
    with_meters = [(power, one) for power, one in expression.factors if meters_of(one)]
    if len(with_meters) != 1 or with_meters[0][0] != 1:
        return {}
    scale = 1.0
    for power, one in expression.factors:
        number = number_of(one)
        if number:
            scale *= number**power
    return {meter_id: scale * times for meter_id, times in parts_of(with_meters[0][1]).items()}


def number_of(expression: Expression) -> float | None:
    """The value of an expression of numbers alone, of + - * /; None of others."""
    if isinstance(expression, Sum):
        terms = [number_of(term) for _, term in expression.terms]
        signs = [sign for sign, _ in expression.terms]
        known = [term for term in terms if term is not None]
        return sum(s * t for s, t in zip(signs, known, strict=True)) if known == terms else None
    if isinstance(expression, Product):
        value = 1.0
        for power, one in expression.factors:
            factor = number_of(one)
            if factor is None or (factor == 0 and power < 0):
                return None
            value *= factor**power
        return value
    return getattr(expression, "value", None)


def problem_of(site: Site, twice: Twice, place: str) -> ConfigError:
    """The error that says so."""
    meters = ", ".join(repr(meter_id) for meter_id in twice.meter_ids)
    several = [one for one in twice.meter_ids if one in site.plant.virtual]
    how = "through expressions" if several else "from one register, topic or column"
    return ConfigError(
        f"{place}: the reading of {twice.reading!r} counts more than once in {twice.where}: "
        f"{meters} bring it in {how}",
        allowed="each reading once on the way up to a node or a product",
        todo="give all but one of them the role check, or put one at a node that has input meters "
        "of its own above the other",
    )
