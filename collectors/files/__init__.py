"""Files of readings, production and energy statements, read into the tables' columns.

Pure functions from a file to frames: nothing is stored here. Each returns a `ReadFile`, in which
every line of the file is either among the rows or among the refused, with the reason.
"""

from collectors.files.entries import (
    production_of,
    read_production,
    read_statements,
    statements_of,
)
from collectors.files.readings import read_readings, readings_of
from collectors.files.table import REFUSED_SCHEMA, ReadFile, table_of

__all__ = [
    "REFUSED_SCHEMA",
    "ReadFile",
    "production_of",
    "read_production",
    "read_readings",
    "read_statements",
    "readings_of",
    "statements_of",
    "table_of",
]
