"""DL/T 645-2007: Chinese electricity meters, on a serial bus or behind a transparent gateway."""
