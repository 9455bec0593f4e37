"""Which figures are made of a product: one a norm, and its comprehensive energy in any case."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from config.errors import ConfigError
from config.models import Product
from config.standards import Library
from config.standards_rows import NormRow
from indicators.norms import Kind, Ratio, use_of, why_refused
from indicators.numerators import OWN_TABLE_STANDARD


@dataclass(frozen=True)
class Target:
    """One figure to be made of a product: its kind, its unit, and the norm that judges it.

    Of several editions of a norm, each judges the periods that begin from ``since`` to before
    ``until``, the day on which the next one comes into force.
    """

    kind: Kind
    ratio: Ratio
    unit: str
    norm: NormRow | None
    since: date | None = None
    until: date | None = None

    @property
    def counts_feedstock(self) -> bool:
        return self.norm is None or self.norm.feedstock != "excluded"

    @property
    def basis(self) -> str:
        if self.kind == "unit_product_electricity":
            return "physical"
        own_table = self.norm is not None and self.norm.standard == OWN_TABLE_STANDARD
        return "equivalent" if own_table else "calorific"


def targets_of(product: Product, library: Library) -> list[Target]:
    """The figures of a product: one a norm, and unit_product_energy in any case.

    Which norms judge the product is for the plant to say; that its comprehensive energy
    (GB/T 2589-2020) is told without any norm, and that of two editions the one in force on a
    period's first day judges it, are kgce's own rules.

    Raises ConfigError for a norm that cannot judge the product.

    >>> from config.example import works
    >>> plain = works().plant.products["clinker"].model_copy(update={"norms": ()})
    >>> [(target.kind, target.unit, target.norm) for target in targets_of(plain, works().library)]
    [('unit_product_energy', 'kgce/t', None)]
    """
    targets = []
    for norm_id in product.norms:
        norm = library.norms[norm_id]
        use, refusal = use_of(norm), why_refused(norm, product.unit)
        if refusal or use.kind is None or use.ratio is None:
            raise ConfigError(
                refusal or use.refusal, data="no indicator was computed", todo="remove the norm"
            )
        others = [library.norms[one] for one in product.norms]
        span = _in_force(norm, [one for one in others if use_of(one).kind == use.kind])
        targets.append(Target(use.kind, use.ratio, norm.unit, norm, *span))
    if all(target.kind != "unit_product_energy" for target in targets):
        plain = Ratio("kgce", product.unit, product.unit, 1.0)
        targets.insert(0, Target("unit_product_energy", plain, f"kgce/{product.unit}", None))
    return targets


def _in_force(norm: NormRow, others: Iterable[NormRow]) -> tuple[date | None, date | None]:
    """From when to when an edition judges, beside other editions of the same standard; None where
    no other one comes before, or after."""
    number = norm.standard.rsplit("-", 1)[0]
    own = norm.effective_from or date.min
    days = [
        one.effective_from or date.min
        for one in others
        if one.standard != norm.standard and one.standard.rsplit("-", 1)[0] == number
    ]
    earlier = any(day < own for day in days)
    return own if earlier else None, min((day for day in days if day > own), default=None)
