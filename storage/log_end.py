"""The end of SQLite's log: what was whole there once, and cannot be read now, is not passed over.

SQLite reads its log (``-wal``) up to the first page whose checksum is wrong. What lies behind it
is, to SQLite, the rest of a write that a crash cut short, and it says nothing. Where whole
transactions lie behind, they had been on disk, and senders had been told so: that is damage.

The format: https://www.sqlite.org/fileformat2.html, "The Write-Ahead Log".
"""

from __future__ import annotations

import os
import struct
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

_HEADER, _PAGE_HEADER = 32, 24
_MAGIC = {0x377F0682: "<u4", 0x377F0683: ">u4"}
_NO_PAGE = b"\xff\xff\xff\xfe"
_LOOK_AGAIN_S = 0.05
_INT_BYTES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}
"""Bytes of an integer in a record, by serial type; 8 and 9 stand for 0 and 1."""

Words = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class TornLog:
    """A log of ``pages`` pages, of which ``whole`` are whole and SQLite uses the first ``used``;
    ``page_size`` in bytes.

    ``transactions`` end behind that. One is the last of all: a crash may have cut it short.
    """

    page_size: int
    pages: int
    whole: int
    used: int
    transactions: int

    @property
    def cause(self) -> str:
        where = f"page {self.whole + 1} of {self.pages} of its log is torn"
        if self.transactions > 1:
            return f"{where}, with {self.transactions} transactions from there on"
        return f"{where}, in the last transaction: cut short by a crash, or changed since"


def torn_log(path: Path) -> TornLog | None:
    """What is torn in the log of the database ``path``; None where nothing whole is behind it.

    Raises OSError.
    """
    log = path.with_name(f"{path.name}-wal")
    found = _torn(_content(log))
    if found is None:
        return None
    # Another process may be writing just here; damage stays.
    time.sleep(_LOOK_AGAIN_S)
    return found if _torn(_content(log)) == found else None


def mend(path: Path, torn: TornLog) -> None:
    """Let SQLite read the whole log: every page of it is given the checksum that it has now.

    What a page holds may be wrong, and has to be checked by whoever reads it. Raises OSError.
    """
    log = path.with_name(f"{path.name}-wal")
    content = bytearray(_content(log))
    frame = _PAGE_HEADER + torn.page_size
    missing = _HEADER + torn.pages * frame - len(content)
    content += bytes(max(0, missing))
    content[_HEADER + torn.pages * frame :] = b""
    sums = struct.unpack(">2I", content[24:32])
    for at in range(_HEADER, len(content), frame):
        content[at + 8 : at + 16] = content[16:24]  # the salts, which may be what is torn
        if not any(content[at : at + 4]):
            content[at : at + 4] = _NO_PAGE  # a page 0 would end the log
        words = np.frombuffer(
            bytes(content[at : at + 8]) + bytes(content[at + _PAGE_HEADER : at + frame]),
            _order(content),
        )
        sums = _chained(sums, words)
        content[at + 16 : at + 24] = struct.pack(">2I", *sums)
    new = log.with_name(f"{log.name}.mended")
    with new.open("wb") as file:
        file.write(content)
        os.fsync(file.fileno())
    new.replace(log)


def keep_copy(path: Path, aside: Path) -> Path:
    """Copy the log of ``path`` to ``aside``, with an ending of its own. Raises OSError."""
    copy = aside.with_name(f"{aside.name}-log")
    with copy.open("wb") as file:
        file.write(_content(path.with_name(f"{path.name}-wal")))
        os.fsync(file.fileno())
    return copy


def changes_page(copy: Path, torn: TornLog, number: int) -> bool:
    """Whether page ``number`` of the database is, or may be, among those unused."""
    content, frame = _content(copy), _PAGE_HEADER + torn.page_size
    for at in range(_HEADER + torn.used * frame, _HEADER + torn.pages * frame, frame):
        foreign = content[at + 8 : at + 16] != content[16:24]
        if foreign or int.from_bytes(content[at : at + 4], "big") == number:
            return True
    return False


def last_number(copy: Path, torn: TornLog, name: str) -> int | None:
    """The number of the newest reading that the unused pages tell of, for the spool
    ``name``; None where they do not tell."""
    content = _content(copy)
    found = None
    at = content.find(name.encode(), _HEADER + torn.used * (_PAGE_HEADER + torn.page_size))
    while at >= 0:
        # The record of the table spool: its types (NULL, a text of 36 letters, an integer ...),
        # then its values: the name, and the number of the last reading.
        types = content[max(0, at - 16) : at]
        start = types.rfind(b"\x00\x55")
        if 0 <= start < len(types) - 2 and types[start + 2] in _INT_BYTES:
            size = _INT_BYTES[types[start + 2]]
            number = int.from_bytes(content[at + 36 : at + 36 + size], "big")
            found = max(found or 0, number)
        at = content.find(name.encode(), at + 1)
    return found


def _content(log: Path) -> bytes:
    try:
        return log.read_bytes()
    except FileNotFoundError:
        return b""


def _torn(content: bytes) -> TornLog | None:
    if len(content) < _HEADER + _PAGE_HEADER or not (order := _order(content)):
        return None
    page_size = struct.unpack(">I", content[8:12])[0]
    frame = _PAGE_HEADER + page_size
    if not 512 <= page_size <= 65536 or _header_is_torn(content, order):
        return None
    pages = -(-(len(content) - _HEADER - _PAGE_HEADER) // frame)  # the last one may be cut
    heads = [content[at : at + _PAGE_HEADER] for at in range(_HEADER, len(content), frame)][:pages]
    own = [number for number, head in enumerate(heads) if head[8:16] == content[16:24]]
    if not own:
        return None
    pages = own[-1] + 1  # what follows is left of an earlier log
    whole = _whole_pages(content, order, page_size, pages)
    ends = [number for number in own if heads[number][4:8] != bytes(4)]
    behind = sum(number >= whole for number in ends)
    used = max((number + 1 for number in ends if number < whole), default=0)
    return TornLog(page_size, pages, whole, used, behind) if behind else None


def _order(content: bytes | bytearray) -> str:
    return _MAGIC.get(int.from_bytes(content[:4], "big"), "")


def _header_is_torn(content: bytes, order: str) -> bool:
    sums = _chained((0, 0), np.frombuffer(content[:24], order))
    return struct.pack(">2I", *sums) != content[24:32]


def _whole_pages(content: bytes, order: str, page_size: int, pages: int) -> int:
    """How many pages from the first one on have the right checksum."""
    frame = _PAGE_HEADER + page_size
    sums = struct.unpack(">2I", content[24:32])
    for number in range(pages):
        at = _HEADER + number * frame
        page = content[at + _PAGE_HEADER : at + frame]
        if len(page) < page_size or content[at + 8 : at + 16] != content[16:24]:
            return number
        sums = _chained(sums, np.frombuffer(content[at : at + 8] + page, order))
        if struct.pack(">2I", *sums) != content[at + 16 : at + 24]:
            return number
    return pages


def _chained(sums: tuple[int, ...], words: npt.NDArray[np.uint32]) -> tuple[int, int]:
    """The checksum after ``words``: for each two, s0 += first + s1, then s1 += second + s0.

    That is linear modulo 2^32, so it is a sum of products with numbers that are known.
    """
    native = words.astype(np.uint32)
    first, second = native[::2], native[1::2]
    of_sums, of_words = _factors(len(first))
    s0, s1 = (
        int((of_words[row, 0] * first + of_words[row, 1] * second).sum(dtype=np.uint32))
        for row in (0, 1)
    )
    (a, b), (c, d) = of_sums
    return (s0 + a * sums[0] + b * sums[1]) % 2**32, (s1 + c * sums[0] + d * sums[1]) % 2**32


@cache
def _factors(pairs: int) -> tuple[tuple[tuple[int, int], tuple[int, int]], npt.NDArray[np.uint32]]:
    """What the sums before, and each pair of words, count for in the sums after ``pairs``."""
    a, b, c, d = 1, 0, 0, 1
    of_words = np.empty((2, 2, pairs), np.uint32)
    for pair in reversed(range(pairs)):
        # Of a pair (x, y): x in s0; x and y in s1. Then what the later pairs make of it.
        of_words[:, :, pair] = (((a + b) % 2**32, b), ((c + d) % 2**32, d))
        # One pair more: s0' = s0 + s1, s1' = s0 + 2 s1.
        a, b, c, d = (a + b) % 2**32, (a + 2 * b) % 2**32, (c + d) % 2**32, (c + 2 * d) % 2**32
    return ((a, b), (c, d)), of_words
