"""Run by test_lake_races: appends to one lake together with others of its kind.

Arguments: the lake, the application id, the number of versions to write, the value to write.
Prints how many versions it wrote itself.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

from config.tables import READINGS
from storage.lake import Lake
from tests.storage.readings import START, readings_frame


def main(path: Path, app_id: str, count: int, value: float) -> None:
    lake = Lake(path)
    sys.stdin.readline()  # all start at once
    written = 0
    for version in range(1, count + 1):
        frame = readings_frame([START + timedelta(seconds=version)], meter=app_id, value=value)
        written += lake.append(READINGS, frame, app=(app_id, version))
    sys.stdout.write(str(written))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
