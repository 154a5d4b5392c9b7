"""Finds damage in a JPEG that decodes without an error: runs of zero bytes that a failing disk or copy leaves.

A run can also be legitimate: in an area of one colour, if the picture's own Huffman tables encode "nothing changes" as
zero bits. The standard tables do not.
"""

import re
from collections.abc import Iterator

MIN_ZEROS = 32  # a run of this many zero bytes is damage if the Huffman tables cannot explain it
MIN_EXPLAINED_ZEROS = 1024  # the same if the tables can explain it: two disk sectors of 512 bytes
_ZERO_RUN = re.compile(rb"\0{%d,}" % MIN_ZEROS)
SEQUENTIAL_MARKERS = (0xC0, 0xC1)  # markers of frames that are not progressive


def zero_run(content: bytes) -> int:
    """Returns the length of the longest run of zero bytes in a JPEG's compressed data; 0 if it is too short for damage.

    The result is 0 for other formats, too.
    """
    if not content.startswith(b"\xff\xd8"):
        return 0
    start, explainable = _first_scan(content)
    if start is None:
        return 0
    longest = max(
        (run.end() - run.start() for run in _ZERO_RUN.finditer(content, start, _end_of_data(content))), default=0
    )
    return longest if longest >= (MIN_EXPLAINED_ZEROS if explainable else MIN_ZEROS) else 0


def _end_of_data(content: bytes) -> int:
    """Returns the offset of the last end-of-image marker; cameras may append data of their own after it."""
    end = content.rfind(b"\xff\xd9")
    return len(content) if end < 0 else end


def _first_scan(content: bytes) -> tuple[int | None, bool]:
    """Returns where compressed data begins (None if nowhere), and whether its tables can explain runs of zeros."""
    offset, tables, sequential = 2, list[bool](), True
    while offset + 4 <= len(content) and content[offset] == 0xFF:
        marker, length = content[offset + 1], int.from_bytes(content[offset + 2 : offset + 4], "big")
        if marker == 0xFF:  # a fill byte
            offset += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            sequential = marker in SEQUENTIAL_MARKERS
        if marker == 0xC4:
            tables += _tables_explain_zeros(content[offset + 4 : offset + 2 + length])
        if marker == 0xDA:
            return offset + 2 + length, not sequential or all(tables)
        offset += 2 + length
    return None, False


def _tables_explain_zeros(tables: bytes) -> Iterator[bool]:
    """Yields for each Huffman table of AC coefficients whether its first symbol, coded as zeros, is "end of block"."""
    offset = 0
    while offset + 17 <= len(tables):
        if tables[offset] >> 4 == 1:
            yield tables[offset + 17 : offset + 18] == b"\0"
        offset += 17 + sum(tables[offset + 1 : offset + 17])
