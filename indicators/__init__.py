"""From consumption and output to figures: coal equivalent, unit consumption, levels of norms.

Numbers in, numbers out: nothing here reads or writes a file.
"""
