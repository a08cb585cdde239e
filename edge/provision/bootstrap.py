"""The first day: a CA, a server, an operator's key, a policy. Nothing is overwritten."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.provision import authority, operatordocs, operatorfiles
from edge.provision import certificateforms as forms
from edge.provision.authority import Authority
from edge.provision.serverdir import Policy, ServerDirectory

POLICY_TEMPLATE: Final = """\
listen = "0.0.0.0:8443"
page = "https://{host}"     # labels point to PAGE/d/ID

[operators.first]
key = "{key}"
sites = ["*"]               # or the sites that this operator may claim for
"""


def bootstrap_server(
    directory: ServerDirectory, name: str, hosts: Sequence[str], now: datetime
) -> list[Path]:
    """The files of a new enrolment server. Raises ConfigError."""
    hosts = operatordocs.parse_hosts(hosts)
    who = authority.create_authority(name, now)
    directory.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    operator = Ed25519PrivateKey.generate()
    operator_file = directory.folder / "operator.key"
    policy = POLICY_TEMPLATE.format(host=hosts[0], key=operatordocs.public_key(operator))
    # the CA's certificate first: where it is, nothing of this is done a second time
    operatorfiles.create_file(directory.ca, who.certificate.public_bytes(forms.PEM))
    operatorfiles.create_file(
        directory.ca_key, forms.private_key_pem(who.key), operatorfiles.OWNER_MODE
    )
    operatorfiles.create_file(
        operator_file, forms.private_key_pem(operator), operatorfiles.OWNER_MODE
    )
    operatorfiles.create_file(directory.policy_file, policy.encode())
    made = [directory.ca, directory.ca_key, operator_file, directory.policy_file]
    made += renew_server(directory, who, hosts, now)
    operatorfiles.replace_file(directory.crl, who.crl([], now, Policy().crl_days))
    directory.store().close()  # while nobody else is here: SQLite makes a new file for one only
    return [*made, directory.crl]


def renew_server(
    directory: ServerDirectory, authority: Authority, hosts: Sequence[str], now: datetime
) -> list[Path]:
    """A new key and certificate of the server; `serve` takes them when it starts again."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = authority.server(operatordocs.parse_hosts(hosts), key.public_key(), now)
    operatorfiles.replace_file(
        directory.server_key, forms.private_key_pem(key), operatorfiles.OWNER_MODE
    )
    operatorfiles.replace_file(directory.server, certificate.public_bytes(forms.PEM))
    return [directory.server_key, directory.server]
