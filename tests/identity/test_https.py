"""The same over real TLS, against a small server that keeps the plaintext of all it hears."""

import base64
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from edge.identity import tls
from edge.identity.store import Store
from tests.identity.box import Box, JumpingTime, date
from tests.identity.city import NOW, Answer, Authority, City

Change = Callable[[str, Answer], Answer]


class Server:
    def __init__(
        self,
        city: City,
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
        shown = peer.getpeercert(binary_form=True)
        name = first.split(" ")[1].rpartition("/")[2]
        status, told, made = self.change(
            name,
            self.city.answer(
                name,
                headers,
                body,
                None if shown is None else x509.load_der_x509_certificate(shown),
            ),
        )
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(made)}"]
        lines += [f"{k}: {v}" for k, v in told.items()]
        peer.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + made)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(20)


@contextmanager
def server(city: City, root: Path, kind: str = "good") -> Iterator[Server]:
    key = ec.generate_private_key(ec.SECP256R1())
    authority = Authority() if kind == "other authority" else city.authority
    host = "elsewhere" if kind == "other name" else "localhost"
    use = (
        ExtendedKeyUsageOID.CLIENT_AUTH if kind == "a client's" else ExtendedKeyUsageOID.SERVER_AUTH
    )
    first = NOW - timedelta(days=800 if kind == "expired" else 60)
    made = authority.server(host, key.public_key(), first, first + timedelta(days=120), use)
    most = ssl.TLSVersion.TLSv1_2 if kind == "TLS 1.2" else ssl.TLSVersion.TLSv1_3
    one = Server(city, root, made, key, most)
    try:
        yield one
    finally:
        one.close()


def boxed(root: Path, city: City, port: int, number: int = 1) -> Box:
    box = Box(root, city, JumpingTime(date(1970)))
    box.ask = tls.ask
    box.insert(city.claim(number, enrol=f"https://localhost:{port}"))
    return box


def private(box: Box) -> tuple[bytes, list[bytes]]:
    """The private number and all forms in which it could leave."""
    bundle = Store(box.state).current()
    assert bundle is not None
    pem = bundle.key.read_bytes()
    key = load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    d = key.private_numbers().private_value.to_bytes(32, "big")
    middle = b"".join(pem.split(b"\n")[1:-2])
    forms = [d, d.hex().encode(), d.hex().upper().encode(), b"PRIVATE KEY", middle[:40]]
    return d, forms + [base64.b64encode(bytes(n) + d)[8:40] for n in range(3)]


@pytest.mark.parametrize("year", [1970, 2040])
def test_two_boxes_enrol_and_their_keys_stay(tmp_path: Path, year: int) -> None:
    city = City()
    with server(city, tmp_path) as one:
        boxes = [boxed(tmp_path / str(n), city, one.port, n) for n in (1, 2)]
        for box in boxes:
            box.clock.start = date(year)
            assert box.power().run() == "enrolled"
            assert box.wrong() == []
    assert b"Kerbstone-Claim" in one.heard
    assert private(boxes[0])[0] != private(boxes[1])[0]
    for box in boxes:
        public = b"".join(each.read_bytes() for each in box.boot.iterdir())
        decoded = b"".join(base64.b64decode(part) for part in one.heard.split(b"\r\n\r\n")
                           if part[:3] == b"MII" and b" " not in part)  # fmt: skip
        for form in private(box)[1]:
            assert form not in one.heard + decoded
            assert form not in public


@pytest.mark.parametrize(
    "kind", ["other authority", "other name", "a client's", "expired", "TLS 1.2"]
)
def test_a_wrong_server_hears_nothing(tmp_path: Path, kind: str) -> None:
    class Enough(BaseException):
        pass

    def enough() -> None:
        raise Enough

    city = City()
    with server(city, tmp_path, kind) as one:
        box = boxed(tmp_path / "box", city, one.port)
        box.clock.then = enough
        with pytest.raises(Enough):
            box.power().run()
        assert one.heard == b""
    assert "the enrolment server" in box.status


@pytest.mark.parametrize("kind", ["redirect", "huge"])
def test_a_redirect_and_a_huge_answer_are_refused(tmp_path: Path, kind: str) -> None:
    city = City()
    with server(city, tmp_path) as one:
        box = boxed(tmp_path / "box", city, one.port)
        told = []

        def change(name: str, answer: Answer) -> Answer:
            if box.clock.naps:
                return answer
            if kind == "huge":
                return 200, answer[1], b"A" * (tls.LARGEST + 2)
            return 302, {"Location": "https://elsewhere.example/"}, b""

        one.change = change
        box.clock.then = lambda: told.append(box.status)
        assert box.power().run() == "enrolled"
    assert ("redirect" if kind == "redirect" else "larger") in told[0]
