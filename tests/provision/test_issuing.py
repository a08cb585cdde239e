"""Brokers and the city's programs: certificates without a claim, from the CA of the boxes."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from edge.core import ConfigError
from edge.provision import issuing
from edge.provision.enroldatabase import APPLICATION_ID, USER_VERSION
from edge.provision.gatewaystore import GatewayStore
from edge.provision.issuing import IssueRequest, IssueResult
from edge.provision.registry import NamedKind
from tests.kit.enrolment import PEM, DeviceKey, EnrolmentServer

HOSTS = ("broker.city.example", "192.0.2.10")
BROKER = IssueRequest(NamedKind.BROKER, "mq-1", HOSTS)
PLATFORM = IssueRequest(NamedKind.PLATFORM, "platform-2")


def issue(world: EnrolmentServer, wanted: IssueRequest) -> IssueResult:
    assert world.running
    out = world.folder / "out"
    out.mkdir(exist_ok=True)
    who = world.home.authority()
    return issuing.issue_certificate(world.home, world.running.store, who, wanted, out, world.now)


def revoke(world: EnrolmentServer, name: str) -> list[int]:
    assert world.running
    store = world.running.store
    ended = issuing.revoke_named(world.home, store, name, "keyCompromise", world.now)
    return [each.serial for each in ended]


def certificate(world: EnrolmentServer, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((world.folder / f"out/{name}.crt").read_bytes())


def request(
    world: EnrolmentServer, name: str, *extensions: x509.ExtensionType, box: DeviceKey | None = None
) -> Path:
    path = world.folder / f"{name}.csr"
    path.write_bytes((box or DeviceKey()).csr(*extensions, name=name))
    return path


def usage(made: x509.Certificate) -> list[x509.ObjectIdentifier]:
    return list(made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def alternatives(made: x509.Certificate) -> Sequence[str]:
    found = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(each.value) for each in found]


def test_a_broker_is_a_server_and_a_program_is_a_client_of_the_same_ca(
    world: EnrolmentServer,
) -> None:
    issue(world, BROKER)
    issue(world, PLATFORM)
    ca = x509.load_pem_x509_certificate(world.home.ca.read_bytes())
    assert (world.folder / "out/ca.crt").read_bytes() == world.home.ca.read_bytes()
    broker, program = certificate(world, "mq-1"), certificate(world, "platform-2")
    for made, name in ((broker, "mq-1"), (program, "platform-2")):
        made.verify_directly_issued_by(ca)
        assert made.subject.rfc4514_string() == f"CN={name}"
        key = load_pem_private_key((world.folder / f"out/{name}.key").read_bytes(), None)
        assert key.public_key() == made.public_key()
    assert usage(broker) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert usage(program) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert alternatives(broker) == list(HOSTS)
    with pytest.raises(x509.ExtensionNotFound):
        alternatives(program)


def test_the_key_is_its_owner_s_and_the_server_has_no_copy(world: EnrolmentServer) -> None:
    path = next(each for each in issue(world, BROKER).written if each.suffix == ".key")
    assert path.stat().st_mode & 0o777 == 0o600
    key = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    secret = key.private_numbers().private_value.to_bytes(32, "big")
    body = path.read_bytes().splitlines()[1]
    for each in world.home.folder.rglob("*"):
        assert secret not in each.read_bytes(), each
        assert body not in each.read_bytes(), each


@pytest.mark.parametrize("inside", [".", "configs"])
def test_no_key_is_written_into_the_server_s_folder(world: EnrolmentServer, inside: str) -> None:
    assert world.running
    world.home.configs.mkdir()
    who, out = world.home.authority(), world.home.folder / inside
    with pytest.raises(ConfigError, match="another --out"):
        issuing.issue_certificate(world.home, world.running.store, who, BROKER, out, world.now)
    assert world.running.store.registry.live() == []


def test_of_a_request_the_key_counts_and_no_wish(world: EnrolmentServer) -> None:
    box = DeviceKey()
    wishes = (
        x509.BasicConstraints(ca=True, path_length=3),
        x509.SubjectAlternativeName([x509.DNSName("other.example")]),
    )
    done = issue(world, replace(BROKER, csr=request(world, "mq-1", *wishes, box=box)))
    assert not [each for each in done.written if each.suffix == ".key"]
    made = certificate(world, "mq-1")
    assert made.public_key() == box.key.public_key()
    assert alternatives(made) == list(HOSTS)
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_request_of_another_or_of_nobody_is_refused(world: EnrolmentServer) -> None:
    torn = world.folder / "torn.csr"
    torn.write_bytes(DeviceKey().csr(name="mq-1")[:-9])
    for path, word in ((request(world, "mq-2"), "common name"), (torn, "PKCS#10")):
        with pytest.raises(ConfigError, match=word):
            issue(world, replace(BROKER, csr=path))


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        *((replace(BROKER, name=name), "name has") for name in ("a", "MQ-1", "../x", "mq/1", "")),
        (replace(BROKER, name="platform-3"), "name has"),
        *(
            (replace(PLATFORM, name=name), "is called")
            for name in ("mq-1", "Platform", "platform/x")
        ),
        (replace(BROKER, hosts=()), "--dns, --ip"),
        (replace(BROKER, hosts=("broker city",)), "neither a host name"),
        (replace(PLATFORM, hosts=HOSTS), "is a client"),
    ],
)
def test_what_has_no_name_or_no_place_gets_nothing(
    world: EnrolmentServer, wanted: IssueRequest, word: str
) -> None:
    assert world.running
    with pytest.raises(ConfigError, match=word):
        issue(world, wanted)
    assert world.running.store.registry.live() == []


def test_no_box_has_a_broker_s_name_and_no_broker_a_box_s(world: EnrolmentServer) -> None:
    issue(world, BROKER)
    reply = world.enrol(world.claim(gateway="mq-1"), DeviceKey("mq-1").csr())
    assert (reply.status, reply.code) == (403, "forbidden")
    world.enrolled(DeviceKey("gw-17"))
    with pytest.raises(ConfigError, match="a box has the name gw-17"):
        issue(world, replace(BROKER, name="gw-17"))


def test_who_renews_has_both_until_all_are_revoked(world: EnrolmentServer) -> None:
    assert world.running
    first = issue(world, PLATFORM).named
    second = issue(world, PLATFORM).named
    assert first.serial != second.serial
    assert certificate(world, "platform-2").serial_number == second.serial
    assert [each.serial for each in issuing.newest_by_name(world.running.store)] == [second.serial]
    assert not _listed(world, first.serial), "what is in use goes on until it is replaced"
    assert revoke(world, "platform-2") == [first.serial, second.serial]
    assert _listed(world, first.serial)
    assert _listed(world, second.serial)
    assert issuing.newest_by_name(world.running.store) == []
    third = issue(world, PLATFORM).named
    assert not _listed(world, third.serial)


def test_a_revoked_key_does_not_come_back_with_a_request(world: EnrolmentServer) -> None:
    wanted = replace(PLATFORM, csr=request(world, "platform-2", box=DeviceKey()))
    issue(world, wanted)
    revoke(world, "platform-2")
    with pytest.raises(ConfigError, match="was revoked: make"):
        issue(world, wanted)


def test_revoking_a_box_and_a_broker_ends_in_one_list(world: EnrolmentServer) -> None:
    _, box, _ = world.enrolled(DeviceKey())
    broker = issue(world, BROKER).named
    world.revoke("gw-17")
    revoke(world, "mq-1")
    assert _listed(world, box.serial_number)
    assert _listed(world, broker.serial)
    assert len(x509.load_pem_x509_crl(world.home.crl.read_bytes())) == 2


def test_a_program_s_certificate_is_no_identity_of_a_box(world: EnrolmentServer) -> None:
    issue(world, PLATFORM)
    out = world.folder / "out"
    both = world.folder / "both.pem"
    both.write_bytes((out / "platform-2.key").read_bytes() + (out / "platform-2.crt").read_bytes())
    assert world.renew(both, DeviceKey("platform-2").csr()).code == "unknown"
    assert world.ask("config", identity=both).code == "unknown"


def test_a_foreign_database_and_one_of_a_later_version_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with sqlite3.connect(path) as db:
        db.executescript("CREATE TABLE x (y); PRAGMA user_version = 1")
    db.close()
    with pytest.raises(ConfigError, match=r"store\.db is not the database of an enrolment server"):
        GatewayStore(path)
    with sqlite3.connect(path) as db:
        db.executescript(
            f"PRAGMA application_id = {APPLICATION_ID};PRAGMA user_version = {USER_VERSION + 1}"
        )
    db.close()
    with pytest.raises(ConfigError, match=rf"in format {USER_VERSION + 1}\. This version reads"):
        GatewayStore(path)


def test_the_request_s_own_text_is_read_from_pem_too(world: EnrolmentServer) -> None:
    path = request(world, "platform-2")
    path.write_bytes(x509.load_der_x509_csr(path.read_bytes()).public_bytes(PEM))
    assert issue(world, replace(PLATFORM, csr=path)).named.kind is NamedKind.PLATFORM


def _listed(world: EnrolmentServer, serial: int) -> bool:
    crl = x509.load_pem_x509_crl(world.home.crl.read_bytes())
    return crl.get_revoked_certificate_by_serial_number(serial) is not None
