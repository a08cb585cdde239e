"""A small authority: for tests, for a rig, and for a city that has none of its own.

`python -m edge.provision.pki DIR` makes what is missing in DIR and signs the list of revoked
certificates anew. One authority signs servers, gateways and platforms: the extended usage keeps
them apart, and name constraints keep the authority to its own hosts.
"""

import datetime
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from edge.core import ConfigError
from edge.identity.names import PLATFORM, is_gateway
from edge.kernelclock import KernelClock
from edge.provision import authority, operatorfiles
from edge.provision import certificateforms as forms
from edge.provision.authority import Authority, PkiError, Revoked
from edge.terminal import Parser, echo

CA_DAYS: Final = 3650
SERVER_DAYS: Final = 365
LIST_DAYS: Final = 30  # an expired list locks out the whole fleet
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class SmallAuthority:
    """An authority in `folder`: ca.crt, ca.key and crl.pem. The list itself says who is revoked."""

    folder: Path
    who: Authority

    @classmethod
    def create(
        cls, folder: Path, hosts: Sequence[str], now: datetime.datetime, name: str = "Kerbstone CA"
    ) -> "SmallAuthority":
        """For servers with these names, or names below them, and addresses; for nobody else."""
        if (folder / "ca.key").exists():
            raise PkiError(f"{folder}/ca.key exists: a second authority needs a folder of its own")
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        who = authority.create_authority(name, now, hosts, CA_DAYS)
        operatorfiles.replace_file(
            folder / "ca.key", forms.private_key_pem(who.key), operatorfiles.OWNER_MODE
        )
        operatorfiles.replace_file(folder / "ca.crt", who.certificate.public_bytes(forms.PEM))
        one = cls(folder, who)
        one.renew_list(now)
        return one

    @classmethod
    def open(cls, folder: Path) -> "SmallAuthority":
        try:
            return cls(folder, authority.load_authority(folder / "ca.crt", folder / "ca.key"))
        except ConfigError as error:
            raise PkiError(f"{folder} holds no authority (ca.key, ca.crt): {error}") from None

    @property
    def revoked(self) -> x509.CertificateRevocationList | None:
        path = self.folder / "crl.pem"
        return x509.load_pem_x509_crl(path.read_bytes()) if path.exists() else None

    def renew_list(self, now: datetime.datetime, revoked: Iterable[int] = ()) -> None:
        """Sign the list anew, with these serial numbers added. Brokers then need it, and SIGHUP."""
        old, number = self.revoked, 1
        lines = {one.serial_number: one.revocation_date_utc for one in old or ()}
        for serial in revoked:
            lines.setdefault(serial, now)
        if old is not None:
            number += old.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        made = self.who.crl((Revoked(*line) for line in lines.items()), now, LIST_DAYS, number)
        operatorfiles.replace_file(self.folder / "crl.pem", made)

    def warning(self, now: datetime.datetime) -> str | None:
        """What to say of the list's life; None in its first half."""
        held = self.revoked
        end = held.next_update_utc if held is not None else None
        if end is None or end <= now:
            return f"{self.folder}/crl.pem has expired: brokers refuse every client; sign it again"
        if (end - now).days < LIST_DAYS / 2:
            text = f"{self.folder}/crl.pem expires on {end:%Y-%m-%d}"
            return f"{text}; from then on brokers refuse every client"
        return None


def make_pki(
    folder: Path,
    now: datetime.datetime,
    hosts: Sequence[str] = LOOPBACK,
    gateways: Sequence[str] = ("gw-0001",),
    revoke: Sequence[str] = (),
    programs: Sequence[str] = (PLATFORM,),
) -> SmallAuthority:
    """An authority, a server, programs of the city and gateways, as far as they are missing; a new
    list."""
    there = (folder / "ca.key").exists()
    one = SmallAuthority.open(folder) if there else SmallAuthority.create(folder, hosts, now)
    who = one.who
    _pair(folder / "server", partial(who.server, hosts, now=now, days=SERVER_DAYS))
    for name in programs:
        _pair(folder / name, partial(who.platform, name, now=now, days=SERVER_DAYS))
    for name in gateways:
        # the name becomes that of a file: refused before there is one
        if not is_gateway(name):
            raise PkiError(f"{name!r:.80} is not a gateway name: 3 to 64 of a-z, 0-9 and -")
        _pair(folder / "gateways" / name, partial(who.gateway, name, now=now))
    one.renew_list(now, [_serial(folder, name) for name in revoke])
    return one


def _pair(path: Path, sign: Callable[..., x509.Certificate]) -> None:
    """NAME.key and NAME.crt, unless they are there."""
    if path.with_name(f"{path.name}.crt").exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    made = sign(key.public_key())
    path.parent.mkdir(exist_ok=True)
    operatorfiles.replace_file(
        path.with_name(f"{path.name}.key"), forms.private_key_pem(key), operatorfiles.OWNER_MODE
    )
    operatorfiles.replace_file(path.with_name(f"{path.name}.crt"), made.public_bytes(forms.PEM))


def _serial(folder: Path, gateway: str) -> int:
    path = folder / "gateways" / f"{gateway}.crt"
    if not is_gateway(gateway) or not path.exists():
        raise PkiError(f"{path}: no certificate to revoke")
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(prog="python -m edge.provision.pki", description=__doc__)
    add = parser.add_argument
    add("folder", type=Path, metavar="DIR")
    add("--host", action="append", metavar="NAME", help="of the broker (default: this machine)")
    add("--gateway", action="append", default=[], metavar="ID", help="make its key and certificate")
    add("--revoke", action="append", default=[], metavar="ID", help="revoke this gateway")
    add("--check", action="store_true", help="check the revocation list; exit 1 if it ends soon")
    args = parser.parse_args(arguments)
    now = KernelClock().now().utc()
    try:
        if args.check:
            text = SmallAuthority.open(args.folder).warning(now)
            echo(text or "the revocation list is valid")
            return 1 if text else 0
        made = make_pki(args.folder, now, args.host or LOOPBACK, args.gateway, args.revoke)
    except ConfigError as error:
        echo(str(error), err=True)
        return 2
    assert made.revoked is not None
    echo(f"{args.folder}: {len(made.revoked)} revoked, the list is valid for {LIST_DAYS} days")
    return 0


if __name__ == "__main__":
    sys.exit(main())
