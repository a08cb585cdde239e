"""The certificates of a rig's broker: one that a box takes, and one that it refuses."""

import ssl

import pytest

from edge.rig.brokercertificates import (
    BrokerCertificate,
    BrokerCertificates,
    make_broker_certificates,
)

ADDRESS = "10.0.2.2"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> BrokerCertificates:
    return make_broker_certificates(tmp_path_factory.mktemp("certificates"), ADDRESS)


def shaken(files: BrokerCertificates, shown: BrokerCertificate, address: str = ADDRESS) -> None:
    """A handshake within this process. Raises ssl.SSLError."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(shown.certificate, shown.key)
    client = ssl.create_default_context(cafile=str(files.authority))
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    box = client.wrap_bio(down, up, server_hostname=address)
    broker = server.wrap_bio(up, down, server_side=True)
    done = set[str]()
    while len(done) < 2:
        for name, side in (("box", box), ("broker", broker)):
            try:
                side.do_handshake()
                done.add(name)
            except ssl.SSLWantReadError:
                continue


def test_a_box_takes_the_right_one(files: BrokerCertificates) -> None:
    shaken(files, files.right)


def test_a_box_refuses_the_one_that_has_ended(files: BrokerCertificates) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate has expired"):
        shaken(files, files.ended)


def test_neither_is_for_another_address(files: BrokerCertificates) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shaken(files, files.right, "10.0.2.3")


def test_its_key_is_for_nobody_else(files: BrokerCertificates) -> None:
    for one in (files.right, files.ended):
        assert one.key.stat().st_mode & 0o077 == 0
