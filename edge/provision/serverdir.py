"""The folder of an enrolment server: its keys, its store, its policy (`provision.toml`).

ca.pem, ca.key      the authority        server.pem, server.key  what boxes connect to
store.db            requests, certificates        crl.pem        for brokers, renewed by itself
configs/ID.json     what a box gets as its site.toml, signed by an operator
proposals/ID.json   the site file that a box asks an operator to sign; its text is ID.toml
reports/ID.json     why a box has not taken what was signed for it
"""

import base64
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cryptography import x509
from msgspec import Meta

from edge.core import ConfigError
from edge.core.tomltext import parse_toml
from edge.identity import siteconfig
from edge.identity.claim import Claim
from edge.provision import authority, operatorfiles
from edge.provision.authority import Authority, Revoked
from edge.provision.configreports import ReportFolder
from edge.provision.gatewaystore import GatewayStore
from edge.provision.proposals import ProposalFolder

ALL_SITES: Final = "*"
Days = Annotated[int, Meta(ge=1, le=3650)]


class Operator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose claims count, and for which sites; `"*"` is every site."""

    key: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9+/]{43}=\Z")]
    sites: tuple[str, ...] = (ALL_SITES,)


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`provision.toml`: what the operators agreed on."""

    listen: Annotated[str, Meta(pattern=r"\A(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}\Z")] = (
        "0.0.0.0:8443"
    )
    label: Annotated[str, Meta(pattern=r"\A[a-z0-9-]{1,32}\Z")] = "kerbstone"
    days: Days = 90  # of a gateway's certificate
    grace_days: Annotated[int, Meta(ge=0, le=365)] = 30  # so long an expired one may renew
    crl_days: Days = 30
    page: str = "https://localhost"  # labels point to PAGE/d/ID
    operators: dict[str, Operator] = {}

    def operator(self, claim: Claim) -> Operator | None:
        return next((each for each in self.operators.values() if each.key == claim.operator), None)


class ServerDirectory:
    """Paths, and what is read from them when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = folder / "ca.pem"
        self.ca_key = folder / "ca.key"
        self.server = folder / "server.pem"
        self.server_key = folder / "server.key"
        self.crl = folder / "crl.pem"
        self.configs = folder / "configs"
        self.proposals = ProposalFolder(folder / "proposals")
        self.reports = ReportFolder(folder / "reports")
        self.policy_file = folder / "provision.toml"

    def policy(self) -> Policy:
        """Raises ConfigError."""
        data = operatorfiles.read_file(self.policy_file, "policy")
        try:
            policy = msgspec.convert(parse_toml(data.decode()), Policy)
            for operator in policy.operators.values():
                base64.b64decode(operator.key, validate=True)
        except ValueError as error:
            raise ConfigError(f"{self.policy_file}: {error}") from None
        return policy

    def authority(self) -> Authority:
        return authority.load_authority(self.ca, self.ca_key)

    def store(self) -> GatewayStore:
        if not self.ca.exists():
            text = f"{self.folder}: no enrolment server is here: `kerbstone provision ca` makes one"
            raise ConfigError(text)
        return GatewayStore(self.folder / "store.db")

    def revocations(
        self, store: GatewayStore, authority: Authority, now: datetime, days: int
    ) -> bytes:
        """The CRL of this moment, in PEM."""
        revoked = [
            Revoked(each.serial, each.at, x509.ReasonFlags(each.reason)) for each in store.revoked()
        ]
        return authority.crl(revoked, now, days)

    def write_crl(
        self, store: GatewayStore, authority: Authority, now: datetime, days: int
    ) -> None:
        """Write the CRL, whole. Raises OSError."""
        operatorfiles.replace_file(self.crl, self.revocations(store, authority, now, days))

    def config(self, gateway: str) -> bytes | None:
        """What an operator signed for this gateway: its box verifies it. Raises ConfigError."""
        path = self.configs / f"{gateway}.json"
        if not path.exists():
            return None
        data = operatorfiles.read_file(path, "configuration")
        try:
            siteconfig.parse_signed_config(data)
        except siteconfig.SignedConfigError as error:
            raise ConfigError(f"{path}: {error}; sign it again") from None
        return data
