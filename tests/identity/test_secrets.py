"""The key never leaves the box, and two boxes share no secret.

A relay keeps the bytes of the wire, and the server's side of TLS what it has decrypted.
"""

import re
import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from edge.identity import keys
from edge.provision.httpsserver import tls_context
from edge.provision.serverdir import ServerDirectory
from tests.identity import traced_process
from tests.identity.card import everything, tree, wrong
from tests.identity.real_server import ApprovingServer, claim_of
from tests.identity.relay import TappedSocket, TlsRelay
from tests.identity.secret import decoded, forms, shared
from tests.identity.tpm import Tpm, missing
from tests.kit.enrolment import START


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApprovingServer]:
    if not Path(traced_process.STRACE).exists():
        pytest.skip("strace is not installed: apt-get install strace")

    def listened(home: ServerDirectory) -> ssl.SSLContext:
        made = tls_context(home)
        made.sslsocket_class = TappedSocket
        return made

    monkeypatch.setattr("edge.provision.serverprocess.tls_context", listened)
    TappedSocket.plain.clear()
    made = ApprovingServer(tmp_path)
    made.start()
    yield made
    made.close()


def wrapped(pem: bytes) -> list[bytes]:
    """A key in a TPM: nobody here knows its number; what wraps it stays at home all the same.

    It is at the end of the file; what stands before it is the public key.
    """
    body = b"".join(pem.split(b"\n")[1:-2])[-144:]
    inside = decoded(body)[len(body) :]
    assert len(inside) > 100
    pieces = [body[at : at + 36] for at in range(0, len(body), 36)]
    return [b"TSS2", *pieces, *(inside[at : at + 24] for at in range(0, len(inside) - 23, 24))]


@pytest.mark.parametrize("kind", ["file", "tpm"])
def test_the_key_is_neither_on_the_wire_nor_on_the_boot_partition(
    tmp_path: Path, town: ApprovingServer, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "tpm":
        if missing():
            pytest.skip(missing())
        tpm = Tpm(tmp_path / "tpm")
        for name, value in tpm.env.items():
            monkeypatch.setenv(name, value)
    relay = TlsRelay(town.port)
    try:
        town.door = relay.port
        root = town.card(tmp_path / "box", "gw-0001")
        claim, found, boot = claim_of(root), [], b""
        for when, verb in ((START, "run"), (START + timedelta(days=61), "renew")):
            town.now = when
            done = traced_process.awake(root, verb)
            assert done.code == 0, done
            boot += everything(root / "boot")
            pem = (root / "state/current/key.pem").read_bytes()
            assert (keys.TPM_HEADER in pem) == (kind == "tpm")
            found += wrapped(pem) if kind == "tpm" else forms(pem)
        assert wrong(root, claim.code, older=True) == []
    finally:
        relay.close()
        if kind == "tpm":
            tpm.close()

    plain = b"".join(TappedSocket.plain)
    assert plain.count(b"HTTP/1.1\r\n") == plain.count(b"/.well-known/est/") >= 4
    assert b"Kerbstone-Claim: " in plain, "it was decrypted"
    assert claim.code.encode() in decoded(plain)
    assert claim.code.encode() not in decoded(relay.wire), "the claim's code is not to be seen"
    assert len(relay.wire) > 3 * len(plain) > 3000
    for name, heard in {
        "server": decoded(plain),
        "wire": relay.wire,
        "boot": decoded(boot),
    }.items():
        assert [form for form in found if form in heard] == [], name


def public(town: ApprovingServer, card: Path) -> list[bytes]:
    """What anybody may know: of the city, of a third box, and what every key looks like."""
    form = ec.generate_private_key(ec.SECP256R1())
    pem = form.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    reported = [
        re.sub(rb'code = "[A-Z2-7]+"', b'code = ""', data)
        for name, data in tree(card).items()
        if not name.endswith("key.pem")
    ]
    return [town.home.ca.read_bytes(), pem, *reported]


def test_two_boxes_share_no_secret_neither_as_cards_nor_enrolled(
    tmp_path: Path, town: ApprovingServer
) -> None:
    one, other, third = (town.card(tmp_path / f"box-{n}", f"gw-{n:04}") for n in (1, 2, 3))
    known = public(town, third)
    assert shared(tree(one).values(), tree(other).values(), known) == set()
    for root in (one, other, third):
        assert traced_process.awake(root, "run").code == 0
    known += public(town, third)
    assert shared(tree(one).values(), tree(other).values(), known) == set()
    secret = (one / "state/current/key.pem").read_bytes()
    found = shared(tree(one).values(), [*tree(other).values(), b"hidden here: " + secret], known)
    assert forms(secret)[0][8:24] in found, "the same key in both would be found"
