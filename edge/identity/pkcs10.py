"""A request as tpm2-openssl signs it, made right.

That provider (1.3.0) writes a NULL behind `ecdsa-with-SHA256`. RFC 5758 section 3.2 says that
nothing is to be there, and strict readers, ours among them, refuse it. What is signed is not
touched.
Source: RFC 2986 section 4.2: SEQUENCE of what is signed, algorithm, signature.
"""

from typing import Final

SEQUENCE: Final = 0x30
ECDSA_SHA256: Final = bytes.fromhex("300a06082a8648ce3d040302")
WITH_NULL: Final = bytes.fromhex("300c06082a8648ce3d0403020500")


def without_null_parameters(request: bytes) -> bytes:
    """The same request, its algorithm without parameters. Any other bytes stay as they are."""
    try:
        start, end = _element(request, 0)
        signed_end = _element(request, start)[1]
        algorithm_end = _element(request, signed_end)[1]
    except IndexError:
        return request
    if end != len(request) or request[signed_end:algorithm_end] != WITH_NULL:
        return request
    body = request[start:signed_end] + ECDSA_SHA256 + request[algorithm_end:]
    return bytes([SEQUENCE]) + _length(len(body)) + body


def _element(data: bytes, at: int) -> tuple[int, int]:
    """Where its content begins and ends. IndexError: it is cut."""
    first = data[at + 1]
    start, size = at + 2, first
    if first & 0x80:
        count = first & 0x7F
        size = int.from_bytes(data[start : start + count])
        start += count
    if start + size > len(data):
        raise IndexError
    return start, start + size


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes([size])
    digits = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([0x80 | len(digits)]) + digits
