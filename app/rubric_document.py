"""The rubric as the one document that a scoring tool imports."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from app.published import Published
from app.rubric import Result
from app.rubric_rows import row_of
from config.rubric_document import SCHEMA_VERSION, RubricDocument
from config.site import Site
from config.standards_files import version_of
from config.standards_rubric import RUBRIC_FILES
from config.tables import INDICATORS
from indicators.rubric_totals import Total

LEFT_OUT = ("plant_id", "period", "edition", "section_zh", "section_en")


def document_of(result: Result, published: Published) -> str:
    """The document as JSON, the same bytes for the same figures, standards and configuration."""
    info, edition = result.site.plant.plant, result.edition
    made = RubricDocument.model_validate(
        {
            "schema_version": SCHEMA_VERSION,
            "plant": {
                name: getattr(info, name)
                for name in ("id", "name", "credit_code", "region", "industry")
            },
            "period": result.period,
            "indicative": result.indicative,
            "edition": {
                "id": edition.id,
                "standard": edition.edition,
                "name_zh": edition.name_zh,
                "name_en": edition.name_en,
                "effective_from": edition.effective_from,
                "confidence": edition.confidence,
                "note": edition.note,
            },
            "method": {"name": result.settings.method, "steps": result.settings.steps},
            "gates": result.gates._asdict(),
            "sections": [
                {
                    "section": one.code,
                    "name_zh": one.name_zh,
                    "name_en": one.name_en,
                    "weight": one.weight,
                    **_total(one.total),
                }
                for one in result.sections
            ],
            "items": list(_items(result)),
            "totals": _total(result.total),
            "tiers": [_tier(one) for one in result.tiers],
            "suggestions": [one._asdict() for one in result.gains],
            "provenance": _provenance(result, published),
        }
    )
    return json.dumps(made.model_dump(mode="json"), ensure_ascii=False, indent=2) + "\n"


def _items(result: Result) -> Iterator[dict[str, Any]]:
    for one in result.items:
        yield {name: value for name, value in row_of(result, one).items() if name not in LEFT_OUT}


def _total(total: Total) -> dict[str, float | None]:
    return {
        "points": total.value,
        "points_low": total.certain,
        "points_high": total.possible,
        "points_most": total.most,
    }


def _tier(one: Any) -> dict[str, Any]:
    tier = one.tier
    return {
        "id": tier.id,
        "tier": tier.tier,
        "threshold": tier.threshold,
        "status": one.status,
        "missing": one.missing,
        "award_cny": tier.award_cny,
        "award_up_to": tier.award_up_to == "yes",
        "edition": tier.edition,
    }


def _provenance(result: Result, published: Published) -> dict[str, Any]:
    site = result.site
    texts = published.of(INDICATORS, result.period)["provenance"].unique().sort()
    return {
        "kgce": version("kgce"),
        "config": site.config_hash,
        "assessment": assessment_hash(site),
        "standards": {
            "library": site.library.version,
            **{name: version_of(kind) for name, kind in RUBRIC_FILES.items()},
        },
        "figures": [json.loads(text) for text in texts],
    }


def assessment_hash(site: Site) -> str:
    """Hash of what the plant typed for the sheets, with its own rows of standards."""
    content = {
        "assessment": site.plant.assessment.model_dump(mode="json"),
        "own": {
            name: {row_id: repr(row) for row_id, row in rows.items()}
            for name, rows in site.own_rows.items()
        },
    }
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
