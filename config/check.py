"""What no single model can see: names that must meet, units that fit, a tree that closes."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from datetime import date

from config.check_allocations import problems_of_allocations
from config.check_baselines import problems_of_baselines
from config.check_carbon import problems_of_carbon
from config.check_cost import problems_of_cost
from config.check_installations import problems_of_installations
from config.check_reading import Problems, problems_of_reading, unknown
from config.check_rubric import problems_of_rubric
from config.check_supervision import problems_of_supervision
from config.check_tree import problems_of_tree
from config.check_virtual import problems_of_virtual
from config.errors import ConfigError
from config.models import Meter
from config.shifts import shift_problems
from config.site import Site
from config.standards_own import OwnBenchmark, OwnNorm
from config.units import AMOUNT_UNITS, RATE_UNITS, amount_unit_of, conversion_factor
from config.virtual import VirtualMeter
from config.yaml import KeyPath, Source

LEVELS = ("plant", "process", "equipment")


def problems_of(site: Site, source: Source) -> list[ConfigError]:
    """Every problem of the configuration that is not one model's own."""
    rules: tuple[Callable[[Site, Source], Problems], ...] = (
        _nodes,
        _own_factors,
        _own_levels,
        _meters,
        _products,
        _imports,
        problems_of_installations,
        _virtual,
        _shifts,
        problems_of_tree,
        problems_of_allocations,
        problems_of_rubric,
        problems_of_carbon,
        problems_of_baselines,
        problems_of_cost,
        problems_of_supervision,
    )
    return [problem for rule in rules for problem in rule(site, source)]


def _nodes(site: Site, source: Source) -> Problems:
    nodes = site.plant.nodes
    roots = [node_id for node_id, node in nodes.items() if node.parent is None]
    if len(roots) != 1:
        yield ConfigError(
            f"{source.place(('nodes',))}: {len(roots)} nodes without a parent "
            f"({', '.join(roots) or 'none'})",
            allowed="exactly one, the plant",
        )
    for node_id, node in nodes.items():
        if node.parent is None:
            continue
        place = source.place(("nodes", node_id, "parent"))
        if node.parent not in nodes:
            yield unknown(place, "node", node.parent, nodes, "define it under nodes")
        elif LEVELS.index(node.level) < LEVELS.index(nodes[node.parent].level):
            yield ConfigError(
                f"{place}: {node.level} {node_id!r} under {nodes[node.parent].level} "
                f"{node.parent!r}",
                allowed="plant over process over equipment",
            )
        elif node_id in ancestors(site, node_id):
            yield ConfigError(f"{place}: {node_id!r} is its own ancestor", allowed="a tree")


def ancestors(site: Site, node_id: str) -> list[str]:
    """Nodes above, nearest first; stops where the tree is broken."""
    above: list[str] = []
    here = site.plant.nodes[node_id].parent
    while here is not None and here in site.plant.nodes and here not in above:
        above.append(here)
        here = site.plant.nodes[here].parent
    return above


def _own_levels(site: Site, source: Source) -> Problems:
    plant = site.plant
    own: dict[str, tuple[Sequence[OwnNorm | OwnBenchmark], tuple[str, ...]]] = {
        "norms": (plant.norms, ("level1", "level2", "level3")),
        "benchmarks": (plant.benchmarks, ("benchmark_level", "baseline_level")),
    }
    for key, (rows, levels) in own.items():
        ids = [row.id for row in rows]
        for index, row in enumerate(rows):
            place = source.place((key, index))
            if row.id in ids[:index]:
                yield ConfigError(f"{place}: {row.id} stands twice", allowed="one row for an id")
            if all(getattr(row, level) is None for level in levels):
                yield ConfigError(
                    f"{place}: {row.id} has no level",
                    allowed=f"at least one of {', '.join(levels)}",
                )


def _own_factors(site: Site, source: Source) -> Problems:
    # Not library.energies: that has the plant's own rows in it, and would know every name.
    known = {f.energy: f.unit for f in reversed(site.library.factors) if f.scope != "plant"}
    seen: list[tuple[str, str, date]] = []
    for index, row in enumerate(site.plant.factors):
        key = (row.energy, row.basis, row.effective_from)
        if key in seen:
            yield ConfigError(
                f"{source.place(('factors', index))}: {row.energy} on basis {row.basis!r} from "
                f"{row.effective_from} stands twice",
                allowed="one factor for an energy, basis and date",
            )
        seen.append(key)
        if row.energy not in known:
            yield unknown(
                source.place(("factors", index, "energy")),
                "energy",
                row.energy,
                known,
                "see config/standards/factors.csv for the codes",
            )
        elif row.unit != known[row.energy]:
            yield ConfigError(
                f"{source.place(('factors', index, 'unit'))}: {row.energy} is counted in "
                f"{known[row.energy]}, not {row.unit!r}",
                todo=f"state the factor per {known[row.energy]}",
            )


def _meters(site: Site, source: Source) -> Problems:
    for meter_id, meter in site.plant.meters.items():

        def at(key: str, path: KeyPath = ("meters", meter_id)) -> str:
            return source.place((*path, key))

        if meter.meter_id != meter_id:
            yield ConfigError(f"{at('meter_id')}: key {meter_id!r} holds {meter.meter_id!r}")
            continue
        if meter.node not in site.plant.nodes:
            yield unknown(at("node"), "node", meter.node, site.plant.nodes, "define it under nodes")
        yield from _subject(site, meter, at)
        if meter.connection is None:
            if meter.kind != "amount":
                yield ConfigError(
                    f"{at('connection')}: {meter.kind} {meter_id!r} has no connection",
                    allowed="; ".join(site.plant.connections),
                    todo="name its connection; only statements (kind amount) have none",
                )
            continue
        connection = site.plant.connections.get(meter.connection)
        if connection is None:
            yield unknown(
                at("connection"),
                "connection",
                meter.connection,
                site.plant.connections,
                "define it under connections",
            )
        else:
            yield from problems_of_reading(site, meter, connection, at)


def _subject(site: Site, meter: Meter, at: Callable[[str], str]) -> Problems:
    if meter.product is not None and meter.product not in site.plant.products:
        yield unknown(
            at("product"), "product", meter.product, site.plant.products, "define it under products"
        )
        return
    energies = site.library.energies
    if meter.energy is not None and meter.energy not in energies:
        yield unknown(
            at("energy"),
            "energy",
            meter.energy,
            energies,
            "see config/standards/factors.csv for the codes",
        )
        return
    wanted_kind = "gauge" if meter.unit in RATE_UNITS else "counter or amount"
    known_unit = meter.unit in AMOUNT_UNITS or meter.unit in RATE_UNITS
    if known_unit and (meter.kind == "gauge") != (meter.unit in RATE_UNITS):
        yield ConfigError(
            f"{at('unit')}: {meter.kind} in {meter.unit!r}",
            allowed=f"{meter.unit!r} is the unit of a {wanted_kind}",
        )
        return
    try:
        conversion_factor(amount_unit_of(meter.unit), site.amount_unit(meter.meter_id))
    except ConfigError as error:
        yield ConfigError(f"{at('unit')}: {error.given}", allowed=error.allowed, todo=error.todo)
    if meter.energy is not None:
        yield from _factor_exists(site, meter, at)


def _virtual(site: Site, source: Source) -> Problems:
    yield from problems_of_virtual(site, source)
    for meter_id, meter in site.plant.virtual.items():

        def at(key: str, path: KeyPath = ("virtual", meter_id)) -> str:
            return source.place((*path, key))

        if meter.energy in site.library.energies:
            yield from _factor_exists(site, meter, at)


def _factor_exists(site: Site, meter: Meter | VirtualMeter, at: Callable[[str], str]) -> Problems:
    energy = meter.energy or ""
    row = site.library.factor(energy, "calorific", date.max)
    if row is None or row.kgce_per_unit is None:
        low, high = row and row.kgce_per_unit_low, row and row.kgce_per_unit_high
        span = f" ({low} to {high} kgce/{row.unit})" if row and low and high else ""
        yield ConfigError(
            f"{at('energy')}: {energy} has no single factor to standard coal{span}",
            todo="state yours under `factors:` in plant.yaml, with date and source",
        )


def _products(site: Site, source: Source) -> Problems:
    for product_id, product in site.plant.products.items():
        path: KeyPath = ("products", product_id)
        if product.unit not in AMOUNT_UNITS:
            yield ConfigError(
                f"{source.place((*path, 'unit'))}: {product.unit!r} is no unit of output",
                allowed=", ".join(AMOUNT_UNITS),
            )
        for key, names in (
            ("boundary", product.boundary),
            ("norms", product.norms),
            ("benchmarks", product.benchmarks),
        ):
            for name in sorted({name for name in names if names.count(name) > 1}):
                yield ConfigError(f"{source.place((*path, key))}: {name!r} stands twice")
        for node_id in product.boundary:
            place = source.place((*path, "boundary"))
            above = set(ancestors(site, node_id)) if node_id in site.plant.nodes else set()
            if node_id not in site.plant.nodes:
                yield unknown(place, "node", node_id, site.plant.nodes, "define it under nodes")
            elif inside := (above - {node_id}) & set(product.boundary):
                yield ConfigError(
                    f"{place}: {node_id!r} lies inside {inside.pop()!r}: its energy would count "
                    "twice",
                    allowed="nodes none of which is inside another",
                )
        for key, names, known, file in (
            ("norms", product.norms, [*site.library.norms], "norm_limits.csv"),
            ("benchmarks", product.benchmarks, [*site.library.benchmarks], "benchmark_levels.csv"),
        ):
            for name in names:
                if name not in known:
                    yield _unknown_row(source.place((*path, key)), key[:-1], name, known, file)


def _unknown_row(place: str, kind: str, name: str, known: list[str], file: str) -> ConfigError:
    standard = name.split("|")[0]
    rows = [row for row in known if row.startswith(standard + "|")]
    near = difflib.get_close_matches(name, rows or known, 1, 0.3)
    return ConfigError(
        f"{place}: unknown {kind} {name!r}",
        allowed=f"standard|product|indicator of config/standards/{file}"
        + (f"; {standard} has {len(rows)} rows" if rows else ""),
        todo=f"did you mean {near[0]!r}?" if near else "kgce standards search finds it",
    )


def _shifts(site: Site, source: Source) -> Problems:
    for name, problem in shift_problems(site.plant.shifts):
        yield ConfigError(
            f"{source.place(('shifts', name))}: {problem}",
            allowed="shifts that do not overlap; time between them may belong to none",
            todo="correct the times, or say with valid_from and valid_to when each holds",
        )


def _imports(site: Site, source: Source) -> Problems:
    for name, mapping in site.plant.imports.items():
        for meter_id in mapping.values:
            if meter_id not in site.plant.meters:
                yield unknown(
                    source.place(("imports", name, "values", meter_id)),
                    "meter",
                    meter_id,
                    site.plant.meters,
                    "put it into the ledger",
                )
            elif mapping.time.label == "start" and site.plant.meters[meter_id].span_minutes is None:
                yield ConfigError(
                    f"{source.place(('imports', name, 'time', 'label'))}: stamps mark the start of "
                    f"a span, and the ledger states no span of {meter_id!r}",
                    todo="give the meter span_minutes, or state label: instant or end",
                )
