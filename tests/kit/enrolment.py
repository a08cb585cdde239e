"""An enrolment server on loopback, a clock that is set by hand, and boxes that ask it.

An example:

    server = EnrolmentServer(tmp_path)
    server.start()
    claim, certificate, identity = server.enrolled(DeviceKey("gw-17"))
    server.pass_days(40)
    server.close()
"""

import base64
import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import pkcs7

from edge.identity.claim import CLAIM_NAME
from edge.provision import approvals, bootstrap, certificateforms, operatordocs
from edge.provision.certrequest import PublicKey
from edge.provision.httpsserver import ConnectionLimits
from edge.provision.serverdir import ServerDirectory
from edge.provision.serverprocess import ServerProcess
from tests.kit.clock import NTP, JumpingClock

START = datetime(2026, 12, 1, 12, tzinfo=UTC)
DER = serialization.Encoding.DER
PEM = serialization.Encoding.PEM


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])

    @property
    def certificate(self) -> x509.Certificate:
        (only,) = pkcs7.load_der_pkcs7_certificates(base64.b64decode(self.body))
        return only


@dataclass
class DeviceKey:
    """A key, as a device makes it, and the request for it."""

    gateway: str = "gw-17"
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def csr(self, *extensions: x509.ExtensionType, name: str | None = None) -> bytes:
        text = self.gateway if name is None else name
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
        for each in extensions:
            builder = builder.add_extension(each, critical=True)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(DER)

    def identity(self, folder: Path, certificate: x509.Certificate) -> Path:
        path = folder / f"{certificate.serial_number:x}.pem"
        path.write_bytes(certificateforms.private_key_pem(self.key) + certificate.public_bytes(PEM))
        return path


class EnrolmentServer:
    """`now` is what the server believes. Nothing here sleeps."""

    def __init__(
        self, folder: Path, limits: ConnectionLimits | None = None, start: datetime = START
    ) -> None:
        self.clock = JumpingClock(tq=NTP)
        self.now = start
        self.folder = folder
        self.home = ServerDirectory(folder / "home")
        bootstrap.bootstrap_server(self.home, "Test CA", ["localhost", "127.0.0.1"], start)
        self.operator = operatordocs.operator_key(self.home.folder / "operator.key")
        self.log: list[str] = []
        self.limits = limits
        self.running: ServerProcess | None = None
        self.count = 0

    @property
    def now(self) -> datetime:
        return self.clock.now().utc()

    @now.setter
    def now(self, moment: datetime) -> None:
        self.clock.set_wall(moment)

    def start(self) -> ServerProcess:
        log = self.log.append
        self.running = ServerProcess(self.home, self.clock, log, "127.0.0.1:0", self.limits)
        return self.running

    def close(self) -> None:
        if self.running is not None:
            self.running.close()

    @property
    def port(self) -> int:
        assert self.running is not None
        return self.running.port

    def claim(
        self,
        *,
        site: str = "s17",
        role: str = "crossing",
        gateway: str = "gw-17",
        key: Ed25519PrivateKey | None = None,
        days: int = 28,
    ) -> bytes:
        self.count += 1
        out = self.folder / f"card-{self.count}"
        fields: dict[str, Any] = {
            "site": site,
            "role": role,
            "gateway": gateway,
            "enrol": f"https://localhost:{self.port}",
            "broker": "mqtts://localhost:8883",
            "ca": self.home.ca.read_text(),
        }
        operatordocs.new_claim(out, key or self.operator, fields, self.now, days)
        return (out / CLAIM_NAME).read_bytes()

    def approve(self, word: str, code: str | None = None) -> approvals.Decision:
        assert self.running is not None
        return approvals.approve_request(self.home, self.running.store, word, code, self.now)

    def revoke(self, word: str) -> approvals.Decision:
        assert self.running is not None
        store = self.running.store
        return approvals.revoke_box(self.home, store, word, "keyCompromise", self.now)

    def pass_days(self, days: float) -> None:
        self.now += timedelta(days=days)

    # -- a box ---------------------------------------------------------------------------------

    def tls(self, identity: Path | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.home.ca))
        context.verify_flags |= 0x200000  # the clock of these tests is not the machine's
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if identity is not None:
            context.load_cert_chain(identity)
        return context

    def ask(
        self,
        verb: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        identity: Path | None = None,
        method: str | None = None,
        path: str | None = None,
    ) -> Reply:
        connection = http.client.HTTPSConnection(
            "localhost", self.port, timeout=20, context=self.tls(identity)
        )
        try:
            connection.request(
                method or ("GET" if body is None else "POST"),
                path or f"/.well-known/est/kerbstone/{verb}",
                body,
                {"Content-Type": "application/pkcs10", **(headers or {})},
            )
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.headers), answer.read())
        finally:
            connection.close()

    def enrol(self, claim: bytes, csr: bytes) -> Reply:
        header = {"Kerbstone-Claim": base64.b64encode(claim).decode("ascii")}
        return self.ask("simpleenroll", base64.b64encode(csr), header)

    def renew(self, identity: Path, csr: bytes) -> Reply:
        return self.ask("simplereenroll", base64.b64encode(csr), identity=identity)

    def enrolled(
        self, box: DeviceKey, *, site: str = "s17", role: str = "crossing"
    ) -> tuple[bytes, x509.Certificate, Path]:
        claim = self.claim(site=site, role=role, gateway=box.gateway)
        assert self.enrol(claim, box.csr()).status == 202
        self.approve(box.gateway)
        certificate = self.enrol(claim, box.csr()).certificate
        return claim, certificate, box.identity(self.folder, certificate)

    def raw(self) -> ssl.SSLSocket:
        """A connection of somebody who does not speak HTTP."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        return self.tls().wrap_socket(plain, server_hostname="localhost")


def spki(key: PublicKey) -> bytes:
    return key.public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
