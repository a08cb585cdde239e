"""The certificate of the page, as people compare it: its fingerprint, and where it lies.

A phone does not know who has made this certificate. Whoever compares the fingerprint that the phone
shows with the one on the console knows that nobody stands in between (decision 72).
"""

import base64
import binascii
import hashlib
import re
from datetime import date
from pathlib import Path
from typing import Final

PAGE_STATE: Final = Path("/var/lib/kerbstone-web")
CERTIFICATE_NAME: Final = "cert.pem"  # everybody may read it
KEY_NAME: Final = "key.pem"
LOGIN_NAME: Final = "login.secret"  # a line of edge.core.secrethash
PEM_LIMIT: Final = 64 << 10
BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
END: Final = b"-----END CERTIFICATE-----"
OWN: Final = re.compile(rb"# kerbstone made this itself, until (\d{4}-\d\d-\d\d)\n")


def own_note(until: date) -> bytes:
    """What stands before a certificate that the box has made itself, and may make anew."""
    return f"# kerbstone made this itself, until {until}\n".encode()


def own_until(pem: bytes) -> date | None:
    """Until when a certificate of the box's own making holds; None for one of somebody else."""
    found = OWN.match(pem)
    try:
        return None if found is None else date.fromisoformat(found[1].decode())
    except ValueError:
        return None


def certificate_fingerprint(pem: bytes) -> str:
    """SHA-256 of the first certificate, as browsers show it: `AB:12:...`. Raises ValueError."""
    _, begin, rest = pem.partition(BEGIN)
    body, end, _ = rest.partition(END)
    if not begin or not end:
        raise ValueError("there is no certificate in it")
    try:
        der = base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error as error:
        raise ValueError("the certificate is damaged") from error
    return hashlib.sha256(der).digest().hex(":").upper()
