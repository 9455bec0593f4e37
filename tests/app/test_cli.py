"""The command line: what it prints where, its exit codes, and what it says of bad input."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from config.models import Plant
from tests.app.commands import done, files_below, kgce
from tests.plants import METERS, SECTIONS, changed, write_plant

COMMANDS = (
    "init",
    "check",
    "run",
    "demo",
    "import",
    "refresh",
    "show",
    "status",
    "watch",
    "sql",
    "simulate",
)
READERS: tuple[tuple[str, ...], ...] = (
    ("check",),
    ("run",),
    ("refresh",),
    ("show", "consumption"),
    ("status",),
    ("watch",),
    ("sql", "SELECT 1"),
    ("import", "readings", "scada.csv"),
)


def test_help_names_every_command() -> None:
    ended = done("--help")
    for command in COMMANDS:
        assert f"\n  {command} " in ended.out
        assert f"Usage: kgce {command} " in done(command, "--help").out


def test_version() -> None:
    assert done("--version").out == "kgce 0.1.0\n"


def test_init_makes_a_plant_that_checks(tmp_path: Path) -> None:
    ended = done("init", tmp_path / "my-plant")
    assert ended.out == ""
    assert f"wrote {tmp_path / 'my-plant' / 'plant.yaml'}" in ended.err
    checked = done("check", cwd=tmp_path / "my-plant")
    assert checked.err == ""
    assert "gateway: Modbus TCP 192.0.2.10:502, every 60 s 2 requests touch" in checked.out
    assert "broker: MQTT 5 192.0.2.11:1883, 2 topics for 2 meters" in checked.out
    assert "GB 16780-2021|水泥熟料|单位产品综合能耗" in checked.out
    assert sorted(file.name for file in (tmp_path / "my-plant").iterdir()) == [
        "meters.csv",
        "plant.yaml",
    ]


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    done("init", tmp_path)
    (tmp_path / "plant.yaml").write_text("mine")
    (tmp_path / "meters.csv").unlink()
    before = files_below(tmp_path)
    ended = kgce("init", tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert f"{tmp_path / 'plant.yaml'} exist" in ended.err
    assert files_below(tmp_path) == before


def test_init_where_a_file_stands(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = kgce("init", tmp_path / "file" / "below")
    assert ended.code == 2
    assert "cannot write into" in ended.err


@dataclass(frozen=True)
class Bad:
    """A way to spoil a plant. ``at`` is a text that stands on the line which the message names;
    without it, the message names the file alone."""

    spoil: Callable[[Path], object]
    says: str
    file: str = "plant.yaml"
    at: str = ""

    def place(self, folder: Path) -> str:
        file = folder / self.file
        if not self.at:
            return str(file)
        lines = file.read_text(encoding="utf-8").splitlines()
        (line,) = [n for n, text in enumerate(lines, 1) if self.at in text]
        return f"{file}:{line}"


def _plant(**settings: Any) -> Callable[[Path], object]:
    return lambda folder: write_plant(folder, **settings)


def _replaced(old: str, new: str) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        file = write_plant(folder)
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new, 1), encoding="utf-8")

    return spoil


def _device(fields: str, more: str = "") -> Callable[[Path], object]:
    """A plant whose kiln feeder has a register map of its own, beside plant.yaml."""

    def spoil(folder: Path) -> None:
        write_plant(folder, meters=changed("e-kiln", device="own-meter"))
        (folder / "devices").mkdir()
        (folder / "devices" / "own-meter.yaml").write_text(
            f"maker: A\nmodel: B\nsource: a manual\nct_pt: primary\n{more}fields:\n{fields}"
        )

    return spoil


def _tls(folder: Path) -> None:
    broker = {**SECTIONS["connections"]["broker"], "tls": {"ca_file": "missing.pem"}}
    write_plant(folder, connections={**SECTIONS["connections"], "broker": broker})


def _norm(norm: str) -> Callable[[Path], object]:
    clinker = {**SECTIONS["products"]["clinker"], "norms": [norm]}
    return _plant(products={**SECTIONS["products"], "clinker": clinker})


COKE_NORM = "GB 21341-2022|高炉锰铁|单位产品焦炭消耗"
GLASS_NORM = "GB 21340-2019|平板玻璃（>800 t/d）|单位产品综合能耗"
COUNTER = "{address: 62, type: i32, unit: kWh, scale: 0.01, kind: counter}"
BAD: dict[str, Bad] = {
    "wrong YAML": Bad(
        _replaced("timezone: ", "timezone: a: "), "wrong YAML: mapping values", at="timezone"
    ),
    "not UTF-8": Bad(lambda f: write_plant(f).write_bytes(b"plant: \xb9\xa4"), "not UTF-8"),
    "empty": Bad(lambda f: write_plant(f).write_bytes(b""), "'plant' is missing"),
    "a list": Bad(lambda f: write_plant(f).write_text("- a\n- b\n"), "plant.yaml:1"),
    "missing plant.yaml": Bad(lambda f: write_plant(f).unlink(), "`kgce init DIR` makes a plant"),
    "missing ledger": Bad(
        lambda f: write_plant(f).with_name("meters.csv").unlink(), "meter ledger", at="meters:"
    ),
    "unknown key": Bad(
        _replaced("timezone:", "time_zone:"), "did you mean 'timezone'?", at="time_zone"
    ),
    "unknown ledger column": Bad(
        _plant(meters=[{**METERS[0], "colour": "red"}]), "unknown column 'colour'", "meters.csv",
        "colour",
    ),
    "meter without a node": Bad(
        _plant(meters=changed("e-mill", node="")), "'node' is missing", "meters.csv", "e-mill"
    ),
    "meter of an unknown node": Bad(
        _plant(meters=changed("e-mill", node="mil")), "did you mean 'mill'?", "meters.csv", "e-mill"
    ),
    "unknown energy": Bad(
        _plant(meters=changed("e-mill", energy="electrcity")), "did you mean 'electricity'?",
        "meters.csv", "e-mill",
    ),
    "unknown device": Bad(
        _plant(meters=changed("e-kiln", device="acrel-adw30")), "did you mean 'acrel-adw300'?",
        "meters.csv", "e-kiln",
    ),
    "register map that overlaps": Bad(
        _device(f"  energy_import: {COUNTER}\n  b: {COUNTER.replace('62', '63')}\n"),
        "registers 63 to 64 overlap those of 'energy_import'", "devices/own-meter.yaml", "  b:",
    ),
    "register map that tears a value": Bad(
        _device(f"  energy_import: {COUNTER}\n", "max_registers: 1\n"), "the value would be torn",
        "devices/own-meter.yaml", "  energy_import:",
    ),
    "unknown norm": Bad(
        _norm("GB 16780-2021|水泥|单位产品综合能耗"), "did you mean 'GB 16780-2021|", at="norms:"
    ),
    "norm that cannot be judged": Bad(
        _norm(COKE_NORM), "it counts the mass of coke alone", at=COKE_NORM
    ),
    "norm of another unit": Bad(
        _norm(GLASS_NORM), "no unit of output states them", at=GLASS_NORM
    ),
    "missing certificate": Bad(_tls, "/missing.pem", at="ca_file"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_at_its_line(tmp_path: Path, name: str) -> None:
    bad = BAD[name]
    bad.spoil(tmp_path)
    before = files_below(tmp_path)
    ended = kgce("check", "-p", tmp_path / "plant.yaml")
    assert (ended.code, ended.out) == (2, ""), ended
    assert bad.place(tmp_path) in ended.err
    assert bad.says in ended.err
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("command", READERS, ids=lambda command: command[0])
def test_no_command_begins_with_a_wrong_plant(tmp_path: Path, command: tuple[str, ...]) -> None:
    _norm("GB 16780-2021|no such row|x")(tmp_path)
    (tmp_path / "scada.csv").write_text("time,works kWh\n2026-09-01 00:00,1\n")
    before = files_below(tmp_path)
    ended = kgce(*command, cwd=tmp_path)
    assert (ended.code, ended.out) == (2, ""), ended
    assert "plant.yaml:" in ended.err
    assert "unknown norm 'GB 16780-2021|no such row|x'" in ended.err
    assert files_below(tmp_path) == before


def test_every_problem_is_said_at_once(tmp_path: Path) -> None:
    write_plant(
        tmp_path,
        meters=[
            {**row, "node": "nowhere"} if row["meter_id"] in ("e-kiln", "e-mill") else row
            for row in METERS
        ],
    )
    ended = kgce("check", cwd=tmp_path)
    assert ended.code == 2
    assert ended.err.count("unknown node 'nowhere'") == 2


def test_unknown_words_of_the_command_line(tmp_path: Path) -> None:
    plant = write_plant(tmp_path)
    for arguments, says in (
        (("show", "nothing"), "nothing"),
        (("show", "consumption", "--by", "week"), "week"),
        (("show", "consumption", "--format", "xml"), "xml"),
        (("show", "consumption", "--from", "yesterday"), "'yesterday' is no time"),
        (("show", "consumption", "--lang", "fr"), "fr"),
        (("show", "consumption", "--required-coverage", "90"), "less than or equal to 1"),
        (("import", "pictures", "a.csv"), "pictures"),
        (("no-such-command",), "no-such-command"),
    ):
        ended = kgce(*arguments, env={"KGCE_PLANT": str(plant)})
        assert (ended.code, ended.out) == (2, ""), arguments
        assert says in ended.err


def test_which_plant(tmp_path: Path) -> None:
    """-p goes before KGCE_PLANT, and that before ./plant.yaml."""
    for name in ("given", "named", "here"):
        write_plant(tmp_path / name, plant={"id": name, "name": name})
    here, named = tmp_path / "here", {"KGCE_PLANT": str(tmp_path / "named" / "plant.yaml")}
    given = tmp_path / "given" / "plant.yaml"
    assert "here (here)" in done("check", cwd=here).out
    assert "named (named)" in done("check", cwd=here, env=named).out
    assert "given (given)" in done("check", "-p", given, cwd=here, env=named).out
    assert "given (given)" in done("check", "--plant", given, cwd=here, env=named).out


def test_data_lies_beside_plant_yaml(tmp_path: Path) -> None:
    """Relative paths start at plant.yaml, wherever the command is given; so do odd letters."""
    folder = tmp_path / "水泥 厂 (1)"
    write_plant(folder, storage={"path": "数 据/store"})
    (tmp_path / "scada.csv").write_text("time,works kWh\n2025-09-01 00:00,1\n")
    done("import", "readings", "scada.csv", "-p", Path("水泥 厂 (1)/plant.yaml"), cwd=tmp_path)
    assert (folder / "数 据" / "store" / "lake" / "readings").is_dir()
    plant = folder / "plant.yaml"
    assert len(done("show", "readings", "--format", "json", "-p", plant).records()) == 1
    (count,) = done(
        "sql", "SELECT count(*) AS n FROM readings", "-p", plant, "--format", "json"
    ).records()
    assert count == {"n": 1}
    assert sorted(f.name for f in tmp_path.iterdir()) == ["scada.csv", folder.name]


@pytest.mark.parametrize("variable", ["LANG", "LC_ALL"])
def test_the_c_locale_prints_chinese(tmp_path: Path, variable: str) -> None:
    done("init", tmp_path)
    assert "我的工厂" in done("check", cwd=tmp_path, env={variable: "C"}).out


def test_storage_that_cannot_be_written(tmp_path: Path) -> None:
    """Where a file stands in the place of the data folder, as root or not."""
    plant = write_plant(tmp_path)
    (tmp_path / "data").write_text("")
    (tmp_path / "scada.csv").write_text("time,works kWh\n2025-09-01 00:00,1\nwrong,2\n")
    before = files_below(tmp_path)
    for command in (("run",), ("refresh",), ("import", "readings", "scada.csv")):
        ended = kgce(*command, "-p", plant, cwd=tmp_path)
        assert (ended.code, ended.out) == (2, ""), ended
        assert str(tmp_path / "data") in ended.err
        assert files_below(tmp_path) == before


def as_everybody() -> tuple[str, ...]:
    """The command that takes root's right to write everywhere away; none for anybody else."""
    if os.geteuid() != 0:
        return ()
    program = shutil.which("setpriv")
    if program is None:
        pytest.skip("root may write everywhere, and setpriv (util-linux) is not here")
    return (program, "--bounding-set=-dac_override,-dac_read_search")


def test_files_that_may_not_be_read_or_written(tmp_path: Path) -> None:
    plant = write_plant(tmp_path / "works")
    plant.parent.chmod(0o500)
    try:
        for command in (("run",), ("refresh",)):
            ended = kgce(*command, "-p", plant, under=as_everybody())
            assert (ended.code, ended.out) == (2, ""), ended
            assert f"{plant.parent / 'data'}" in ended.err
            assert "Permission denied" in ended.err
        done("show", "consumption", "-p", plant, under=as_everybody())
        done("status", "-p", plant, under=as_everybody())
    finally:
        plant.parent.chmod(0o700)
    plant.chmod(0)
    ended = kgce("check", "-p", plant, under=as_everybody())
    assert (ended.code, ended.out) == (2, "")
    assert f"'{plant}' is not readable" in ended.err


def test_every_section_has_a_wrong_key_found(tmp_path: Path) -> None:
    """The list of sections is the model's own: a new one is covered when it is added."""
    assert len(Plant.model_fields) >= 10
    write_plant(tmp_path, wrong_section={})
    ended = kgce("check", cwd=tmp_path)
    assert ended.code == 2
    for name in Plant.model_fields:
        assert name in ended.err
