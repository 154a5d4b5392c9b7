"""Finds damage in a JPEG's compressed data that decodes without an error: zeros where a disk or a copy failed.

Zeros are legitimate where a picture is of one colour and its own Huffman tables give "nothing changes" the code of
zeros, which the standard tables do not.
"""

import re
from collections.abc import Iterator

ZEROS = 32  # bytes in a row that are damage where the Huffman tables cannot explain them
MANY_ZEROS = 1024  # where the tables can explain them: a sector of a disk is 512
_RUN = re.compile(rb"\0{%d,}" % ZEROS)
SEQUENTIAL = (0xC0, 0xC1)


def zero_run(content: bytes) -> int:
    """Returns the longest run of zero bytes in a JPEG file's compressed data, 0 if none is long enough for damage."""
    if not content.startswith(b"\xff\xd8"):
        return 0
    start, explained = _first_scan(content)
    if start is None:
        return 0
    longest = max((run.end() - run.start() for run in _RUN.finditer(content, start, _end(content))), default=0)
    return longest if longest >= (MANY_ZEROS if explained else ZEROS) else 0


def _end(content: bytes) -> int:
    """Returns the end of the last marker that ends a picture: what cameras append is not looked at."""
    end = content.rfind(b"\xff\xd9")
    return len(content) if end < 0 else end


def _first_scan(content: bytes) -> tuple[int | None, bool]:
    """Returns where compressed data begins, and whether its tables may give zeros for what is of one colour."""
    at, tables, sequential = 2, list[bool](), True
    while at + 4 <= len(content) and content[at] == 0xFF:
        kind, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if kind == 0xFF:  # a fill byte
            at += 1
            continue
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            sequential = kind in SEQUENTIAL
        if kind == 0xC4:
            tables += _explain_zeros(content[at + 4 : at + 2 + length])
        if kind == 0xDA:
            return at + 2 + length, not sequential or all(tables)
        at += 2 + length
    return None, False


def _explain_zeros(tables: bytes) -> Iterator[bool]:
    """Yields whether each Huffman table of AC coefficients begins with the end of a block: its code is then zeros."""
    at = 0
    while at + 17 <= len(tables):
        if tables[at] >> 4 == 1:
            yield tables[at + 17 : at + 18] == b"\0"
        at += 17 + sum(tables[at + 1 : at + 17])
