"""Run by test_spool_crash: writes without end, and prints what it was told is on disk.

Meanwhile another thread moves it to the lake.

Each line of output is the number of a group whose readings are durable. Group n holds a poll of
tick n for meter ``polled`` and three pushed readings of meter ``pushed``.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from config.tables import Reading
from storage.flush import flush
from storage.lake import Lake
from storage.spool import Spool
from storage.writer import SpoolWriter
from tests.storage.readings import PLANT, polled, reading


def group(number: int) -> list[Reading]:
    pushed = [reading(3 * number + n, float(number), meter="pushed") for n in range(3)]
    return [polled(number, float(number), meter="polled"), *pushed]


def flush_without_end(spool: Spool) -> None:
    lake = Lake(spool.path.with_name("lake"))
    while True:
        flush(spool, lake, PLANT, 50)


def main(file: Path, first: int) -> None:
    spool = Spool(file, max_bytes=1 << 30, dedupe_s=1e9)
    spool.schedule({"polled": 60})
    threading.Thread(target=flush_without_end, args=(spool,), daemon=True).start()
    writer = SpoolWriter(spool, queue_limit=200)
    number = first
    while True:
        # One write of one line: a line that is there was written whole.
        if writer.offer(group(number), lambda n=number: sys.stdout.write(f"{n}\n")):
            number += 1
            sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
