"""Certificates without a claim: for brokers and the city's programs, by an operator's command.

They come from the CA of the gateways, so that both ends of a connection have one anchor and one
list of what is revoked. Who has none yet, and who renews, does the same. The key is made here and
handed over, or stays where it is and a request (PKCS#10) comes instead: the server keeps neither.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from edge.core import ConfigError
from edge.identity.names import PLATFORM, is_gateway, is_platform
from edge.provision import certificates as forms
from edge.provision import files, paper, request
from edge.provision.authority import SERVER_DAYS, Authority
from edge.provision.home import Home
from edge.provision.roll import TakenError
from edge.provision.rows import Kind, Named
from edge.provision.store import Store

SOON: Final = timedelta(days=30)  # so long before its end a certificate is a finding
CA: Final = "ca.crt"


class Wanted(NamedTuple):
    """What an operator asks for; with `csr` the key is somebody else's, and stays there."""

    kind: Kind
    name: str
    hosts: Sequence[str] = ()  # of a broker
    csr: Path | None = None
    days: int = SERVER_DAYS


class Given(NamedTuple):
    """What was issued, and where it lies."""

    named: Named
    written: list[Path]


def issue(
    home: Home, store: Store, who: Authority, wanted: Wanted, out: Path, now: datetime
) -> Given:
    """NAME.crt and ca.crt in `out`, with a new key NAME.key beside them. Raises ConfigError."""
    _check(wanted)
    out, name = out.absolute(), wanted.name
    if out.resolve().is_relative_to(home.folder.resolve()):
        raise ConfigError(f"{out}: keys of others do not lie with the server: choose another --out")
    if not out.is_dir():
        raise ConfigError(f"{out}: no such folder")
    key = ec.generate_private_key(ec.SECP256R1()) if wanted.csr is None else None
    public = _requested(wanted) if key is None else key.public_key()
    if wanted.kind is Kind.BROKER:
        made = who.server(wanted.hosts, public, now, wanted.days, name)
    else:
        made = who.platform(name, public, now, wanted.days)
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    life = (made.not_valid_before_utc, made.not_valid_after_utc)
    named = Named(
        made.serial_number, wanted.kind, name, spki, made.public_bytes(Encoding.DER), *life
    )
    parts = [files.Part(out / CA, who.certificate.public_bytes(forms.PEM))]
    if key is not None:
        parts.append(files.Part(out / f"{name}.key", forms.private(key), files.OWNER))
    parts.append(files.Part(out / f"{name}.crt", made.public_bytes(forms.PEM)))
    try:
        store.roll.add(named)  # first: what is nowhere written down could not be revoked
    except TakenError as error:
        raise ConfigError(str(error)) from None
    files.write_all(parts)
    return Given(named, [part.path for part in parts])


def holds(store: Store, name: str, folder: Path, now: datetime) -> bool:
    """Whether NAME.crt and NAME.key there are what it should use, for a while yet."""
    try:
        made = x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())
        key = load_pem_private_key((folder / f"{name}.key").read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return False
    good = [each.serial for each in newest(store) if each.name == name and each.ends > now + SOON]
    return good == [made.serial_number] and key.public_key() == made.public_key()


def revoke(home: Home, store: Store, name: str, reason: str, now: datetime) -> list[Named]:
    """All that a broker or a program has, and the list with it. Raises ConfigError, OSError."""
    policy, who = home.policy(), home.authority()
    ended = store.roll.revoke(name, reason, now)
    home.publish(store, who, now, policy.crl_days)
    return ended


def newest(store: Store) -> list[Named]:
    """Of each name what it should use by now."""
    return list({each.name: each for each in store.roll.live()}.values())


def _check(wanted: Wanted) -> None:
    """Raises ConfigError."""
    name = wanted.name
    if wanted.kind is Kind.PLATFORM:
        if not is_platform(name):
            raise ConfigError(f"{name!r:.80}: a program is called {PLATFORM}, or {PLATFORM}-MORE")
        if wanted.hosts:
            raise ConfigError(f"{name}: a program is a client, and has no --dns and no --ip")
        return
    if not is_gateway(name):
        text = f"3 to 64 of a-z, 0-9 and -, and does not begin with {PLATFORM}"
        raise ConfigError(f"{name!r:.80}: a broker's name has {text}")
    if not wanted.hosts:
        raise ConfigError(f"{name}: under which names do clients find it? --dns, --ip")
    paper.hosts(wanted.hosts)


def _requested(wanted: Wanted) -> request.PublicKey:
    """The key in a request that was brought. Raises ConfigError."""
    assert wanted.csr is not None
    data = files.read(wanted.csr, "certificate request")
    try:
        asked = request.read_file(data)
        request.check_common_name(asked, wanted.name)
    except (request.RequestError, request.NameRefusedError) as error:
        raise ConfigError(f"{wanted.csr}: {error}") from None
    return asked.key
