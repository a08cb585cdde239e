"""From when until when a certificate is valid, read out of it without a library for it.

Source: RFC 5280, 4.1 (Certificate, Validity, UTCTime and GeneralizedTime); X.690 for DER.
"""

import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

LIMIT: Final = 64 * 1024  # bytes of a file
VERSION, UTC_TIME, GENERALIZED_TIME = 0xA0, 0x17, 0x18
BEGIN: Final = "-----BEGIN CERTIFICATE-----"
END: Final = "-----END CERTIFICATE-----"
VALIDITY: Final = 3  # behind serial number, algorithm and issuer


class CertificateFile:
    """A file with a certificate, which may be another one tomorrow."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._read: tuple[int, int, int] | None = None  # what tells one file from another
        self._ends_s: int | None = None

    def ends_s(self) -> int | None:
        """Unix time (s) of its end; None where that cannot be known. It is read when the file is
        another one."""
        if self._path is None:
            return None
        with suppress(OSError, ValueError):  # whoever connects with it says so
            found = self._path.stat()
            this = (found.st_ino, found.st_size, found.st_mtime_ns)
            if this != self._read:
                self._read, self._ends_s = this, None
                self._ends_s = certificate_ends_s(self._path)
            return self._ends_s
        return None


def certificate_ends_s(path: Path) -> int:
    """Unix time (s) after which the first certificate of the file is none any more.

    Raises OSError, or ValueError for what is no certificate.
    """
    with path.open("rb") as file:
        text = file.read(LIMIT).decode("ascii", "replace")
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin:
        raise ValueError(f"{path}: there is no certificate in it")
    try:
        return der_dates_s(ssl.PEM_cert_to_DER_cert(text[begin : end + len(END)]))[1]
    except (IndexError, ValueError) as error:
        raise ValueError(f"{path}: not a certificate: {error}") from error


def der_dates_s(der: bytes) -> tuple[int, int]:
    """From when until when a certificate is valid (Unix time, s). Raises ValueError or IndexError
    for what is no certificate."""
    ((_, whole),) = _parts(der, 1)
    (_, signed), *_ = _parts(whole)
    fields = [(tag, value) for tag, value in _parts(signed) if tag != VERSION]
    begins, ends = _parts(fields[VALIDITY][1], 2)
    return _seconds(*begins), _seconds(*ends)


def _parts(data: bytes, count: int | None = None) -> list[tuple[int, bytes]]:
    """Tag and content of each element; ValueError if there are not `count`."""
    found = list(_elements(data))
    if count is not None and len(found) != count:
        raise ValueError(f"{len(found)} elements in place of {count}")
    return found


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1], at + 2
        if size & 0x80:
            more = size & 0x7F
            if not 1 <= more <= 4:
                raise ValueError(f"length of {more} bytes")
            size, at = int.from_bytes(data[at : at + more], "big"), at + more
        if at + size > len(data):
            raise ValueError("an element ends behind its place")
        yield tag, data[at : at + size]
        at += size


def _seconds(tag: int, value: bytes) -> int:
    """Two digits for years 1950 to 2049, else four; always UTC to the second."""
    text = value.decode("ascii")
    if tag == UTC_TIME:
        text = ("20" if text[:2] < "50" else "19") + text
    elif tag != GENERALIZED_TIME:
        raise ValueError(f"{tag:#x} is no time")
    return int(datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp())
