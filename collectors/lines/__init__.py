"""Lines to devices: byte channels over TCP, TLS and serial ports, schedules and breakers."""
