"""What mosquitto reads, into one folder: the CA, the list of revoked, its certificate and key.

All is checked before anything is replaced, and all of it is replaced in one step: a broker that
reads half of it, at a reload or after a power cut, refuses everybody.
"""

from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from edge.core import ConfigError
from edge.provision import certificates as forms
from edge.provision import files, together
from edge.provision.home import Home
from edge.provision.rows import Kind, Named, to_text
from edge.provision.store import Store

CA: Final = "ca.crt"  # the names that deploy/broker/mosquitto/kerbstone.conf has
LIST: Final = "crl.pem"
CERTIFICATE: Final = "server.crt"
KEY: Final = "server.key"
GROUP: Final = 0o640  # the broker is no root: its folder belongs to its group


class Put(NamedTuple):
    """What lies there now; `has_key` False where the key is still to come."""

    named: Named
    written: list[Path]
    has_key: bool


def put(
    home: Home, store: Store, name: str, out: Path, key: Path | None, now: datetime
) -> Put:  # fmt: skip
    """The newest certificate of this broker that fits the key. Raises ConfigError, OSError."""
    policy, who = home.policy(), home.authority()
    good = _good(store, name, now)
    if not out.is_dir():
        raise ConfigError(f"{out}: no such folder; the broker's user must be able to read in it")
    place = key or out / KEY
    secret = files.read(place, "key of the broker") if key or place.exists() else None
    named = good[-1] if secret is None else _fitting(good, secret, place)
    made = x509.load_der_x509_certificate(named.der)
    revoked = home.revocations(store, who, now, policy.crl_days)
    state = out.stat()
    group = state.st_gid if state.st_mode & 0o010 else None
    parts = [
        files.Part(out / CA, who.certificate.public_bytes(forms.PEM)),
        files.Part(out / LIST, revoked),
    ]
    if key is not None and secret is not None:
        mode = files.OWNER if group is None else GROUP
        parts.append(files.Part(out / KEY, secret, mode, group))
    parts.append(files.Part(out / CERTIFICATE, made.public_bytes(forms.PEM)))
    together.replace(out, parts)
    # last, for kerbstone-crl.path lets the broker read everything when the list changes
    files.write(home.crl, revoked)
    return Put(named, [part.path for part in parts], secret is not None)


def _good(store: Store, name: str, now: datetime) -> list[Named]:
    known = [each for each in store.roll.find(name) if each.kind is Kind.BROKER]
    if not known:
        raise ConfigError(f"{name!r:.80}: no broker has this name: `provision issue broker` first")
    good = [each for each in known if each.revoked is None and each.ends > now]
    if not good:
        last = known[-1]
        end = f"ended {to_text(last.ends)}" if last.revoked is None else "was revoked"
        raise ConfigError(f"the certificate of {name} {end}: issue it anew")
    return good


def _fitting(good: list[Named], secret: bytes, path: Path) -> Named:
    """A renewal whose key is not here yet must not keep the list from the broker."""
    try:
        public = load_pem_private_key(secret, None).public_key()
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: no private key in PEM: {error}") from None
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for each in reversed(good):
        if each.spki == spki:
            return each
    name = good[-1].name
    raise ConfigError(f"{path}: not the key of a certificate of {name}: --key says which it is")
