"""The assessment: in plant.yaml or a file of its own, and without a part in any figure."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.load import load
from tests.plants import write_plant


def test_it_may_stand_in_a_file_of_its_own_and_changes_no_figure(tmp_path: Path) -> None:
    without = load(write_plant(tmp_path / "a"))
    named = write_plant(tmp_path / "b", assessment="energy.yaml")
    (tmp_path / "b" / "energy.yaml").write_text("standards: {}\n", encoding="utf-8")
    inside = write_plant(tmp_path / "c", assessment={"standards": {}})
    assert load(named).config_hash == load(inside).config_hash == without.config_hash


def test_what_is_wrong_in_it_is_shown_there(tmp_path: Path) -> None:
    file = write_plant(tmp_path, assessment="energy.yaml")
    with pytest.raises(ConfigError, match=r"energy\.yaml.*No such file"):
        load(file)
    (tmp_path / "energy.yaml").write_text("\nstandards: {tarifs: x.csv}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"energy\.yaml:2.*'tarifs' is no such file; allowed"):
        load(file)


def test_a_file_of_own_rows_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = write_plant(tmp_path, assessment={"standards": {"regions": "ours.csv"}})
    with pytest.raises(ConfigError, match=r"ours\.csv: No such file.*\n.*assessment\.standards"):
        load(file)
    (tmp_path / "ours.csv").write_bytes("id,province\n35,福建\n".encode("gbk"))
    with pytest.raises(ConfigError, match=r"ours\.csv: not UTF-8 at byte 15.*\n.*CSV UTF-8"):
        load(file)
    (tmp_path / "ours.csv").write_text("id,province\n35,x\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"ours\.csv:1: column .* is missing"):
        load(file)
