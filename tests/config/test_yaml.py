"""Files that are no YAML, and files as Windows saves them."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.load import load
from config.yaml import read_yaml
from tests.plants import write_plant

WRONG: dict[str, tuple[bytes, str]] = {
    "tab": (b"plant:\n\tid: works\n", ":2: wrong YAML: found character '\\t'"),
    "duplicate key": (
        b"plant: {}\nnodes: {}\nplant: {}\n",
        ':3: wrong YAML: found duplicate key "plant"',
    ),
    "no mapping": (b"- plant\n", ":1: Input should be a valid dictionary"),
    "plain text": (b"plant\n", ":1: 'plant': Input should be a valid dictionary"),
    "two documents": (b"plant: {}\n---\nplant: {}\n", "but found another document"),
    "unclosed bracket": (b"plant: {id: works\n", "wrong YAML: "),
    "unknown alias": (b"plant: *works\n", "undefined alias 'works'"),
    "control character": (b"plant: \x07\n", "wrong YAML: unacceptable character #x0007"),
    "date that is none": (b"plant: 2026-02-30\n", "wrong YAML: day is out of range"),
    "empty": (b"", ":1 (plant): 'plant' is missing"),
    "GBK": ("plant: 钢铁厂\n".encode("gbk"), "not UTF-8 at byte 7\n  to do: save it as UTF-8"),
}


@pytest.mark.parametrize(("content", "says"), WRONG.values(), ids=WRONG.keys())
def test_refuses(content: bytes, says: str, tmp_path: Path) -> None:
    file = tmp_path / "plant.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert str(file) in str(caught.value)
    assert says in str(caught.value)


def test_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"No such file(.|\n)*kgce init"):
        load(tmp_path / "plant.yaml")


def test_byte_order_mark_and_line_ends_of_windows(tmp_path: Path) -> None:
    file = write_plant(tmp_path)
    for path in (file, tmp_path / "meters.csv"):
        text = path.read_text(encoding="utf-8").replace("\n", "\r\n")
        path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load(file).id == "works"


def test_lines_of_nested_keys(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("a:\n  b:\n    - c: 1\n    - d: 2\n")
    source = read_yaml(file)
    assert source.data == {"a": {"b": [{"c": 1}, {"d": 2}]}}
    assert source.place(("a", "b", 1, "d")) == f"{file}:4 (a.b.1.d)"
    assert source.place(("a", "b", 1, "e")) == f"{file}:4 (a.b.1.e)"
    assert source.place(()) == f"{file}:1"
