"""What crosses a node's boundary, by energy: which meters count there, and with which sign.

A node with input meters of its own is what they say: less what goes to use outside production
anywhere below it, less what its own output meters send out, plus its own feedstock meters. A node
without is the sum of the nodes below it. So a main meter and the branches under it never count
twice.

An energy that is made below a node does not cross its boundary. Where the node has no input meter
of it, and all that the nodes below use is made there, the node takes none: the fuel that made it
has been counted. It is deducted where the node sends it out, or uses it outside production.

Three worked cases. A plant with a main meter of 100 and branches of 60 and 30 used 100. The same
plant without a main meter used 90. A plant whose boiler makes 60 t of steam, of which the kiln gets
55 t and a neighbour 3 t, used -3 t of steam, beside the boiler's coal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from config.base import Role
from config.models import Meter, Node
from config.virtual import VirtualMeter


@dataclass
class Parts:
    """The meters of a node's balance: ``main`` and ``inside`` bring in what the others use.

    ``main``: the node's own inputs. ``inside``: made or recovered below, or sent back by a branch.
    ``branches``: inputs of the nodes below. ``aside``: feedstock and use outside production below,
    the node's own use outside production, and what it sends out.
    """

    main: list[str] = field(default_factory=list)
    inside: list[str] = field(default_factory=list)
    branches: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)

    @property
    def signs(self) -> dict[str, int]:
        """+1 for each meter that brings in, -1 for each that takes out."""
        supply, use = (*self.main, *self.inside), (*self.branches, *self.aside)
        return {**dict.fromkeys(supply, 1), **dict.fromkeys(use, -1)}


class NodeTree:
    """Nodes and what is metered at them."""

    def __init__(
        self, nodes: Mapping[str, Node], meters: Mapping[str, Meter | VirtualMeter]
    ) -> None:
        self.nodes = nodes
        self.energies = sorted({m.energy for m in meters.values() if m.energy is not None})
        self._children: dict[str | None, list[str]] = {}
        for node_id, node in nodes.items():
            self._children.setdefault(node.parent, []).append(node_id)
        self._own: dict[tuple[str, str, Role], list[str]] = {}
        for meter_id, meter in meters.items():
            if meter.energy is not None:
                self._own.setdefault((meter.node, meter.energy, meter.role), []).append(meter_id)

    @property
    def root(self) -> str:
        """The node of the whole plant."""
        return self._children[None][0]

    def children(self, node_id: str) -> list[str]:
        return self._children.get(node_id, [])

    def own(self, node_id: str, energy: str, role: Role) -> list[str]:
        """The node's own meters of an energy in a role."""
        return self._own.get((node_id, energy, role), [])

    def weights(self, node_id: str, energy: str, *, feedstock: bool = True) -> dict[str, int]:
        """Meters that make up the node's net consumption, with +1 or -1.

        Recovered and check meters have no weight: what a node recovers and uses itself is not
        counted again (GB/T 2589-2020). Without ``feedstock``: less what is used as raw material
        at the node and below.
        """
        found: dict[str, int] = {}
        if inputs := self.own(node_id, energy, "input"):
            found.update(dict.fromkeys(inputs, 1))
            found.update(dict.fromkeys(self._outside_production(node_id, energy), -1))
            if not feedstock:
                found.update(dict.fromkeys(self._feedstock_below(node_id, energy), -1))
        elif self.is_made_inside(node_id, energy):
            found.update(dict.fromkeys(self._outside_production(node_id, energy), -1))
        else:
            for child in self.children(node_id):
                found.update(self.weights(child, energy, feedstock=feedstock))
        found.update(dict.fromkeys(self.own(node_id, energy, "output"), -1))
        if feedstock:
            found.update(dict.fromkeys(self.own(node_id, energy, "feedstock"), 1))
        return found

    def is_source(self, node_id: str, energy: str) -> bool:
        """Whether the node makes the energy: it says so, or sends it out and takes none in."""
        if self._declares(node_id, energy):
            return True
        return bool(self.own(node_id, energy, "output")) and not self.own(node_id, energy, "input")

    def is_sole_source(self, node_id: str, energy: str) -> bool:
        """Whether the node, or all makers inside it, say that nothing else is a source."""
        if self._declares(node_id, energy):
            converts = self.nodes[node_id].converts
            return converts is not None and converts.sole_source
        below = self.sources(node_id, energy)
        return bool(below) and all(self.is_sole_source(one, energy) for one in below)

    def sources(self, node_id: str, energy: str) -> list[str]:
        """The topmost nodes below that make the energy."""
        found: list[str] = []
        for child in self.children(node_id):
            found += [child] if self.is_source(child, energy) else self.sources(child, energy)
        return found

    def users(self, node_id: str, energy: str) -> list[str]:
        """The topmost nodes below that are metered to use the energy; none inside a source."""
        found: list[str] = []
        for child in self.children(node_id):
            if self.is_source(child, energy):
                continue
            roles: tuple[Role, ...] = ("input", "feedstock", "non_production")
            uses = any(self.own(child, energy, role) for role in roles)
            found += [child] if uses else self.users(child, energy)
        return found

    def is_made_inside(self, node_id: str, energy: str) -> bool:
        """Whether the nodes below make all of the energy that they use, so that none comes in."""
        sources = self.sources(node_id, energy)
        if self.own(node_id, energy, "input") or not sources:
            return False
        users = self.users(node_id, energy)
        if self.own(node_id, energy, "output") and (self._declares(node_id, energy) or not users):
            return True
        return bool(users) and all(self.is_sole_source(one, energy) for one in sources)

    def is_undecided(self, node_id: str, energy: str) -> bool:
        """Whether the energy is both made and used below, and nothing says what comes in."""
        inside = self.sources(node_id, energy) and self.users(node_id, energy)
        return bool(
            inside
            and not self.own(node_id, energy, "input")
            and not self._declares(node_id, energy)
            and not self.is_made_inside(node_id, energy)
        )

    def parts(self, node_id: str, energy: str) -> Parts | None:
        """The meters of the node's balance; None where no two sides are metered."""
        own, main = self.own, self.own(node_id, energy, "input")
        parts = Parts(main=[*main], inside=[*own(node_id, energy, "recovered")])
        parts.aside += own(node_id, energy, "output") + own(node_id, energy, "non_production")
        outside_counted = bool(own(node_id, energy, "non_production"))
        for child in self.children(node_id):
            self._gather(
                child, energy, parts, aside=not outside_counted, recovered=not parts.inside
            )
        closed = main or self.is_made_inside(node_id, energy) or self._declares(node_id, energy)
        both = (parts.main or parts.inside) and parts.branches
        return parts if closed and both else None

    def _gather(
        self, node_id: str, energy: str, parts: Parts, *, aside: bool, recovered: bool
    ) -> None:
        """Puts what the node takes from above, or gives back, into ``parts``."""
        outputs = self.own(node_id, energy, "output")
        parts.inside += outputs
        if inputs := self.own(node_id, energy, "input"):
            parts.branches += inputs  # what happens behind them is in what they say
            return
        if recovered:
            parts.inside += (found := self.own(node_id, energy, "recovered"))
            recovered = not found
        parts.aside += self.own(node_id, energy, "feedstock")
        if aside:
            parts.aside += (outside := self.own(node_id, energy, "non_production"))
            aside = not outside
        if not outputs:  # else the nodes below are upstream of them
            for child in self.children(node_id):
                self._gather(child, energy, parts, aside=aside, recovered=recovered)

    def ancestors(self, node_id: str) -> list[str]:
        """Nodes above, nearest first; stops where the tree is broken."""
        above: list[str] = []
        here = self.nodes[node_id].parent
        while here is not None and here in self.nodes and here not in above:
            above.append(here)
            here = self.nodes[here].parent
        return above

    def _declares(self, node_id: str, energy: str) -> bool:
        converts = self.nodes[node_id].converts
        return converts is not None and converts.to == energy

    def _feedstock_below(self, node_id: str, energy: str) -> Iterator[str]:
        """Meters of use as raw material in the nodes below, the topmost of each branch."""
        for child in self.children(node_id):
            if own := self.own(child, energy, "feedstock"):
                yield from own
            else:
                yield from self._feedstock_below(child, energy)

    def _outside_production(self, node_id: str, energy: str) -> Iterator[str]:
        """Meters of use outside production at the node and below, the topmost of each branch."""
        if own := self.own(node_id, energy, "non_production"):
            yield from own
            return
        for child in self.children(node_id):
            yield from self._outside_production(child, energy)
