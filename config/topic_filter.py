"""MQTT topic filters, as the specification allows them (MQTT 5.0, 4.7 and 4.8.2)."""

from __future__ import annotations

MOST_BYTES = 65_535
SHARE = "$share/"


def plain_filter(topic_filter: str) -> str:
    """The filter without ``$share/<group>/``.

    >>> plain_filter("$share/plant/a/+"), plain_filter("a/b")
    ('a/+', 'a/b')
    """
    return topic_filter.split("/", 2)[-1] if topic_filter.startswith(SHARE) else topic_filter


def filter_problem(topic_filter: str) -> tuple[str, str] | None:
    """What is wrong with a topic filter and what is allowed; None for a right one.

    >>> filter_problem("a/#/b")[0]
    'has # before its end'
    """
    size = len(topic_filter.encode("utf-8", "surrogatepass"))
    if not topic_filter:
        return "is empty", "a topic or a filter, such as plant/+/energy"
    if size > MOST_BYTES:
        return f"is {size} bytes long", f"{MOST_BYTES} bytes at the most"
    if "\0" in topic_filter or any("\ud800" <= letter <= "\udfff" for letter in topic_filter):
        return "has a character that MQTT forbids", "Unicode text without NUL or surrogates"
    if topic_filter == "$share" or topic_filter.startswith(SHARE):
        return _share_problem(topic_filter)
    return _level_problem(topic_filter)


def _share_problem(topic_filter: str) -> tuple[str, str] | None:
    allowed = "$share/<group>/<filter>, the group without + and #, such as $share/kgce/plant/#"
    _, _, rest = topic_filter.partition("/")
    group, slash, plain = rest.partition("/")
    if not group:
        return "names no group", allowed
    if "+" in group or "#" in group:
        return f"has a wildcard in its group {group!r}", allowed
    if not slash or not plain:
        return f"has nothing after its group {group!r}", allowed
    return _level_problem(plain)


def _level_problem(plain: str) -> tuple[str, str] | None:
    levels = plain.split("/")
    if "#" in levels[:-1]:
        return "has # before its end", "# as the last level only, such as plant/#"
    for level in levels:
        if len(level) > 1 and ("+" in level or "#" in level):
            return f"has a wildcard inside the level {level!r}", "+ or # alone in a level"
    return None


def sparkplug_problem(topic_filter: str) -> tuple[str, str] | None:
    """What is wrong with the filter of a meter with a Sparkplug ``metric``."""
    levels = topic_filter.split("/")
    names = [*levels[1:2], *levels[3:]]
    right = (
        len(levels) in (4, 5)
        and levels[0] == "spBv1.0"
        and levels[2] == "+"
        and all(name and "+" not in name and "#" not in name for name in names)
    )
    allowed = "spBv1.0/<group>/+/<edge node> or spBv1.0/<group>/+/<edge node>/<device>"
    return None if right else ("is no Sparkplug topic of one edge node or device", allowed)
