"""What exists: models, standards data, tables, units, errors. Imports nothing else of ours."""
