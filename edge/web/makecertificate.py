"""`python -m edge.web.makecertificate FOLDER NAME DAY`: a key, and a certificate of no authority.

Elliptic curve P-256, which every phone knows. It holds from DAY (YYYY-MM-DD) for DAYS: iOS and
macOS refuse a server's certificate that holds for more than 825 days, and let nobody pass
(support.apple.com/103769). The certificate names no authority: it can vouch for this page and for
nothing else.
"""

import datetime
import ipaddress
import os
import sys
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.core.pageaddress import ACCESS_POINT_ADDRESS, GADGET_ADDRESS
from edge.core.pagecertificate import CERTIFICATE_NAME, KEY_NAME, own_note
from edge.durable.atomicwrite import PRIVATE, replacing, write_file
from edge.durable.folders import fsync_folder
from edge.terminal import echo

DAYS: Final = 820
NAMES: Final = ("kerbstone.local", "localhost")
ADDRESSES: Final = ("127.0.0.1", "::1", ACCESS_POINT_ADDRESS, GADGET_ADDRESS)
NAME_BYTES: Final = 64
READABLE: Final = 0o644


def make_certificate(name: str, day: datetime.date) -> tuple[bytes, bytes]:
    """The certificate and its key, as PEM. `name` is the gateway's, cut to what X.520 takes."""
    key = ec.generate_private_key(ec.SECP256R1())
    start = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
    end = start + datetime.timedelta(days=DAYS)
    shown = name.encode()[:NAME_BYTES].decode(errors="ignore") or "kerbstone"
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, shown)])
    public = key.public_key()
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=False, crl_sign=False, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    *(x509.DNSName(each) for each in NAMES),
                    *(x509.IPAddress(ipaddress.ip_address(each)) for each in ADDRESSES),
                ]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return own_note(end.date()) + made.public_bytes(Encoding.PEM), private


def give_to_owner(path: Path) -> None:
    """To the user of its folder, which is the page's: root may have made it. Raises OSError."""
    folder = path.parent.stat()
    if os.geteuid() == 0:
        os.chown(path, folder.st_uid, folder.st_gid)


def put_pair(folder: Path, certificate: bytes, key: bytes) -> None:
    """No certificate is there until its key is: a kill in between makes both anew. What the disk
    does not take leaves the pair that was there. Raises OSError."""
    with (
        replacing(folder / CERTIFICATE_NAME) as new_certificate,
        replacing(folder / KEY_NAME) as new_key,
    ):
        for path, data, mode in (
            (new_key, key, PRIVATE), (new_certificate, certificate, READABLE)
        ):  # fmt: skip
            write_file(path, data, mode, exact_mode=True)
            give_to_owner(path)
        (folder / CERTIFICATE_NAME).unlink(missing_ok=True)
    fsync_folder(folder)


def main() -> int:
    folder, name, day = Path(sys.argv[1]), sys.argv[2], datetime.date.fromisoformat(sys.argv[3])
    try:
        put_pair(folder, *make_certificate(name, day))
    except OSError as error:
        echo(f"{error.filename or folder}: {error.strerror}", err=True)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
