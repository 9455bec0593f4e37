"""Files of readings, production and energy statements, read into the tables' columns.

Pure functions from a file to frames: nothing is stored here. Each returns a `ReadFile`, in which
every line of the file is either among the rows or among the refused, with the reason.
"""

from collectors.files.entries import read_production, read_statements
from collectors.files.readings import read_readings
from collectors.files.table import REFUSED_SCHEMA, ReadFile

__all__ = ["REFUSED_SCHEMA", "ReadFile", "read_production", "read_readings", "read_statements"]
