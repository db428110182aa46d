"""What is done to bytes before they lie in the remote, and undone again with bounds."""

from __future__ import annotations

from enum import StrEnum

from core.errors import SealBroken

LARGEST_CONTENT = 1 << 30
"""Bytes that any content has at most after it is unpacked."""
_LEVEL = 3


class Encoding(StrEnum):
    """What was done to content: compressed, sealed, both (compressed first), or nothing."""

    NONE = ""
    ZSTD = "zstd"
    AGE = "age"
    ZSTD_AGE = "zstd+age"


def compress(data: bytes) -> bytes:
    """``data`` as one zstd frame that tells its length and carries a checksum."""
    import zstandard

    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(data)


def decompress(data: bytes, at_most: int = LARGEST_CONTENT) -> bytes:
    """What ``compress`` was given; raises SealBroken when it is damaged or would be larger than ``at_most`` bytes."""
    import zstandard

    try:
        size = zstandard.frame_content_size(data)
        if not 0 <= size <= at_most:
            raise SealBroken(f"Something in the remote would unpack to more than {at_most:,} bytes, or does not say.")
        unpacked = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompress(data, max_output_size=at_most)
    except zstandard.ZstdError:
        raise SealBroken("Something compressed in the remote is damaged.") from None
    if len(unpacked) != size:
        raise SealBroken("Something compressed in the remote is damaged.")
    return unpacked
