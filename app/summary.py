"""What `kgce check` says of a good configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from collectors.connections import describe
from config.shifts import shift_gaps
from config.site import Site


def summary(site: Site) -> Iterator[str]:
    """Lines: the plant, what each connection would read, what each product is judged by."""
    plant = site.plant
    kinds = Counter(meter.energy or f"output of {meter.product}" for meter in plant.meters.values())
    yield f"{plant.plant.name} ({site.id}): {len(plant.nodes)} nodes, {len(plant.meters)} meters"
    yield "meters: " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    for connection_id in plant.connections:
        yield describe(site, connection_id)
    for product_id, product in plant.products.items():
        norms = "; ".join(product.norms) or "no norm is set"
        yield f"product {product_id}: kgce/{product.unit} of {'+'.join(product.boundary)}: {norms}"
    if plant.shifts:
        today = datetime.now(plant.plant.zone).date()
        gaps = ", ".join(shift_gaps(plant.shifts, today)) or "none"
        yield f"shifts: {', '.join(plant.shifts)}; time of the day that belongs to none: {gaps}"
    unbounded = [m.meter_id for m in plant.meters.values() if m.rated_per_h is None]
    if unbounded:
        yield (
            f"note: without rated_per_h gaps have no upper bound and spikes are harder to see: "
            f"{', '.join(unbounded)}"
        )
    yield f"data: {site.storage_path}; config {site.config_hash}; standards {site.library.version}"
