"""An archive is there whole or not at all, and shows every bit that was changed."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from config.errors import StorageError
from storage.archive import BackupDamaged, unpack, writing


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Three files, one of them empty, one larger than a block of the tar's stream."""
    contents = {"a/one": b"1" * 700, "a/empty": b"", "b/large": os.urandom(30_000)}
    target = tmp_path / "kept.tar"
    with writing(target) as made:
        for name, content in contents.items():
            (tmp_path / "source").write_bytes(content)
            made.add(name, tmp_path / "source")
        made.add_bytes("c", b"bytes")
        made.state({"plant": "p1"})
    return target


def spoiled(archive: Path, at: int, bit: int = 1) -> Path:
    content = bytearray(archive.read_bytes())
    content[at] ^= bit
    changed = archive.with_name("spoiled.tar")
    changed.write_bytes(content)
    return changed


def test_it_gives_back_every_file(archive: Path, tmp_path: Path) -> None:
    manifest = unpack(archive, tmp_path / "out")
    assert manifest["plant"] == "p1"
    assert set(manifest["files"]) == {"a/one", "a/empty", "b/large", "c"}
    assert manifest["files"]["a/one"]["size"] == 700
    assert (tmp_path / "out/a/one").read_bytes() == b"1" * 700
    assert (tmp_path / "out/a/empty").read_bytes() == b""
    assert (tmp_path / "out/c").read_bytes() == b"bytes"
    assert not archive.with_name("kept.tar.part").exists()


def test_no_bit_of_a_file_can_change_unseen(archive: Path, tmp_path: Path) -> None:
    """In names, sizes and contents; times and owners are not restored, padding holds nothing."""
    with tarfile.open(archive) as tar:
        held = [member for member in tar if member.name != "manifest.json"]
    assert len(held) == 4
    for number, member in enumerate(held):
        header = member.offset_data - tarfile.BLOCKSIZE
        places = [header, header + 124 + 9, header + 148]  # name, size, checksum
        places += [member.offset_data + at for at in (0, member.size - 1) if member.size]
        for at in places:
            with pytest.raises(BackupDamaged):
                unpack(spoiled(archive, at), tmp_path / f"{number}-{at}")


def test_the_file_that_was_changed_is_named(archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as tar:
        at = tar.getmember("b/large").offset_data + 12_345
    with pytest.raises(BackupDamaged) as caught:
        unpack(spoiled(archive, at), tmp_path / "out")
    assert caught.value.damage == ["b/large was changed: it is not what was backed up"]


def test_cut_short_anywhere_it_is_refused(archive: Path, tmp_path: Path) -> None:
    content = archive.read_bytes()
    with tarfile.open(archive) as tar:
        last = tar.getmember("manifest.json")
    end = last.offset_data + last.size
    for number, length in enumerate([*range(0, end, 4_099), end - 1]):
        cut = archive.with_name("cut.tar")
        cut.write_bytes(content[:length])
        with pytest.raises(BackupDamaged):
            unpack(cut, tmp_path / str(number))


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a/../../outside"])
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    foreign = tmp_path / "foreign.tar"
    with tarfile.open(foreign, "w") as tar:
        member = tarfile.TarInfo(name)
        member.size = 2
        tar.addfile(member, io.BytesIO(b"no"))
    with pytest.raises(BackupDamaged, match="outside"):
        unpack(foreign, tmp_path / "in" / "side")
    assert not list(tmp_path.rglob("outside"))


def test_links_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.tar"
    with tarfile.open(foreign, "w") as tar:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(BackupDamaged, match="link"):
        unpack(foreign, tmp_path / "out")


def test_an_error_leaves_nothing_and_an_older_one_is_kept(archive: Path, tmp_path: Path) -> None:
    def write(source: Path, *, interrupted: bool = False) -> None:
        with writing(tmp_path / "new.tar") as made:
            made.add("a", archive)
            if interrupted:
                raise ZeroDivisionError
            made.add("b", source)

    with pytest.raises(StorageError, match="exists already"), writing(archive):
        pass
    with pytest.raises(StorageError, match="gone"):
        write(tmp_path / "gone")
    with pytest.raises(ZeroDivisionError):
        write(archive, interrupted=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.tar", "source"]
    unpack(archive, tmp_path / "out")
