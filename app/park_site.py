"""park.yaml read and checked, with the configuration and figures of each of its plants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app import jobs
from app.published import Published
from app.sites import load_site
from config.check_reading import unknown
from config.errors import ConfigError
from config.park import Park
from config.site import Site
from config.standards_files import read_dataset
from config.standards_rubric import GreenParkRow
from config.yaml import Source, combine, read_yaml, validate


@dataclass(frozen=True)
class ParkSite:
    """A park, and what its plants published, by plant id."""

    park: Park
    plants: dict[str, Published]


def load_park(file: Path) -> ParkSite:
    """The park of a park.yaml. Raises ConfigError that holds every problem."""
    source = read_yaml(file)
    park = validate(Park, source)
    plants: dict[str, Published] = {}
    problems: list[ConfigError] = []
    for index, path in enumerate(park.plants):
        site = load_site(file.parent / path)
        if site.id in plants:
            problems.append(
                ConfigError(
                    f"{source.place(('plants', index))}: plant {site.id!r} stands twice",
                    allowed="each plant once",
                )
            )
        plants[site.id] = Published(site, jobs.open_lake(site))
    sites = {plant_id: published.site for plant_id, published in plants.items()}
    problems += [*_transfers(park, sites, source), *_items(park, source)]
    if problems:
        raise combine(problems)
    return ParkSite(park, plants)


def _transfers(park: Park, sites: dict[str, Site], source: Source) -> Iterator[ConfigError]:
    energies = next(iter(sites.values())).library.energies
    for code in park.clean_energies:
        if code not in energies:
            yield unknown(source.place(("clean_energies",)), "energy", code, energies, "")
    for index, one in enumerate(park.transfers):
        place = source.place(("transfers", index))
        ends = (one.sender, one.receiver)
        for plant in ends:
            if plant not in sites:
                yield unknown(place, "plant", plant, sites, "list its plant.yaml under plants")
        if one.energy not in energies:
            yield unknown(place, "energy", one.energy, energies, "see factors.csv for the codes")
        meters = {
            name
            for plant in ends
            if plant in sites
            for name, meter in sites[plant].plant.all_meters.items()
            if meter.energy == one.energy
        }
        if one.meter is not None and one.meter not in meters:
            yield unknown(
                place, f"meter of {one.energy}", one.meter, sorted(meters), "name one of either"
            )


def _items(park: Park, source: Source) -> Iterator[ConfigError]:
    items = read_dataset(GreenParkRow)
    for key, names in (
        ("references", [one.item for one in park.references]),
        ("evidence", [f"{one.item} {one.year or ''}".strip() for one in park.evidence]),
    ):
        for index, name in enumerate(names):
            place = source.place((key, index))
            if name in names[:index]:
                yield ConfigError(f"{place}: {name} stands twice", allowed="one for an item")
            item = name.split(" ")[0]
            if item not in items:
                yield unknown(place, "item", item, items, "see config/standards/green_park.csv")
    for index, stated in enumerate(park.evidence):
        row = items.get(stated.item)
        place = source.place(("evidence", index))
        if row is not None and stated.value is not None and stated.unit != row.unit:
            allowed = f"{row.unit or 'met: true or false'}, of {row.id}"
            yield ConfigError(f"{place}: unit {stated.unit!r}", allowed=allowed)
        if row is not None and stated.points is not None and stated.points > (row.points or 0):
            yield ConfigError(
                f"{place}: {stated.points:g} points", allowed=f"at most {row.points or 0:g}"
            )
