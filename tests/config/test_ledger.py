"""The meter ledger: what a spreadsheet does to it, and what each error says."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.ledger import LEDGER_COLUMNS, read_ledger
from config.load import load
from config.yaml import Source
from tests.plants import write_plant

HEAD = "meter_id,name,node,energy,kind,unit\n"
ROW = "c-1,煤秤,works,raw_coal,amount,t\n"


def read(folder: Path, content: bytes) -> dict[str, dict[str, str]]:
    file = folder / "meters.csv"
    file.write_bytes(content)
    return read_ledger(file, Source(folder / "plant.yaml", None))


RIGHT: dict[str, bytes] = {
    "UTF-8": (HEAD + ROW).encode(),
    "with byte order mark": (HEAD + ROW).encode("utf-8-sig"),
    "line ends of Windows": (HEAD + ROW).replace("\n", "\r\n").encode(),
    "empty rows at the end": (HEAD + ROW + ",,,,,\n\n").encode(),
    "blanks around cells": (HEAD + ROW.replace(",", " , ")).encode(),
    "no last line end": (HEAD + ROW).rstrip("\n").encode(),
}


@pytest.mark.parametrize("content", RIGHT.values(), ids=RIGHT.keys())
def test_reads(content: bytes, tmp_path: Path) -> None:
    assert read(tmp_path, content)["c-1"]["name"] == "煤秤"


WRONG: dict[str, tuple[bytes, str]] = {
    "saved as GBK": (
        (HEAD + ROW).encode("gbk"),
        # 煤 in GBK happens to be a letter in UTF-8; 秤 is none.
        "meters.csv: not UTF-8 at byte 42\n  to do: save the sheet as 'CSV UTF-8'",
    ),
    "unknown column": (b"meter_id,nmae\n", ":1: unknown column 'nmae'"),
    "suggestion": (b"meter_id,nmae\n", "did you mean 'name'?"),
    "column twice": (b"meter_id,unit,unit\n", ":1: column 'unit' stands twice"),
    "no column meter_id": (b"name,unit\n", ":1: no column meter_id"),
    "nothing at all": (b"", ":1: no column meter_id"),
    "semicolons": (HEAD.replace(",", ";").encode(), "unknown column 'meter_id;name"),
    "comma in a cell": ((HEAD + "c-1,a,b,c,d,e,f\n").encode(), ":2: more cells than columns"),
    "id twice": (
        (HEAD + ROW + "\n" + ROW).encode(),
        ":4: meter_id 'c-1' stands on line 2 already",
    ),
}


@pytest.mark.parametrize(("content", "says"), WRONG.values(), ids=WRONG.keys())
def test_refuses(content: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, content)
    assert says in str(caught.value)


def test_missing_ledger_names_the_line_of_plant_yaml(tmp_path: Path) -> None:
    file = write_plant(tmp_path)
    (tmp_path / "meters.csv").unlink()
    number = file.read_text().splitlines().index("meters: meters.csv") + 1
    with pytest.raises(ConfigError, match=rf"plant\.yaml:{number} \(meters\): meter ledger .*csv"):
        load(file)


def test_ledger_without_rows(tmp_path: Path) -> None:
    file = write_plant(tmp_path)
    (tmp_path / "meters.csv").write_text(HEAD)
    with pytest.raises(ConfigError, match=r"\(meters\): .*at least 1 item"):
        load(file)


def test_row_without_id(tmp_path: Path) -> None:
    file = write_plant(tmp_path)
    (tmp_path / "meters.csv").write_text(HEAD + ",a,works,raw_coal,amount,t\n")
    with pytest.raises(ConfigError, match=r"meters\.csv:2 .*'meter_id' is missing"):
        load(file)


def test_columns_are_those_of_the_model_as_written() -> None:
    assert "register" in LEDGER_COLUMNS
    assert "register_address" not in LEDGER_COLUMNS
    assert LEDGER_COLUMNS[0] == "meter_id"
