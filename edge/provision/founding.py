"""The first day: a CA, a server, an operator's key, a policy. Nothing is overwritten."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.provision import authority, files, paper
from edge.provision import certificates as forms
from edge.provision.authority import Authority
from edge.provision.home import Home, Policy

POLICY: Final = """\
listen = "0.0.0.0:8443"
page = "https://{host}"     # labels point to PAGE/d/ID

[operators.first]
key = "{key}"
sites = ["*"]               # or the sites that this operator may claim for
"""


def found(home: Home, name: str, hosts: Sequence[str], now: datetime) -> list[Path]:
    """The files of a new enrolment server. Raises ConfigError."""
    hosts = paper.hosts(hosts)
    who = authority.found(name, now)
    home.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    operator = Ed25519PrivateKey.generate()
    operator_file = home.folder / "operator.key"
    policy = POLICY.format(host=hosts[0], key=paper.public(operator))
    # the CA's certificate first: where it is, nothing of this is done a second time
    files.write_new(home.ca, who.certificate.public_bytes(forms.PEM))
    files.write_new(home.ca_key, forms.private(who.key), files.OWNER)
    files.write_new(operator_file, forms.private(operator), files.OWNER)
    files.write_new(home.policy_file, policy.encode())
    made = [home.ca, home.ca_key, operator_file, home.policy_file]
    made += renew_server(home, who, hosts, now)
    files.write(home.crl, who.crl([], now, Policy().crl_days))
    home.store().close()  # while nobody else is here: SQLite makes a new file for one at a time
    return [*made, home.crl]


def renew_server(home: Home, who: Authority, hosts: Sequence[str], now: datetime) -> list[Path]:
    """A new key and certificate of the server; `serve` takes them when it starts again."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = who.server(paper.hosts(hosts), key.public_key(), now)
    files.write(home.server_key, forms.private(key), files.OWNER)
    files.write(home.server, certificate.public_bytes(forms.PEM))
    return [home.server_key, home.server]
