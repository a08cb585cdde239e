"""Certificates that the authority would not give: what a lost key or a careless city may make.

An example:

    cert, key = forge(city.authority, tmp_path, "gw-0001", days=(-9, -1))  # has expired
"""

import datetime
import warnings
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.provision import certificateforms as forms
from edge.provision.pki import SmallAuthority

CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER = ExtendedKeyUsageOID.SERVER_AUTH
Pair = tuple[Path, Path]


def forge(
    authority: SmallAuthority,
    folder: Path,
    name: str,
    *,
    days: tuple[float, float] = (-1.0, 2.0),
    purpose: x509.ObjectIdentifier = CLIENT,
    hosts: tuple[str, ...] = (),
) -> Pair:
    """Signed with the authority's key; valid from and to, in days from now; any name."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    start, end = (now + datetime.timedelta(days=each) for each in days)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lengths are wrong on purpose
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name, _validate=False)])
    made = forms.certificate_builder(
        subject, authority.who.certificate.subject, key.public_key(), start, end
    ).add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    if hosts:
        names = x509.SubjectAlternativeName([forms.parse_host(host) for host in hosts])
        made = made.add_extension(names, critical=False)
    number = len(list(folder.glob("forged*.crt")))
    cert, secret = folder / f"forged{number}.crt", folder / f"forged{number}.key"
    cert.write_bytes(made.sign(authority.who.key, hashes.SHA256()).public_bytes(forms.PEM))
    secret.write_bytes(forms.private_key_pem(key))
    return cert, secret
