"""The page's certificate and key: made on first use, or put there by whoever has an authority.

They are made in a child process: the library for that takes 10 MB, which the page does not need
again. A technician may replace both files by a pair of the city's own authority; nothing here
writes over that. A pair of our own is made anew when it ends soon, by a clock that is right.
"""

import logging
import os
import ssl
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from edge.core import Stamp
from edge.core.pagecertificate import (
    CERTIFICATE_NAME,
    KEY_NAME,
    PEM_LIMIT,
    certificate_fingerprint,
    own_until,
)
from edge.core.release import RELEASED
from edge.durable.readfile import read_file

LOG: Final = logging.getLogger(__name__)
MAKE_S: Final = 60.0  # a small board under load
SOON: Final = timedelta(days=60)  # before its end, a certificate is made anew
PROGRAM: Final = "edge.web.makecertificate"


class PageCertificateError(Exception):
    """There is no certificate that can be used; the text says which file, and what to do."""


@dataclass(frozen=True, slots=True)
class PageCertificate:
    """The two files, and what people compare."""

    certificate: Path
    key: Path
    fingerprint: str


def ensure_certificate(folder: Path, name: str, now: Stamp) -> PageCertificate:
    """What lies in `folder`, made now if there is nothing, or nothing that still holds for long.
    `name`: of the gateway, for people.

    Raises PageCertificateError.
    """
    certificate, key = folder / CERTIFICATE_NAME, folder / KEY_NAME
    today = day_for_certain(now)
    if not certificate.exists() or not key.exists():
        _make(folder, certificate, key, name, today)
    elif _ends_soon(certificate, today):
        try:
            _make(folder, certificate, key, name, today)
        except PageCertificateError as error:  # the present one still serves
            LOG.warning("%s ends soon, and is not made anew: %s", certificate, error)
    return load_certificate(folder)


def day_for_certain(now: Stamp) -> date:
    """Today by a clock that somebody vouches for; else the day of the release, as it is later than
    that in any case."""
    return max(RELEASED, now.utc().date()) if now.tq.is_synchronised else RELEASED


def load_certificate(folder: Path) -> PageCertificate:
    """Raises PageCertificateError where there is none, or it cannot be used."""
    certificate, key = folder / CERTIFICATE_NAME, folder / KEY_NAME
    try:
        data = read_file(certificate, PEM_LIMIT)
        if data is None:
            raise PageCertificateError(f"{certificate}: there is no certificate yet")
        return PageCertificate(certificate, key, certificate_fingerprint(data))
    except OSError as error:
        raise PageCertificateError(f"{certificate} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise PageCertificateError(
            f"{certificate}: {error}; remove it and {key.name}, and both are made anew"
        ) from error


def tls_context(found: PageCertificate) -> ssl.SSLContext:
    """For the server's side. Raises PageCertificateError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    try:
        context.load_cert_chain(found.certificate, found.key)
    except OSError as error:  # ssl.SSLError is one
        raise PageCertificateError(
            f"{found.certificate} and {found.key.name} cannot be used together: "
            f"{error.strerror or error}; put a pair there, or remove both to have them made anew"
        ) from error
    return context


def _make(folder: Path, certificate: Path, key: Path, name: str, day: date) -> None:
    """Raises PageCertificateError."""
    if certificate.exists() and _until(certificate) is None:
        raise PageCertificateError(
            f"{certificate} is there and {key.name} is not: put the key there"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(  # what it runs is ours
            [sys.executable, "-m", PROGRAM, str(folder), name, day.isoformat()],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=MAKE_S,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    except subprocess.TimeoutExpired as error:
        raise PageCertificateError(f"no certificate was made within {MAKE_S:g} s") from error
    except OSError as error:
        raise PageCertificateError(f"{folder} cannot be written: {error.strerror}") from error
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise PageCertificateError(f"no certificate could be made in {folder}: {told}")


def _ends_soon(certificate: Path, today: date) -> bool:
    until = _until(certificate)
    return until is not None and until - today < SOON


def _until(certificate: Path) -> date | None:
    """A kill between the two files leaves one of ours; one of an authority is not thrown away."""
    try:
        return own_until(read_file(certificate, PEM_LIMIT) or b"")
    except OSError:
        return None
