"""Certificates without a claim: for brokers and the city's programs, by an operator's command.

They come from the CA of the gateways, so that both ends of a connection have one anchor and one
list of what is revoked. Who has none yet, and who renews, does the same. The key is made here and
handed over, or stays where it is and a request (PKCS#10) comes instead: the server keeps neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from edge.core import ConfigError
from edge.durable import fileset
from edge.identity.names import PLATFORM, is_gateway, is_platform
from edge.provision import certificateforms as forms
from edge.provision import certrequest, operatordocs, operatorfiles
from edge.provision.authority import SERVER_DAYS, Authority
from edge.provision.gatewaystore import GatewayStore
from edge.provision.registry import NamedCertificate, NamedKind, NameInUseError
from edge.provision.serverdir import ServerDirectory

RENEW_BEFORE: Final = timedelta(days=30)  # so long before its end a certificate is a finding
CA: Final = "ca.crt"


@dataclass(frozen=True, slots=True)
class IssueRequest:
    """What an operator asks for; with `csr` the key is somebody else's, and stays there."""

    kind: NamedKind
    name: str
    hosts: Sequence[str] = ()  # of a broker
    csr: Path | None = None
    days: int = SERVER_DAYS


@dataclass(frozen=True, slots=True)
class IssueResult:
    """What was issued, and where it lies."""

    named: NamedCertificate
    written: list[Path]


def issue_certificate(
    directory: ServerDirectory,
    store: GatewayStore,
    authority: Authority,
    request: IssueRequest,
    out: Path,
    now: datetime,
) -> IssueResult:
    """NAME.crt and ca.crt in `out`, with a new key NAME.key beside them. Raises ConfigError."""
    _check(request)
    out, name = out.absolute(), request.name
    if out.resolve().is_relative_to(directory.folder.resolve()):
        raise ConfigError(f"{out}: this is the server's folder: choose another --out")
    if not out.is_dir():
        raise ConfigError(f"{out}: no such folder")
    key = ec.generate_private_key(ec.SECP256R1()) if request.csr is None else None
    public = _requested(request) if key is None else key.public_key()
    if request.kind is NamedKind.BROKER:
        made = authority.server(request.hosts, public, now, request.days, name)
    else:
        made = authority.platform(name, public, now, request.days)
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    life = (made.not_valid_before_utc, made.not_valid_after_utc)
    named = NamedCertificate(
        made.serial_number, request.kind, name, spki, made.public_bytes(Encoding.DER), *life
    )
    parts = [fileset.PendingFile(out / CA, authority.certificate.public_bytes(forms.PEM))]
    if key is not None:
        parts.append(
            fileset.PendingFile(
                out / f"{name}.key", forms.private_key_pem(key), operatorfiles.OWNER_MODE
            )
        )
    parts.append(fileset.PendingFile(out / f"{name}.crt", made.public_bytes(forms.PEM)))
    try:
        store.registry.add(named)  # first: what is nowhere written down could not be revoked
    except NameInUseError as error:
        raise ConfigError(str(error)) from None
    fileset.replace_files(parts)
    return IssueResult(named, [part.path for part in parts])


def has_valid_certificate(store: GatewayStore, name: str, folder: Path, now: datetime) -> bool:
    """Whether NAME.crt and NAME.key there are what it should use, for a while yet."""
    try:
        made = x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())
        key = load_pem_private_key((folder / f"{name}.key").read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return False
    good = [
        each.serial
        for each in newest_by_name(store)
        if each.name == name and each.ends > now + RENEW_BEFORE
    ]
    return good == [made.serial_number] and key.public_key() == made.public_key()


def revoke_named(
    directory: ServerDirectory, store: GatewayStore, name: str, reason: str, now: datetime
) -> list[NamedCertificate]:
    """All that a broker or a program has, and the list with it. Raises ConfigError, OSError."""
    policy, who = directory.policy(), directory.authority()
    ended = store.registry.revoke(name, reason, now)
    directory.write_crl(store, who, now, policy.crl_days)
    return ended


def newest_by_name(store: GatewayStore) -> list[NamedCertificate]:
    """Of each name what it should use by now."""
    return list({each.name: each for each in store.registry.live()}.values())


def _check(request: IssueRequest) -> None:
    """Raises ConfigError."""
    name = request.name
    if request.kind is NamedKind.PLATFORM:
        if not is_platform(name):
            raise ConfigError(f"{name!r:.80}: a program is called {PLATFORM}, or {PLATFORM}-MORE")
        if request.hosts:
            raise ConfigError(f"{name}: a program is a client, and takes no --dns and no --ip")
        return
    if not is_gateway(name):
        text = f"3 to 64 of a-z, 0-9 and -, and does not begin with {PLATFORM}"
        raise ConfigError(f"{name!r:.80}: a broker's name has {text}")
    if not request.hosts:
        raise ConfigError(f"{name}: give the names or addresses that clients use: --dns, --ip")
    operatordocs.parse_hosts(request.hosts)


def _requested(request: IssueRequest) -> certrequest.PublicKey:
    """The key in a request that was brought. Raises ConfigError."""
    assert request.csr is not None
    data = operatorfiles.read_file(request.csr, "certificate request")
    try:
        asked = certrequest.read_csr_file(data)
        certrequest.check_common_name(asked, request.name)
    except (certrequest.CsrError, certrequest.NameRefusedError) as error:
        raise ConfigError(f"{request.csr}: {error}") from None
    return asked.key
