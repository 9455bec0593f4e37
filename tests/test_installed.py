"""The wheel, installed into an environment of its own, runs from another directory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("config", "collectors", "storage", "pipeline", "indicators", "app")

OWNERS = """
import json
from importlib.metadata import packages_distributions
owners = packages_distributions()
print(json.dumps({name: sorted(set(owners.get(name, []))) for name in %r}))
"""
CONTENT = """
import config
from config.devices import known_devices
from config.standards import read_library
print(config.__file__, len(read_library().norms), len(known_devices()))
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Output of a command that does not see the checkout."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def build_wheel(folder: Path) -> Path:
    if uv := shutil.which("uv"):
        run(uv, "build", "--wheel", "--out-dir", folder, ROOT, cwd=folder)
    else:
        pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder)
        run(*pip, ROOT, cwd=folder)
    (wheel,) = folder.glob("kgce-*.whl")
    return wheel


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment with the wheel in it."""
    folder = tmp_path_factory.mktemp("installed")
    wheel = build_wheel(folder)
    venv.create(folder / "env", with_pip=False)
    scripts = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / "python"
    if uv := shutil.which("uv"):
        run(uv, "pip", "install", "--no-deps", "--python", python, wheel, cwd=folder)
    else:
        pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-deps")
        run(*pip, "--no-index", wheel, cwd=folder)
    # The dependencies are those of the environment that runs this test: nothing is downloaded.
    purelib = run(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder
    )
    (Path(purelib.strip()) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return scripts


def test_runs_from_another_directory(scripts: Path, tmp_path: Path) -> None:
    assert "kgce" in run(scripts / "kgce", "--help", cwd=tmp_path)


def test_every_package_belongs_to_kgce_alone(scripts: Path, tmp_path: Path) -> None:
    owners = json.loads(run(scripts / "python", "-c", OWNERS % (PACKAGES,), cwd=tmp_path))
    assert owners == {name: ["kgce"] for name in PACKAGES}


def test_the_data_files_came_along(scripts: Path, tmp_path: Path) -> None:
    file, norms, devices = run(scripts / "python", "-c", CONTENT, cwd=tmp_path).split()
    assert Path(file).is_relative_to(scripts.parent)
    assert (int(norms), int(devices) >= 6) == (806, True)
