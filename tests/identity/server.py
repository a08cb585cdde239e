"""A small HTTPS server that keeps the plaintext of all it hears, and may behave badly."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.identity.city import NOW, Answer, CityAuthority, EnrolmentCity

Change = Callable[[str, Answer], Answer]


class HttpsServer:
    def __init__(
        self,
        city: EnrolmentCity,
        root: Path,
        certificate: x509.Certificate,
        key: ec.EllipticCurvePrivateKey,
        most: ssl.TLSVersion,
    ) -> None:
        root.mkdir(parents=True, exist_ok=True)
        pem = root / "server.pem"
        pem.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + certificate.public_bytes(Encoding.PEM)
        )
        self.city, self.heard = city, b""
        self.change: Change = lambda name, answer: answer
        # True when it has dealt with this question itself, in whatever way
        self.instead: Callable[[ssl.SSLSocket], bool] = lambda peer: False
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pem)
        self.context.maximum_version = most
        self.context.verify_mode = ssl.CERT_OPTIONAL
        self.context.load_verify_locations(cadata=city.authority.pem)
        self.context.verify_flags |= ssl.VerifyFlags(0x200000)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            with raw, suppress(OSError):
                raw.settimeout(10)
                with self.context.wrap_socket(raw, server_side=True) as peer:
                    self.one(peer)

    def one(self, peer: ssl.SSLSocket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := peer.recv(65536)):
                return
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in rest)}
        while len(body) < int(headers.get("content-length", "0")):
            body += peer.recv(65536)
        self.heard += head + b"\r\n\r\n" + body
        if self.instead(peer):
            return
        shown = peer.getpeercert(binary_form=True)
        name = first.split(" ")[1].rpartition("/")[2]
        status, reported, made = self.change(
            name,
            self.city.answer(
                name,
                headers,
                body,
                None if shown is None else x509.load_der_x509_certificate(shown),
            ),
        )
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(made)}"]
        lines += [f"{k}: {v}" for k, v in reported.items()]
        peer.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + made)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(20)


@contextmanager
def server(city: EnrolmentCity, root: Path, kind: str = "good") -> Iterator[HttpsServer]:
    key = ec.generate_private_key(ec.SECP256R1())
    authority = CityAuthority() if kind == "other authority" else city.authority
    host = "elsewhere" if kind == "other name" else "localhost"
    use = (
        ExtendedKeyUsageOID.CLIENT_AUTH if kind == "a client's" else ExtendedKeyUsageOID.SERVER_AUTH
    )
    first = NOW - timedelta(days=800 if kind == "expired" else 60)
    made = authority.server(host, key.public_key(), first, first + timedelta(days=120), use)
    most = ssl.TLSVersion.TLSv1_2 if kind == "TLS 1.2" else ssl.TLSVersion.TLSv1_3
    one = HttpsServer(city, root, made, key, most)
    try:
        yield one
    finally:
        one.close()
