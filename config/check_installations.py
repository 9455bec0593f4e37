"""Whether installation records fit the ledger and each other."""

from __future__ import annotations

from datetime import datetime

from config.check_reading import Problems, unknown
from config.errors import ConfigError
from config.site import Site
from config.yaml import Source


def problems_of_installations(site: Site, source: Source) -> Problems:
    """Unknown meters, kinds without a register, two records for one moment."""
    meters = site.plant.meters
    seen: dict[tuple[str, datetime], int] = {}
    for index, record in enumerate(site.plant.installations):

        def at(key: str, index: int = index) -> str:
            return source.place(("installations", index, key))

        if record.meter not in meters:
            yield unknown(at("meter"), "meter", record.meter, meters, "put it into the ledger")
            continue
        meter = meters[record.meter]
        if meter.kind != "counter" and (record.new_register or record.modulus is not None):
            yield ConfigError(
                f"{at('meter')}: {meter.kind} {record.meter!r} has no register",
                allowed="serial, readings and modulus for counters; for others multiplier alone",
            )
        moment = site.moment(record.from_)
        if (other := seen.setdefault((record.meter, moment), index)) != index:
            yield ConfigError(
                f"{at('from')}: {record.meter!r} has a record for {record.from_} already "
                f"(number {other + 1})",
                allowed="one record for a meter and moment",
            )
        modulus = record.modulus if record.modulus is not None else meter.modulus
        if modulus is not None and record.modulus is not None and meter.rated_per_h is None:
            yield ConfigError(
                f"{at('modulus')}: needs rated_per_h of {record.meter!r} in the ledger",
                todo="state it: without it nobody can say how often the counter rolled over",
            )
        if modulus is not None and (record.start_reading or 0) >= modulus:
            yield ConfigError(
                f"{at('start_reading')}: {record.start_reading}",
                allowed=f"below the modulus {modulus}",
            )
