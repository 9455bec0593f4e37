"""The sheets: tables that are computed from published figures when they are asked for.

They are declared like the tables of the lake, so that schemas and documents derive, but nothing of
them is stored: the same figures, standards and configuration give the same sheet again.
"""

from __future__ import annotations

from config.columns import Table
from config.sheets.audit import AUDIT
from config.sheets.baselines import BASELINES
from config.sheets.benchmarking import BENCHMARKING
from config.sheets.carbon import CARBON, CARBON_INTENSITY, RENEWABLES, SUPPLY_CHAIN
from config.sheets.cost import COST_SHEETS
from config.sheets.park import PARK
from config.sheets.rubric import RUBRICS
from config.sheets.supervision import SUPERVISED
from config.sheets.targets import TARGETS

SHEETS: dict[str, Table] = {
    sheet.name: sheet
    for group in (
        AUDIT,
        BASELINES,
        (BENCHMARKING,),
        (CARBON, CARBON_INTENSITY, RENEWABLES, SUPPLY_CHAIN),
        COST_SHEETS,
        (PARK,),
        RUBRICS,
        SUPERVISED,
        TARGETS,
    )
    for sheet in group
}
