"""Take the time stamps out of an HDF5 file, so that equal content gives equal bytes.

The HDF5 library stamps every object it creates, and SimpleITK offers no way to switch this off. In a version 2 object
header ("OHDR" block of the HDF5 file format specification 3.0, section IV.A.1.b) four times follow the flags when bit 5
is set, and the block ends with its lookup3 checksum.
"""

from __future__ import annotations

import struct
from pathlib import Path

SIGNATURE = b"OHDR\x02"
TIMES_STORED, PHASE_CHANGE_STORED, SIZE_WIDTH = 0x20, 0x10, 0x03
TIMES = slice(6, 22)
WORD = 0xFFFFFFFF


def clear_object_times(path: Path) -> None:
    """Set the times of all objects in the file to 0, in place. A block whose checksum does not fit is no header."""
    # Not a memory map: its find() reads behind the end (CPython 3.11.2, not 3.11.7), which ends the process if the file
    # fills whole pages and nothing lies behind them.
    content = path.read_bytes()
    with open(path, "r+b") as file:
        start = content.find(SIGNATURE)
        while start >= 0:
            file.seek(start)
            file.write(_cleared_block(content, start))
            start = content.find(SIGNATURE, start + 1)


def _cleared_block(content: bytes, start: int) -> bytes:
    """The block with times of 0 and the checksum that fits; nothing if there is nothing to change."""
    if start + TIMES.stop > len(content):
        return b""
    flags = content[start + 5]
    if not flags & TIMES_STORED:
        return b""
    width = 1 << (flags & SIZE_WIDTH)
    size_at = start + TIMES.stop + (4 if flags & PHASE_CHANGE_STORED else 0)
    end = size_at + width + int.from_bytes(content[size_at : size_at + width], "little")
    block = bytearray(content[start:end])
    if content[end : end + 4] != _checksum_bytes(block):
        return b""
    block[TIMES] = bytes(16)
    return bytes(block) + _checksum_bytes(block)


def _checksum_bytes(block: bytes) -> bytes:
    return struct.pack("<I", lookup3(block))


def lookup3(data: bytes) -> int:
    """Bob Jenkins' public domain hash (hashlittle, initial value 0), the checksum of HDF5 metadata."""
    a = b = c = (0xDEADBEEF + len(data)) & WORD
    position = 0
    while len(data) - position > 12:
        x, y, z = struct.unpack_from("<3I", data, position)
        a, b, c = _mix((a + x) & WORD, (b + y) & WORD, (c + z) & WORD)
        position += 12
    if position == len(data):
        return c
    x, y, z = struct.unpack("<3I", bytes(data[position:]).ljust(12, b"\0"))
    return _final((a + x) & WORD, (b + y) & WORD, (c + z) & WORD)


def _rotated(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (32 - bits))) & WORD


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for bits in (4, 6, 8, 16, 19, 4):
        a = ((a - c) & WORD) ^ _rotated(c, bits)
        c = (c + b) & WORD
        a, b, c = b, c, a
    return a, b, c


def _final(a: int, b: int, c: int) -> int:
    for bits in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _rotated(b, bits)) & WORD
        a, b, c = b, c, a
    return b
