"""Keep readings: the durable spool, the lake of Delta tables, snapshots for SQL."""
