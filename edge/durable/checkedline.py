"""A line that ends in its own CRC-32: a small file that is whole, or counts as not there."""

import zlib


def add_checksum(line: str, seed: int = 0) -> str:
    """`seed`: a checksum that the line's own begins with, so that nobody else's is believed."""
    return f"{line} {zlib.crc32(line.encode(), seed):08x}"


def remove_checksum(text: str, seed: int = 0) -> str:
    """The line again. Raises ValueError when it is damaged, or of another seed."""
    line, _, crc = text.rpartition(" ")
    if zlib.crc32(line.encode(), seed) != int(crc, 16):
        raise ValueError("its checksum is wrong")
    return line
