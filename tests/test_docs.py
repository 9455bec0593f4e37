"""The generated documents are as the code says, and say something of every key and column."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from pydantic import BaseModel

from config import base, connections, models, register_map
from config.sheets import SHEETS
from config.standards import read_library
from config.tables import TABLES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MODELS = [
    model
    for module in (base, connections, models, register_map)
    for model in vars(module).values()
    if isinstance(model, type)
    and issubclass(model, BaseModel)
    and model not in (BaseModel, base.Model)
]


def generate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, DOCS / "generate.py", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        cwd=ROOT,
    )


def test_generated_documents_are_up_to_date() -> None:
    result = generate("--check")
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(r"(\d+) of \1 generated files are up to date\n", result.stdout)


def test_a_stale_document_is_found(tmp_path: Path) -> None:
    for name in ("config", "docs"):
        (tmp_path / name).mkdir()
    # A copy, so that the working tree is never touched.
    for file in [*ROOT.glob("config/**/*"), *ROOT.glob("docs/**/*")]:
        copy = tmp_path / file.relative_to(ROOT)
        if file.is_dir():
            copy.mkdir(exist_ok=True)
        elif "__pycache__" not in file.parts:
            copy.write_bytes(file.read_bytes())
    command = [sys.executable, "-I", str(tmp_path / "docs" / "generate.py")]
    assert subprocess.run([*command, "--check"], check=False).returncode == 0
    page = tmp_path / "docs" / "tables.md"
    page.write_text(page.read_text(encoding="utf-8") + "by hand\n", encoding="utf-8")
    (tmp_path / "docs" / "schemas" / "indicators.schema.json").unlink()
    found = subprocess.run([*command, "--check"], capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert "tables.md: not as the code says" in found.stderr
    assert "indicators.schema.json: not as the code says" in found.stderr
    assert subprocess.run(command, check=False).returncode == 0
    assert subprocess.run([*command, "--check"], check=False).returncode == 0


def test_every_key_is_described() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert len(MODELS) >= 15
    for model in MODELS:
        assert model.__doc__, model
        for name, field in model.model_fields.items():
            assert field.description, (model, name)
            assert f"\n| `{field.alias or name}` | " in page, (model, name)


def test_every_energy_and_column_is_there() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert all(f"\n| `{code}` | " in page for code in read_library().energies)
    page = (DOCS / "tables.md").read_text(encoding="utf-8")
    for table in (*TABLES.values(), *SHEETS.values()):
        section = page.split(f"\n## {table.name}\n")[1].split("\n## ")[0]
        assert all(f"\n| `{name}` | " in section for name in table.names)


@pytest.mark.parametrize("page", ["configuration.md", "tables.md"])
def test_rows_have_as_many_cells_as_their_head(page: str) -> None:
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    rows = [line.replace("\\|", "") for line in lines if line.startswith("|")]
    assert len(rows) > 50
    wanted = 0
    for index, row in enumerate(rows):
        if index + 1 < len(rows) and rows[index + 1].startswith("| ---"):
            wanted = row.count("|")
        assert row.count("|") == wanted, row


def test_schemas_are_schemas() -> None:
    files = sorted((DOCS / "schemas").glob("*.schema.json"))
    names = {file.name.split(".")[0] for file in files}
    assert names >= {"balances", "consumption", "findings", "indicators", "intervals", *SHEETS}
    for file in files:
        schema = json.loads(file.read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["title"] == f"kgce {file.name.split('.')[0]}"
