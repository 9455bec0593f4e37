"""Modbus: what to read, the requests, the connection, the collector."""
