"""Production, statements and readings from a database of the plant, by one SELECT, read only."""
