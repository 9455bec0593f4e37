"""plant.yaml and all that it names, read and checked: the one way into a configuration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from config.check import problems_of
from config.devices import read_device
from config.errors import ConfigError
from config.ledger import read_ledger
from config.models import Meter, Plant
from config.register_map import Device
from config.site import Site
from config.standards import Library, read_library
from config.standards_files import read_own
from config.yaml import Source, combine, read_yaml, validate


def load(file: Path) -> Site:
    """Read plant.yaml, the ledger, the register maps and the standards.

    Raises ConfigError that holds every problem found, each with file, line and key path.
    """
    source = read_yaml(file)
    if isinstance(source.data, dict):
        _bring_in_meters(file, source)
        _bring_in_assessment(file, source)
    plant = validate(Plant, source)
    library = read_library().with_own(plant.factors)
    library = library.with_own_levels(plant.norms, plant.benchmarks)
    devices: dict[str, Device] = {}
    problems: list[ConfigError] = []
    for meter_id, meter in plant.meters.items():
        if meter.device is not None and meter.device not in devices:
            try:
                devices[meter.device] = read_device(meter.device, file.parent.resolve())
            except ConfigError as error:
                place = source.place(("meters", meter_id, "device"))
                problems.append(
                    ConfigError(f"{place}: {error.given}", allowed=error.allowed, todo=error.todo)
                )
    own: dict[str, dict[str, Any]] = {}
    for name, path in plant.assessment.standards.items():
        try:
            own[name] = read_own(name, file.parent / path)
        except ConfigError as error:
            problems.append(error)
    plant = plant.model_copy(update={"meters": dict(_with_maps(plant, devices))})
    site = Site(file, plant, devices, library, _hash(plant, devices, library), own)
    problems.extend(problems_of(site, source))
    if problems:
        raise combine(problems)
    return site


def _with_maps(plant: Plant, devices: dict[str, Device]) -> Iterator[tuple[str, Meter]]:
    """The meters, with what the register map says and the ledger does not: the interval of the
    field's group, and the modulus of a counter whose rated power is known."""
    for meter_id, meter in plant.meters.items():
        device = devices.get(meter.device or "")
        field = device.fields.get(meter.quantity or "") if device is not None else None
        if device is None or field is None:
            yield meter_id, meter
            continue
        more: dict[str, float] = {}
        if field.group is not None and meter.interval_s is None:
            more["interval_s"] = device.groups[field.group].interval_s
        knows_rate = meter.rated_per_h is not None
        if field.modulus is not None and meter.modulus is None and knows_rate:
            more["modulus"] = field.modulus
        yield meter_id, meter.model_copy(update=more) if more else meter


def _bring_in_meters(file: Path, source: Source) -> None:
    """Replace ``meters: meters.csv`` by the ledger's rows, and give inline meters their id."""
    meters = source.data.get("meters")
    if isinstance(meters, str):
        source.data["meters"] = read_ledger(file.parent / meters, source)
    elif isinstance(meters, dict):
        source.data["meters"] = {
            key: {"meter_id": key, **row} if isinstance(row, dict) else row
            for key, row in meters.items()
        }


def _bring_in_assessment(file: Path, source: Source) -> None:
    """Replace ``assessment: assessment.yaml`` by what that file holds."""
    if not isinstance(source.data.get("assessment"), str):
        return
    named = read_yaml(file.parent / source.data["assessment"])
    source.data["assessment"] = named.data if named.data is not None else {}
    source.lines.update({("assessment", *path): place for path, place in named.lines.items()})


def _hash(plant: Plant, devices: dict[str, Device], library: Library) -> str:
    content = {
        "plant": plant.model_dump(mode="json", exclude={"assessment"}),
        "devices": {name: device.model_dump(mode="json") for name, device in devices.items()},
        "standards": library.version,
    }
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
