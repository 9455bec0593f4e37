"""Whether baselines, targets and quotas name what exists, and fit to each other."""

from __future__ import annotations

import csv
from collections.abc import Hashable, Iterable
from pathlib import Path

from config.baselines import Baseline, Quota, Target
from config.check_reading import Problems, unknown
from config.errors import ConfigError
from config.site import Site
from config.yaml import KeyPath, Source

_SECTION = "assessment"
_FILE = "a CSV file, UTF-8, with a column `period` and one for each driver"


def problems_of_baselines(site: Site, source: Source) -> Problems:
    """What is wrong with the baselines, targets and quotas of the assessment."""
    given = site.plant.assessment
    for index, one in enumerate(given.baselines):
        yield from _baseline(site, one, (_SECTION, "baselines", index), source)
    for index, target in enumerate(given.targets):
        yield from _target(site, target, (_SECTION, "targets", index), source)
    for index, quota in enumerate(given.quotas):
        path: KeyPath = (_SECTION, "quotas", index)
        yield from _forecast(site, quota, _root(site), path, source)
    yield from _twice("baselines", [one.id for one in given.baselines], source)
    yield from _twice("targets", [(one.id, one.year) for one in given.targets], source)
    yield from _twice("quotas", [one.year for one in given.quotas], source)


def _twice(section: str, keys: Iterable[Hashable], source: Source) -> Problems:
    seen: set[Hashable] = set()
    for index, key in enumerate(keys):
        if key in seen:
            named = " of ".join(map(str, key)) if isinstance(key, tuple) else key
            place = source.place((_SECTION, section, index))
            yield ConfigError(f"{place}: {named} stands twice", allowed="each once")
        seen.add(key)


def _baseline(site: Site, one: Baseline, path: KeyPath, source: Source) -> Problems:
    plant = site.plant
    if one.node not in plant.nodes:
        place = source.place((*path, "node"))
        yield unknown(place, "node", one.node, plant.nodes, "define it under nodes")
    if one.energy is not None and one.energy not in site.library.energies:
        place = source.place((*path, "energy"))
        todo = "see config/standards/factors.csv for the codes"
        yield unknown(place, "energy", one.energy, site.library.energies, todo)
    place = source.place((*path, "drivers"))
    known = [*plant.products, *plant.all_meters]
    if one.file is not None:
        columns, problem = _columns(site.folder / one.file)
        known += columns
        if problem:
            yield ConfigError(f"{source.place((*path, 'file'))}: {problem}", allowed=_FILE)
            return
    for place_of, name in enumerate(one.drivers):
        if name not in known:
            yield unknown(place, "product or meter", name, known, "define it")
        elif name in one.drivers[:place_of]:
            yield ConfigError(f"{place}: {name!r} stands twice", allowed="each driver once")
        elif known.count(name) > 1:
            yield ConfigError(
                f"{place}: {name!r} is more than one of product, meter and column of the file",
                todo="rename all but one",
            )
    for index, adjustment in enumerate(one.adjustments):
        if adjustment.from_ <= one.to:
            yield ConfigError(
                f"{source.place((*path, 'adjustments', index))}: it holds from {adjustment.from_}, "
                "inside the base period",
                allowed=f"a day after {one.to}",
                todo="end the base period before it, or adjust what comes behind",
            )


def _columns(file: Path) -> tuple[list[str], str]:
    """The file's drivers; or what is wrong with it."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            header = next(csv.reader(stream), [])
    except (OSError, UnicodeDecodeError) as error:
        return [], f"{file}: {getattr(error, 'strerror', None) or error}"
    if "period" not in header:
        return [], f"{file} has no column `period`"
    return [name for name in header if name != "period"], ""


def _target(site: Site, one: Target, path: KeyPath, source: Source) -> Problems:
    plant = site.plant
    if one.node is not None and one.node not in plant.nodes:
        place = source.place((*path, "node"))
        yield unknown(place, "node", one.node, plant.nodes, "define it under nodes")
    if one.product is not None and one.product not in plant.products:
        place = source.place((*path, "product"))
        yield unknown(place, "product", one.product, plant.products, "define it under products")
    product = plant.products.get(one.product or "")
    if product is not None and one.norm is not None and one.norm not in product.norms:
        place = source.place((*path, "norm"))
        yield unknown(place, "norm of the product", one.norm, product.norms, "list it there")
    subject = None if one.product is not None else one.node or _root(site)
    yield from _forecast(site, one, subject, path, source)


def _root(site: Site) -> str | None:
    """The plant's node; where there is no single one, that is reported elsewhere."""
    roots = [node_id for node_id, node in site.plant.nodes.items() if node.parent is None]
    return roots[0] if len(roots) == 1 else None


def _forecast(
    site: Site, of: Target | Quota, node: str | None, path: KeyPath, source: Source
) -> Problems:
    """A baseline that does not forecast what is limited."""
    every = {one.id: one for one in site.plant.assessment.baselines}
    found = every.get(of.baseline or "")
    place = source.place((*path, "baseline"))
    if of.baseline is None:
        if of.planned:
            yield ConfigError(
                f"{source.place((*path, 'planned'))}: planned totals without a baseline",
                todo="name the baseline whose drivers they are",
            )
    elif found is None:
        yield unknown(place, "baseline", of.baseline, every, "state it under baselines")
    elif found.energy is not None or found.node != node or found.basis != of.basis:
        yield ConfigError(
            f"{place}: {found.id!r} is of {found.energy or 'all energies'} of {found.node!r}, "
            f"{found.basis}",
            allowed=f"a baseline of all energies of {node or 'a node'!r}, {of.basis}",
        )
    else:
        for name in of.planned:
            if name not in found.drivers:
                at = source.place((*path, "planned", name))
                yield unknown(at, "driver", name, found.drivers, "plan the baseline's drivers")
