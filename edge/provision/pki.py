"""A small authority: for tests, for a rig, and for a city that has none of its own.

`python -m edge.provision.pki DIR` makes what is missing in DIR and signs the list of revoked
certificates anew. One authority signs servers, gateways and platforms: the extended usage keeps
them apart, and name constraints keep the authority to its own hosts.
"""

import argparse
import datetime
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

from edge.identity.names import is_gateway, san
from edge.provision import certificates as forms
from edge.provision.certificates import PEM

CA_DAYS: Final = 3650
SERVER_DAYS: Final = 365
GATEWAY_DAYS: Final = 90  # a stolen identity that nobody misses ends by itself
LIST_DAYS: Final = 30  # an expired list locks out the whole fleet
BACKDATED: Final = datetime.timedelta(hours=1)  # the other side's clock may be a little behind
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
PLATFORM: Final = "platform"  # what the ACL of the platform's listener lets in


class PkiError(ValueError):
    """What this authority does not do, and what would be right."""


@dataclass(frozen=True, slots=True)
class Authority:
    """In `folder`: ca.crt, ca.key and crl.pem. The list itself says who is revoked."""

    folder: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def create(
        cls, folder: Path, hosts: Sequence[str], now: datetime.datetime, name: str = "Kerbstone CA"
    ) -> "Authority":
        """For servers with these names, or names below them, and addresses; for nobody else."""
        if (folder / "ca.key").exists():
            raise PkiError(f"{folder}/ca.key exists: a second authority needs a folder of its own")
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        key = ec.generate_private_key(ec.SECP256R1())
        until = now + datetime.timedelta(days=CA_DAYS)
        made = (
            forms.builder(
                forms.named(name), forms.named(name), key.public_key(), now - BACKDATED, until
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(forms.usage(authority=True), critical=True)
            .add_extension(forms.constraints(hosts), critical=True)
            .sign(key, hashes.SHA256())
        )
        forms.write(folder / "ca.key", forms.private(key), 0o600)
        forms.write(folder / "ca.crt", made.public_bytes(PEM))
        one = cls(folder, made, key)
        one.renew_list(now)
        return one

    @classmethod
    def open(cls, folder: Path) -> "Authority":
        try:
            key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
            made = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
        except (OSError, ValueError) as error:
            raise PkiError(f"{folder} holds no authority (ca.key, ca.crt): {error}") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != made.public_key():
            raise PkiError(f"{folder}/ca.key is not the key of ca.crt")
        return cls(folder, made, key)

    def server(
        self,
        hosts: Sequence[str],
        key: CertificatePublicKeyTypes,
        now: datetime.datetime,
        days: int = SERVER_DAYS,
    ) -> x509.Certificate:
        """For a broker or the enrolment server."""
        allowed = self.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        for host in map(forms.host_of, hosts):
            if not any(forms.within(host, subtree) for subtree in allowed.permitted_subtrees or ()):
                raise PkiError(f"{host.value} is not among the names of this authority")
        names = x509.SubjectAlternativeName([forms.host_of(host) for host in hosts])
        return self._sign(hosts[0], key, names, ExtendedKeyUsageOID.SERVER_AUTH, now, days)

    def gateway(
        self,
        name: str,
        key: CertificatePublicKeyTypes,
        now: datetime.datetime,
        days: int = GATEWAY_DAYS,
    ) -> x509.Certificate:
        if name.startswith(PLATFORM):
            raise PkiError(f"{name}: names that begin with {PLATFORM} belong to the city")
        try:
            names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(san(name))])
        except ValueError as error:
            raise PkiError(str(error)) from None
        return self._sign(name, key, names, ExtendedKeyUsageOID.CLIENT_AUTH, now, days)

    def platform(
        self,
        name: str,
        key: CertificatePublicKeyTypes,
        now: datetime.datetime,
        days: int = SERVER_DAYS,
    ) -> x509.Certificate:
        """For what the city connects. Its names begin with `platform`, a gateway's must not."""
        if not is_gateway(name) or not name.startswith(PLATFORM):
            raise PkiError(f"{name!r:.80}: a platform is called platform, or platform- and more")
        return self._sign(name, key, None, ExtendedKeyUsageOID.CLIENT_AUTH, now, days)

    def _sign(
        self,
        name: str,
        key: CertificatePublicKeyTypes,
        names: x509.SubjectAlternativeName | None,
        purpose: x509.ObjectIdentifier,
        now: datetime.datetime,
        days: int,
    ) -> x509.Certificate:
        until = min(now + datetime.timedelta(days=days), self.certificate.not_valid_after_utc)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        made = (
            forms.builder(forms.named(name), self.certificate.subject, key, now - BACKDATED, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(forms.usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(issuer, critical=False)
        )
        if names is not None:
            made = made.add_extension(names, critical=False)
        return made.sign(self.key, hashes.SHA256())

    @property
    def revoked(self) -> x509.CertificateRevocationList | None:
        path = self.folder / "crl.pem"
        return x509.load_pem_x509_crl(path.read_bytes()) if path.exists() else None

    def renew_list(self, now: datetime.datetime, revoked: Iterable[int] = ()) -> None:
        """Sign the list anew, with these serial numbers added. Brokers then need it, and SIGHUP."""
        old = self.revoked
        entries = {entry.serial_number: entry for entry in old or ()}
        for serial in revoked:
            one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
            entries.setdefault(serial, one.build())
        number = 1
        if old is not None:
            number += old.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        made = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - BACKDATED)
            .next_update(now + datetime.timedelta(days=LIST_DAYS))
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(issuer, critical=False)
        )
        for entry in entries.values():
            made = made.add_revoked_certificate(entry)
        forms.write(self.folder / "crl.pem", made.sign(self.key, hashes.SHA256()).public_bytes(PEM))

    def warning(self, now: datetime.datetime) -> str | None:
        """What to say of the list's life; None in its first half."""
        held = self.revoked
        end = held.next_update_utc if held is not None else None
        if end is None or end <= now:
            return f"{self.folder}/crl.pem has expired: brokers refuse everybody; sign it anew"
        if (end - now).days < LIST_DAYS / 2:
            return f"{self.folder}/crl.pem ends on {end:%Y-%m-%d}: then brokers refuse everybody"
        return None


class _Desk:
    """The files beside the authority: NAME.crt and NAME.key, 0600."""

    def __init__(self, folder: Path, hosts: Sequence[str], now: datetime.datetime) -> None:
        self._folder, self._now = folder, now
        if (folder / "ca.key").exists():
            self.authority = Authority.open(folder)
        else:
            self.authority = Authority.create(folder, hosts, now)

    def make(self, name: str, sign: Callable[..., x509.Certificate]) -> None:
        path = self._folder / name
        if path.with_name(f"{path.name}.crt").exists():
            return
        key = ec.generate_private_key(ec.SECP256R1())
        made = sign(key.public_key())
        path.parent.mkdir(exist_ok=True)
        forms.write(path.with_name(f"{path.name}.key"), forms.private(key), 0o600)
        forms.write(path.with_name(f"{path.name}.crt"), made.public_bytes(PEM))

    def serial(self, gateway: str) -> int:
        path = self._folder / "gateways" / f"{gateway}.crt"
        if not is_gateway(gateway) or not path.exists():
            raise PkiError(f"{path}: no certificate to revoke")
        return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


def make(
    folder: Path,
    now: datetime.datetime,
    hosts: Sequence[str] = LOOPBACK,
    gateways: Sequence[str] = ("gw-0001",),
    revoke: Sequence[str] = (),
) -> Authority:
    """An authority, a server, a platform and gateways, as far as they are missing; a new list."""
    desk = _Desk(folder, hosts, now)
    one = desk.authority
    desk.make("server", partial(one.server, hosts, now=now))
    desk.make(PLATFORM, partial(one.platform, PLATFORM, now=now))
    for name in gateways:
        # the name becomes that of a file: refused before there is one
        if not is_gateway(name):
            raise PkiError(f"{name!r:.80} is no name of a gateway: 3 to 64 of a-z, 0-9 and -")
        desk.make(f"gateways/{name}", partial(one.gateway, name, now=now))
    one.renew_list(now, [desk.serial(name) for name in revoke])
    return one


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m edge.provision.pki", description=__doc__)
    add = parser.add_argument
    add("folder", type=Path, metavar="DIR")
    add("--host", action="append", metavar="NAME", help="of the broker; default is this machine")
    add("--gateway", action="append", default=[], metavar="ID", help="make its key and certificate")
    add("--revoke", action="append", default=[], metavar="ID", help="put a gateway on the list")
    add("--check", action="store_true", help="only say whether the list ends soon; then exit 1")
    args = parser.parse_args(arguments)
    now = datetime.datetime.now(datetime.UTC)  # noqa: TID251 - a desk has a clock of its own
    try:
        if args.check:
            text = Authority.open(args.folder).warning(now)
            print(text or "the list of revoked certificates is fresh")
            return 1 if text else 0
        made = make(args.folder, now, args.host or LOOPBACK, args.gateway, args.revoke)
    except PkiError as error:
        print(error, file=sys.stderr)
        return 2
    assert made.revoked is not None
    print(f"{args.folder}: {len(made.revoked)} revoked, the list is valid for {LIST_DAYS} days")
    return 0


if __name__ == "__main__":
    sys.exit(main())
