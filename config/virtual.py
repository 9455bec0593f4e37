"""Virtual meters: rows of the ledger that are computed from other meters instead of read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from pydantic import Field, model_validator

from config.base import Identifier, Model, Role
from config.expression_form import added
from config.expressions import Expression, meters_of, parse
from config.units import conversion_factor


class VirtualMeter(Model):
    """A meter that is computed from others; see [virtual meters](#virtual-meters)."""

    name: str = Field(description="Name shown.")
    node: Identifier = Field(description="Node whose flow it stands for.")
    energy: str | None = Field(None, description="Energy code, as in the ledger.")
    product: Identifier | None = Field(
        None, description="Product whose output it is (instead of energy)."
    )
    role: Role = Field("input", description="As in the ledger; check: for other expressions only.")
    unit: str | None = Field(
        None,
        description="Unit of the number that the expression gives; only needed where that is not "
        "the unit that the energy or product is counted in.",
    )
    expression: str = Field(
        min_length=1,
        description="Meters by id, numbers, `+ - * /`, parentheses, min(), max(), abs(), "
        "clip(x, low, high).",
    )

    @model_validator(mode="after")
    def _one_subject(self) -> VirtualMeter:
        if (self.energy is None) == (self.product is None):
            raise ValueError("a meter has either an energy or a product")
        if self.product is not None and self.role not in ("output", "check"):
            raise ValueError(f"role {self.role!r} with a product; allowed: output, check")
        return self

    @property
    def formula(self) -> Expression:
        """The expression as a tree. Raises ConfigError where it is none."""
        return parse(self.expression)

    def scale(self, amount_unit: str) -> float:
        """Factor from the number that the expression gives to ``amount_unit``.

        Raises ConfigError where the stated unit does not convert to it.
        """
        return conversion_factor(self.unit or amount_unit, amount_unit)


def in_order(virtual: Mapping[str, VirtualMeter]) -> tuple[str, ...]:
    """Ids of the virtual meters, each after all those that it is made of; none in a `circle_in`."""
    return tuple(TopologicalSorter(_made_of(virtual)).static_order())


def circle_in(virtual: Mapping[str, VirtualMeter]) -> tuple[str, ...]:
    """Virtual meters each of which is made of the next, back to the first; empty where none is."""
    try:
        TopologicalSorter(_made_of(virtual)).prepare()
    except CycleError as error:
        return tuple(reversed(error.args[1]))
    return ()


def _made_of(virtual: Mapping[str, VirtualMeter]) -> dict[str, list[str]]:
    return {
        meter_id: [part for part in meters_of(meter.formula) if part in virtual]
        for meter_id, meter in virtual.items()
    }


def flattened(
    weights: Mapping[str, float], known: Mapping[str, Mapping[str, float]], scale: float = 1.0
) -> dict[str, float]:
    """A weighted sum times ``scale``, with the weighted sums that it is made of put in their place.

    ``known``: weights of virtual meters. What cancels out is dropped: with r = main - line1, the
    sum r + line1 is main, and knows nothing of the gaps of line1.
    """
    found = added((part, weight * scale) for part, weight in _put_in(weights, known))
    return {meter_id: weight for meter_id, weight in sorted(found.items()) if weight != 0}


def _put_in(
    weights: Mapping[str, float], known: Mapping[str, Mapping[str, float]]
) -> Iterator[tuple[str, float]]:
    for meter_id, weight in weights.items():
        if meter_id in known:
            yield from ((part, weight * inner) for part, inner in known[meter_id].items())
        else:
            yield meter_id, weight
