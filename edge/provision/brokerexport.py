"""What mosquitto reads, into one folder: the CA, the list of revoked, its certificate and key.

All is checked before anything is replaced, and all of it is replaced in one step: a broker that
reads half of it, at a reload or after a power cut, refuses everybody.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from edge.core import ConfigError
from edge.durable import fileset
from edge.provision import certificateforms as forms
from edge.provision import operatorfiles
from edge.provision.gatewaystore import GatewayStore
from edge.provision.registry import NamedCertificate, NamedKind, time_to_text
from edge.provision.serverdir import ServerDirectory

CA: Final = "ca.crt"  # the names that deploy/broker/mosquitto/kerbstone.conf has
CRL_FILE: Final = "crl.pem"
CERTIFICATE: Final = "server.crt"
KEY: Final = "server.key"
GROUP_MODE: Final = 0o640  # the broker is no root: its folder belongs to its group


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What lies there now; `has_key` False where the key is still to come."""

    named: NamedCertificate
    written: list[Path]
    has_key: bool


def export_for_broker(
    directory: ServerDirectory, store: GatewayStore, name: str, out: Path, key: Path | None,
    now: datetime
) -> ExportResult:  # fmt: skip
    """The newest certificate of this broker that fits the key. Raises ConfigError, OSError."""
    policy, who = directory.policy(), directory.authority()
    good = _good(store, name, now)
    if not out.is_dir():
        raise ConfigError(f"{out}: no such folder; the broker's user must be able to read in it")
    place = key or out / KEY
    secret = operatorfiles.read_file(place, "key of the broker") if key or place.exists() else None
    named = good[-1] if secret is None else _with_key_here(good, secret, place)
    made = x509.load_der_x509_certificate(named.der)
    revoked = directory.revocations(store, who, now, policy.crl_days)
    state = out.stat()
    group = state.st_gid if state.st_mode & 0o010 else None
    parts = [
        fileset.PendingFile(out / CA, who.certificate.public_bytes(forms.PEM)),
        fileset.PendingFile(out / CRL_FILE, revoked),
    ]
    if key is not None and secret is not None:
        mode = operatorfiles.OWNER_MODE if group is None else GROUP_MODE
        parts.append(fileset.PendingFile(out / KEY, secret, mode, group))
    parts.append(fileset.PendingFile(out / CERTIFICATE, made.public_bytes(forms.PEM)))
    fileset.replace_set(out, parts)
    # last, for kerbstone-crl.path lets the broker read everything when the list changes
    operatorfiles.replace_file(directory.crl, revoked)
    return ExportResult(named, [part.path for part in parts], secret is not None)


def _good(store: GatewayStore, name: str, now: datetime) -> list[NamedCertificate]:
    known = [each for each in store.registry.find(name) if each.kind is NamedKind.BROKER]
    if not known:
        raise ConfigError(f"{name!r:.80}: no broker has this name; run `provision issue broker`")
    good = [each for each in known if each.revoked is None and each.ends > now]
    if not good:
        last = known[-1]
        end = f"expired {time_to_text(last.ends)}" if last.revoked is None else "was revoked"
        raise ConfigError(f"the certificate of {name} {end}: issue it again")
    return good


def _with_key_here(good: list[NamedCertificate], secret: bytes, path: Path) -> NamedCertificate:
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
    raise ConfigError(f"{path}: not the key of a certificate of {name}; name the key with --key")
