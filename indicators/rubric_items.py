"""One item of the green-factory rubric: its points with bounds, its status, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from config.rubric import RubricEvidence
from config.standards import weakest
from config.standards_rubric import RubricItemRow
from indicators.rubric import Part, Share, largest, mean_share, share_of

MET, PARTLY, NOT_MET = "met", "partly_met", "not_met"
PROVISIONAL, REFUSED = "provisional", "refused"
NEEDS_EVIDENCE, NO_REFERENCE = "needs_evidence", "no_reference"
STATUSES = (MET, PARTLY, NOT_MET, PROVISIONAL, REFUSED, NEEDS_EVIDENCE, NO_REFERENCE)
"""Stable codes: scoring tools read them."""

SEVERAL = "the mean of several products, weighted by energy, is an inference"


class Scored(NamedTuple):
    """One item, scored. ``points`` None: not known, or the item's points were not found."""

    item: RubricItemRow
    status: str
    share: Share
    points: float | None
    points_low: float | None
    points_high: float | None
    parts: tuple[Part, ...]
    confidence: str
    source: str
    reason: str


def scored(
    item: RubricItemRow,
    parts: Sequence[Part],
    evidence: RubricEvidence | None,
    *,
    steps: int | None = None,
    missing: str = "",
) -> Scored:
    """The points of an item, by the plant's figures, or else by what a person states of it.

    ``parts``: figures of the products, or the one of the plant; of several products the largest
    count. ``steps``: of the range method, None for the linear one. ``missing``: why there is no
    figure. Points [1] are those of ``item``, times the share reached; the lowest and highest are
    what the figure's bounds allow, and all or nothing where nothing is known. A figure goes before
    typed evidence, unless nobody can hold it against anything. GB/T 36132-2025 appendix C; the
    statuses are kgce's own.

    >>> from config.standards_files import read_dataset
    >>> item = read_dataset(RubricItemRow)["G25-01"]
    >>> one = Part("a", 110.0, 110.0, 110.0, "kgce/t", 100.0, 120.0, "kgce/t", "", 1.0, 1.0,
    ...            "complete", "seen")
    >>> found = scored(item, [one], None)
    >>> found.points, found.status, scored(item, [], None).status
    (4.0, 'partly_met', 'needs_evidence')
    """
    found = largest(parts)
    share = _share(item, found, steps)
    usable = bool(found) and (share.value is not None or _refused(found))
    if usable or (found and evidence is None):
        return _by_figures(item, found, share)
    if evidence is not None:
        return _by_evidence(item, evidence, steps, found)
    reason = missing or item.data_needed
    return _made(item, NEEDS_EVIDENCE, Share(None, 0.0, 1.0, reason), (), item.confidence, "")


def _share(item: RubricItemRow, parts: Sequence[Part], steps: int | None) -> Share:
    if not parts:
        return Share(None, 0.0, 1.0)
    shares = [share_of(part, item.method, item.direction, steps) for part in parts]
    if len(parts) > 1:
        shares = [
            share._replace(reason=share.reason and f"{part.subject}: {share.reason}")
            for share, part in zip(shares, parts, strict=True)
        ]
    weights = [part.weight for part in parts]
    return mean_share(list(zip(shares, weights, strict=True)))


def _refused(parts: Sequence[Part]) -> bool:
    return any(part.status == "refused" for part in parts)


def _by_figures(item: RubricItemRow, parts: tuple[Part, ...], share: Share) -> Scored:
    confidences = [item.confidence, *(part.confidence for part in parts)]
    if len(parts) > 1:
        confidences.append("inferred")
        share = share._replace(reason="; ".join(filter(None, (share.reason, SEVERAL))))
    return _made(item, _status(parts, share), share, parts, weakest(confidences), "figures")


def _status(parts: Sequence[Part], share: Share) -> str:
    if _refused(parts):
        return REFUSED
    if share.value is None:
        known = all(part.value is not None for part in parts)
        return NO_REFERENCE if known else NEEDS_EVIDENCE
    if any(part.status == "partial" for part in parts):
        return PROVISIONAL
    return _judged(share.value)


def _judged(share: float) -> str:
    return MET if share >= 1 else NOT_MET if share <= 0 else PARTLY


def _by_evidence(
    item: RubricItemRow, evidence: RubricEvidence, steps: int | None, found: tuple[Part, ...]
) -> Scored:
    """By what is typed: whether it is met, points, or a value held to the item's lead and base."""
    source = f"{evidence.document} ({evidence.dated}, {evidence.by})"
    if evidence.value is not None:
        reference = found[0] if found else _no_reference(item)
        typed = reference._replace(
            subject="", value=evidence.value, low=evidence.value, high=evidence.value,
            unit=evidence.unit or "", weight=1.0, coverage_ratio=None, status="complete",
        )  # fmt: skip
        share = _share(item, (typed,), steps)
        return _made(item, _status((typed,), share), share, (typed,), item.confidence, source)
    if evidence.points is not None and item.points:
        reached = evidence.points / item.points
    else:
        reached = float(bool(evidence.met))
    share = Share(reached, reached, reached)
    made = _made(item, _judged(reached), share, found, item.confidence, source)
    if evidence.points is not None and not item.points:
        typed_points = evidence.points
        return made._replace(
            status=MET if typed_points else NOT_MET,
            points=typed_points, points_low=typed_points, points_high=typed_points,
        )  # fmt: skip
    return made


def _no_reference(item: RubricItemRow) -> Part:
    return Part(
        "", None, None, None, item.unit, item.lead, item.base, item.unit, item.id, 1.0, None,
        "unknown", item.confidence,
    )  # fmt: skip


def _made(
    item: RubricItemRow,
    status: str,
    share: Share,
    parts: tuple[Part, ...],
    confidence: str,
    source: str,
) -> Scored:
    most = item.points
    value = None if share.value is None or status == REFUSED else share.value
    return Scored(
        item,
        status,
        share._replace(value=value),
        None if most is None or value is None else most * value,
        None if most is None else most * share.low,
        None if most is None else most * share.high,
        parts,
        confidence,
        source,
        share.reason,
    )
