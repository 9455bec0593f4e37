"""Whether virtual meters are made of meters that exist, of one unit, and of amounts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from config.check_reading import Problems, unknown
from config.errors import ConfigError
from config.expression_form import Form, form_of, written
from config.expressions import MeterName, meters_of, names
from config.models import Meter
from config.site import Site
from config.units import AMOUNT_UNITS, conversion_factor
from config.virtual import VirtualMeter, circle_in, flattened, in_order
from config.yaml import Source

At = Callable[[str], str]


def problems_of_virtual(site: Site, source: Source) -> Problems:
    """What is wrong with the section ``virtual``, all meters before any unit."""
    virtual = site.plant.virtual
    wrong: list[ConfigError] = []
    for meter_id, meter in virtual.items():
        wrong.extend(_problems_of_names(site, meter_id, meter, _place(source, meter_id)))
    yield from wrong
    if wrong:
        return
    if circle := circle_in(virtual):
        yield ConfigError(
            f"{_place(source, circle[0])('expression')}: {circle[0]!r} is made of itself: "
            + ", which is made of ".join(circle),
            allowed="expressions that do not lead back",
        )
        return
    units, weights = dict(_units(site)), dict[str, Mapping[str, float]]()
    for meter_id in in_order(virtual):
        at, meter = _place(source, meter_id), virtual[meter_id]
        if not units.keys() >= {*meters_of(meter.formula)}:
            continue  # reported where the meter stands
        try:
            form = form_of(meter.formula, units.__getitem__)
        except ConfigError as error:
            yield _placed(at("expression"), error)
            continue
        problems = [*_problems_of_amount(form, at)]
        problems += _problems_of_unit(form, meter, units[meter_id], at)
        yield from problems
        if form.weights is not None and not problems:
            weights[meter_id] = flattened(form.weights, weights, meter.scale(units[meter_id]))
            if not weights[meter_id]:
                yield ConfigError(f"{at('expression')}: every meter in it cancels out")


def _units(site: Site) -> Iterator[tuple[str, str]]:
    """The unit of every meter whose energy or product is known."""
    for meter_id, meter in site.plant.all_meters.items():
        if meter.energy in site.library.energies or meter.product in site.plant.products:
            yield meter_id, site.amount_unit(meter_id)


def _place(source: Source, meter_id: str) -> At:
    return lambda key: source.place(("virtual", meter_id, key))


def _placed(place: str, error: ConfigError) -> ConfigError:
    return ConfigError(f"{place}: {error.given}", allowed=error.allowed, todo=error.todo)


def _problems_of_names(site: Site, meter_id: str, meter: VirtualMeter, at: At) -> Problems:
    plant = site.plant
    if meter_id in plant.meters:
        yield ConfigError(
            f"{at('name')}: {meter_id!r} stands in the ledger already",
            todo="give each meter its own id",
        )
    if meter.node not in plant.nodes:
        yield unknown(at("node"), "node", meter.node, plant.nodes, "define it under nodes")
    if meter.product is not None and meter.product not in plant.products:
        yield unknown(
            at("product"), "product", meter.product, plant.products, "define it under products"
        )
    if meter.energy is not None and meter.energy not in site.library.energies:
        yield unknown(
            at("energy"),
            "energy",
            meter.energy,
            site.library.energies,
            "see config/standards/factors.csv for the codes",
        )
    try:
        mentioned = tuple(names(meter.formula))
    except ConfigError as error:
        yield _placed(at("expression"), error)
        return
    known = plant.all_meters
    for name in mentioned:
        yield from _problems_of_name(name, known, at("expression"))
        yield from _not_read(name, plant.meters.get(name.meter_id), at("expression"))
    if not mentioned:
        yield ConfigError(f"{at('expression')}: no meter in it", allowed="expressions over meters")


def _problems_of_name(name: MeterName, known: Mapping[str, object], place: str) -> Problems:
    """An id that no meter has, or that can be read in two ways."""
    place = f"{place}: character {name.at}"
    difference = None if name.bracketed else next(_differences(name.meter_id, known), None)
    if name.meter_id not in known and difference:
        yield ConfigError(
            f"{place}: unknown meter {name.meter_id!r}",
            allowed=", ".join(known),
            todo=f"put blanks around the minus: {difference!r}",
        )
    elif name.meter_id not in known:
        todo = "put it into the ledger, or under virtual"
        yield unknown(place, "meter", name.meter_id, known, todo)
    elif difference:
        yield ConfigError(
            f"{place}: {name.meter_id!r} can be read in two ways",
            allowed=f"'[{name.meter_id}]' for the meter; {difference!r} for the difference",
        )


def _not_read(name: MeterName, meter: Meter | None, place: str) -> Problems:
    """A meter of output whose product's output is typed or imported instead."""
    if meter is not None and meter.product is not None and meter.connection is None:
        yield ConfigError(
            f"{place}: character {name.at}: {name.meter_id!r} is not read: what {meter.product} "
            "puts out is imported",
            allowed="meters with a connection, and energy by statements",
        )


def _differences(text: str, known: Mapping[str, object]) -> Iterator[str]:
    """Ways to read a name with "-" as the difference of two meters."""
    for index, character in enumerate(text):
        left, right = text[:index], text[index + 1 :]
        if character == "-" and left in known and right in known:
            yield f"{left} - {right}"


def _problems_of_amount(form: Form, at: At) -> Problems:
    """An expression that does not add up over time."""
    if form.degree != 1:
        yield ConfigError(
            f"{at('expression')}: it gives {written(form.powers)}, which does not add up over time",
            allowed="amounts: as many amounts multiplied as divided by, and one more",
        )


def _problems_of_unit(form: Form, meter: VirtualMeter, wanted: str, at: At) -> Problems:
    """A unit that is not what the expression gives, or does not fit the energy."""
    given = written(form.powers)
    stated = meter.unit or wanted
    if stated not in AMOUNT_UNITS:
        yield ConfigError(
            f"{at('unit')}: {stated!r} is no unit of amounts", allowed=", ".join(AMOUNT_UNITS)
        )
        return
    try:
        conversion_factor(stated, wanted)
    except ConfigError as error:
        yield ConfigError(
            f"{at('unit')}: {stated!r} does not convert to {wanted!r}, the unit of "
            f"{meter.energy or meter.product}",
            allowed=error.allowed,
        )
        return
    if given == stated:
        return
    if given in AMOUNT_UNITS and AMOUNT_UNITS[given][0] == AMOUNT_UNITS[stated][0]:
        yield ConfigError(
            f"{at('unit')}: the expression gives {given}, not {stated}",
            todo=f"state `unit: {given}`, without a factor: kgce converts it to {wanted}",
        )
    elif meter.unit is None or not form.has_factor:
        yield ConfigError(
            f"{at('unit')}: the expression gives {given}; {meter.energy or meter.product} is "
            f"counted in {wanted}",
            todo=f"multiply by the factor from {given}, and state as `unit:` what it leads to",
        )
