"""Whether what plant.yaml says of the rubric fits its items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from config.check_reading import Problems, unknown
from config.errors import ConfigError
from config.rubric import RubricEvidence, RubricReference
from config.site import Site
from config.standards_rubric import RubricEditionRow, RubricItemRow
from config.yaml import KeyPath, Source

PATH: KeyPath = ("assessment", "rubric")
ITEMS = "see config/standards/rubric_items.csv for the items"


def problems_of_rubric(site: Site, source: Source) -> Problems:
    """Editions, items and products that there are; units, order and points that can be."""
    rubric = site.plant.assessment.rubric
    editions, items = site.rows(RubricEditionRow), site.rows(RubricItemRow)
    if rubric.edition not in editions:
        yield unknown(
            source.place((*PATH, "edition")), "edition", rubric.edition, editions,
            "see config/standards/rubric_editions.csv",
        )  # fmt: skip
    for product in rubric.products:
        if product not in site.plant.products:
            place = source.place((*PATH, "products"))
            yield unknown(place, "product", product, site.plant.products, "see products")
    stated: dict[str, Sequence[RubricReference | RubricEvidence]] = {
        "references": rubric.references,
        "evidence": rubric.evidence,
    }
    for key, rows in stated.items():
        seen: list[tuple[object, ...]] = []
        for index, row in enumerate(rows):
            place = source.place((*PATH, key, index))
            of = (row.item, row.year, getattr(row, "product", None))
            if of in seen:
                yield ConfigError(f"{place}: {row.item} stands twice", allowed="one for a year")
            seen.append(of)
            if row.item not in items:
                form = row.item.partition("-")[0]
                near = [name for name in items if name.startswith(f"{form}-")] or items
                yield unknown(f"{place}.item", "item", row.item, near, ITEMS)
    for index, reference in enumerate(rubric.references):
        place = source.place((*PATH, "references", index))
        if reference.item in items:
            yield from _reference(site, place, reference, items[reference.item])
    for index, evidence in enumerate(rubric.evidence):
        item = items.get(evidence.item)
        most = item.points if item is not None else None
        if evidence.points is not None and most is not None and evidence.points > most:
            yield ConfigError(
                f"{source.place((*PATH, 'evidence', index))}: {evidence.points:g} points",
                allowed=f"at most {most:g}, the points of {evidence.item}",
            )


def _reference(
    site: Site, place: str, given: RubricReference, item: RubricItemRow
) -> Iterator[ConfigError]:
    products = site.plant.products
    if given.product is not None and given.product not in products:
        yield unknown(place, "product", given.product, products, "define it under products")
    if item.method == "evidence":
        yield ConfigError(
            f"{place}: {item.id} has neither lead nor base",
            todo="state under `evidence:` whether it is met",
        )
        return
    if item.unit and given.unit != item.unit:
        yield ConfigError(f"{place}: unit {given.unit!r}", allowed=f"{item.unit}, of {item.id}")
    if given.base is None and item.method == "linear":
        yield ConfigError(f"{place}: {item.id} has no base", allowed="lead and base")
    if given.base is not None and (
        given.lead == given.base or (given.lead < given.base) != (item.direction == "smaller")
    ):
        order = "below" if item.direction == "smaller" else "above"
        yield ConfigError(
            f"{place}: lead {given.lead:g} and base {given.base:g}",
            allowed=f"a lead {order} the base: {item.direction} is better",
        )
