"""Whether the tree says what crosses each node's boundary, once: conversions, double counting."""

from __future__ import annotations

from collections.abc import Iterator

from config.check_reading import Problems, unknown
from config.counted_twice import counted_twice, problem_of
from config.errors import ConfigError
from config.node_tree import NodeTree
from config.site import Site
from config.virtual import circle_in
from config.yaml import KeyPath, Source


def problems_of_tree(site: Site, source: Source) -> Problems:
    """What is wrong with conversions; then meters that count twice."""
    if not is_tree(site):
        return  # reported where it breaks
    wrong = [*_names(site, source)]
    yield from wrong
    if wrong:
        return
    tree = NodeTree(site.plant.nodes, site.plant.all_meters)
    for node_id in site.plant.nodes:
        yield from _conversion(tree, node_id, source)
        for energy in tree.energies:
            yield from _crossing(tree, node_id, energy, source)
    for twice in counted_twice(site):
        yield problem_of(site, twice, source.place(_path(site, twice.meter_ids[-1])))


def is_tree(site: Site) -> bool:
    """Whether every node leads up to the plant, every meter has a node, and no formula loops."""
    nodes = site.plant.nodes
    known = all(node.parent is None or node.parent in nodes for node in nodes.values())
    placed = all(meter.node in nodes for meter in site.plant.all_meters.values())
    if not known or not placed:
        return False
    for node_id in nodes:
        here, steps = nodes[node_id].parent, 0
        while here is not None:
            here, steps = nodes[here].parent, steps + 1
            if steps > len(nodes):
                return False
    try:
        return not circle_in(site.plant.virtual)
    except ConfigError:
        return False


def _path(site: Site, meter_id: str) -> KeyPath:
    return ("virtual" if meter_id in site.plant.virtual else "meters", meter_id)


def _names(site: Site, source: Source) -> Problems:
    energies = site.library.energies
    for node_id, node in site.plant.nodes.items():
        if node.converts is None:
            continue
        path: KeyPath = ("nodes", node_id, "converts")
        for key, names in (("to", (node.converts.to,)), ("from", node.converts.from_)):
            for name in names:
                if name not in energies:
                    todo = "see config/standards/factors.csv for the codes"
                    yield unknown(source.place((*path, key)), "energy", name, energies, todo)
        if node.converts.to in node.converts.from_:
            yield ConfigError(
                f"{source.place((*path, 'from'))}: {node.converts.to} is made of itself",
                allowed="energies other than the one under `to`",
            )


def _conversion(tree: NodeTree, node_id: str, source: Source) -> Problems:
    """A converter whose output nobody meters, or that is beside main meters the only source."""
    converts = tree.nodes[node_id].converts
    if converts is None:
        return
    energy, place = converts.to, source.place(("nodes", node_id, "converts"))
    if not any(weight < 0 for weight in tree.weights(node_id, energy).values()):
        yield ConfigError(
            f"{place}: no meter says how much {energy} {node_id!r} gives out",
            allowed="an output meter of it at the node or below; it may be a virtual one",
            todo="without it the node's users and its fuel would both count in full",
        )
    if converts.sole_source:
        for above in tree.ancestors(node_id):
            for meter_id in tree.own(above, energy, "input"):
                yield ConfigError(
                    f"{place}: {node_id!r} is the sole source of {energy}, and {meter_id!r} counts "
                    f"{energy} that comes into {above!r} from outside",
                    allowed="one of the two",
                    todo="where it measures what was made here, give it the role check; where "
                    "some is bought, remove sole_source",
                )


def _crossing(tree: NodeTree, node_id: str, energy: str, source: Source) -> Problems:
    """An energy of which nobody can say how much crosses the node's boundary."""
    place = source.place(("nodes", node_id))
    if tree.is_undecided(node_id, energy):
        made, used = tree.sources(node_id, energy), tree.users(node_id, energy)
        yield ConfigError(
            f"{place}: {energy} is made at {_list(made)} and used at {_list(used)}, and no meter "
            f"says how much of it comes into {node_id!r}",
            allowed=f"an input meter of {energy} at {node_id!r} where some is bought; "
            "`converts: {to: " + energy + ", sole_source: true}` at each maker where none is",
            todo="else its use would be added to the fuel that made it",
        )
    inside_only = tree.is_made_inside(node_id, energy) and not tree.own(node_id, energy, "output")
    if inside_only and (outside := [*_users_outside(tree, node_id, energy)]):
        yield ConfigError(
            f"{place}: {energy} made below {node_id!r} is also used at {_list(outside)}, and no "
            f"meter says how much of it leaves {node_id!r}",
            allowed=f"an output meter of {energy} at {node_id!r}; it may be a virtual one",
        )


def _users_outside(tree: NodeTree, node_id: str, energy: str) -> Iterator[str]:
    root = next(one for one in tree.nodes if tree.nodes[one].parent is None)
    for user in tree.users(root, energy):
        line = (user, *tree.ancestors(user))
        if node_id not in line and user not in tree.ancestors(node_id):
            yield user


def _list(nodes: list[str]) -> str:
    return ", ".join(repr(node) for node in nodes)
