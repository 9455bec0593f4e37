"""Allocation of a shared node's energy to products: dated rules."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from math import fsum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from config.base import Identifier, Model

Rule = Literal["output", "drivers", "shares"]
SHARE_ROUNDING = 1e-9  # how far written shares may be from a sum of 1: 1/3 is written 0.3333333333


class Allocation(Model):
    """How the energy of a shared node is shared out to products, from a day on.

    Two cases. Offices, by tonnes: `{node: office, from: 2026-01-01, output: [clinker, cement]}`.
    A boiler house, by steam meters: `{node: boiler, from: 2026-01-01, drivers: {clinker: [s-kiln],
    cement: [s-mill]}}`.
    """

    node: Identifier = Field(description="Shared node; its net consumption is shared out.")
    from_: date = Field(
        alias="from",
        description="First day on which the rule holds, until the node's next rule. A period in "
        "which the rule changes is shared out by its days.",
    )
    output: tuple[Identifier, ...] | None = Field(
        None, min_length=1, description="By the standard output of these products; or:"
    )
    drivers: dict[Identifier, tuple[Identifier, ...]] | None = Field(
        None, min_length=1, description="by the amounts of these meters, by product; or:"
    )
    shares: dict[Identifier, Annotated[float, Field(ge=0, le=1)]] | None = Field(
        None, min_length=1, description="by fixed shares by product, which sum to 1."
    )
    energies: tuple[Identifier, ...] = Field(
        (), description="Only these energies of the node; default all that it consumes."
    )

    @model_validator(mode="after")
    def _one_rule(self) -> Allocation:
        stated = [name for name in ("output", "drivers", "shares") if getattr(self, name)]
        if len(stated) != 1:
            raise ValueError(
                f"{' and '.join(stated) or 'no rule'} given; allowed: one of output, drivers, "
                "shares"
            )
        if self.shares and abs(fsum(self.shares.values()) - 1) > SHARE_ROUNDING:
            raise ValueError(f"shares sum to {fsum(self.shares.values())!r}; they must sum to 1")
        if self.drivers and not all(self.drivers.values()):
            raise ValueError("a product without driver meters")
        return self

    @property
    def rule(self) -> Rule:
        if self.output:
            return "output"
        return "drivers" if self.drivers else "shares"

    @property
    def products(self) -> tuple[str, ...]:
        """The products that share, in the order in which they are written."""
        return tuple(self.output or self.drivers or self.shares or ())

    def counts(self, energy: str) -> bool:
        """Whether the energy is shared out."""
        return not self.energies or energy in self.energies


def rules_by_date(allocations: Iterable[Allocation], node: str) -> list[Allocation]:
    """The node's rules, the earliest first."""
    return sorted((one for one in allocations if one.node == node), key=lambda one: one.from_)


def rule_on(rules: Iterable[Allocation], day: date) -> Allocation | None:
    """The rule of one node (by date) that holds on ``day``; None before the first."""
    return next((one for one in reversed(list(rules)) if one.from_ <= day), None)
