"""A box with a certificate: renewal, its end, revocation, its configuration."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from edge.provision import approvals, authority, operatordocs
from edge.provision.enrolservice import CERTIFICATES_A_DAY
from edge.provision.serverprocess import FRESH_S, LOOK_S, CrlPublisher
from tests.kit.enrolment import PEM, DeviceKey, EnrolmentServer

SITE = '[site]\nid = "s17"\ngateway = "gw-17"\n'


def test_a_new_key_gets_a_new_certificate_and_the_old_one_stays(world: EnrolmentServer) -> None:
    _, first, identity = world.enrolled(DeviceKey())
    new = DeviceKey()
    reply = world.renew(identity, new.csr())
    assert reply.status == 200
    assert reply.certificate.public_key() == new.key.public_key()
    assert reply.certificate.serial_number != first.serial_number
    assert world.renew(identity, new.csr()).certificate == reply.certificate, "sent again"
    assert world.renew(identity, DeviceKey().csr()).status == 200, "the old one still counts"


def test_the_same_key_gets_a_longer_certificate_when_it_is_time(world: EnrolmentServer) -> None:
    box = DeviceKey()
    _, first, identity = world.enrolled(box)
    world.pass_days(59)
    assert world.renew(identity, box.csr()).certificate == first
    world.pass_days(2)
    later = world.renew(identity, box.csr()).certificate
    assert later.not_valid_after_utc == first.not_valid_after_utc + timedelta(days=61)


@pytest.mark.parametrize(
    ("days", "status"), [(89, 200), (91, 200), (119.9, 200), (120.1, 410), (4000, 410)]
)
def test_an_expired_identity_renews_for_thirty_days(
    world: EnrolmentServer, days: float, status: int
) -> None:
    _, _, identity = world.enrolled(DeviceKey())
    world.pass_days(days)
    assert world.renew(identity, DeviceKey().csr()).status == status


def test_an_expired_identity_gets_no_configuration_before_it_renews(world: EnrolmentServer) -> None:
    _, _, identity = world.enrolled(DeviceKey())
    world.pass_days(91)
    assert world.ask("config", identity=identity).code == "expired"


def test_a_revoked_identity_gets_nothing(world: EnrolmentServer) -> None:
    box = DeviceKey()
    claim, first, identity = world.enrolled(box)
    renewed = DeviceKey()
    second = world.renew(identity, renewed.csr()).certificate
    done = world.revoke("gw-17")
    assert {each.serial for each in done.revoked} == {first.serial_number, second.serial_number}
    assert world.renew(identity, DeviceKey().csr()).code == "revoked"
    assert world.ask("config", identity=identity).code == "revoked"
    assert world.renew(renewed.identity(world.folder, second), DeviceKey().csr()).code == "revoked"
    assert world.enrol(claim, box.csr()).code == "revoked"
    crl = x509.load_pem_x509_crl(world.home.crl.read_bytes())
    found = crl.get_revoked_certificate_by_serial_number(second.serial_number)
    assert found is not None
    reason = found.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is x509.ReasonFlags.key_compromise


def test_without_a_certificate_there_is_no_renewal_and_no_configuration(
    world: EnrolmentServer,
) -> None:
    assert world.ask("simplereenroll", base64.b64encode(DeviceKey().csr())).code == "unknown"
    assert world.ask("config").status == 401


def test_a_certificate_of_another_ca_ends_in_the_handshake(world: EnrolmentServer) -> None:
    other, box = (
        authority.create_authority("Test CA", datetime(2026, 12, 1, tzinfo=UTC)),
        DeviceKey(),
    )
    now = datetime(2026, 12, 1, tzinfo=UTC)
    forged = other.gateway("gw-17", box.key.public_key(), now)
    with pytest.raises(OSError):
        world.renew(box.identity(world.folder, forged), box.csr())


def test_a_certificate_of_our_ca_that_the_store_does_not_know_is_refused(
    world: EnrolmentServer,
) -> None:
    box = DeviceKey()
    made = world.home.authority().gateway("gw-17", box.key.public_key(), world.now)
    assert world.renew(box.identity(world.folder, made), box.csr()).code == "unknown"


def test_a_box_renews_its_own_name_only(world: EnrolmentServer) -> None:
    _, _, identity = world.enrolled(DeviceKey())
    assert world.renew(identity, DeviceKey("gw-18").csr()).code == "forbidden"


def test_a_box_that_renews_in_a_loop_is_stopped(world: EnrolmentServer) -> None:
    _, _, identity = world.enrolled(DeviceKey())
    got = [world.renew(identity, DeviceKey().csr()).status for _ in range(CERTIFICATES_A_DAY + 1)]
    assert got == [200] * CERTIFICATES_A_DAY + [429]
    world.pass_days(1.1)
    assert world.renew(identity, DeviceKey().csr()).status == 200


def test_a_box_gets_the_configuration_that_an_operator_signed(world: EnrolmentServer) -> None:
    _, _, identity = world.enrolled(DeviceKey())
    assert world.ask("config", identity=identity).status == 404
    file = world.folder / "site.toml"
    file.write_text(SITE)
    operatordocs.sign_config(file, "gw-17", world.operator, world.home.configs, world.now)
    reply = world.ask("config", identity=identity)
    assert reply.status == 200
    said = json.loads(reply.body)
    assert said == {
        "v": 1, "gateway": "gw-17", "config": SITE, "signature": said["signature"],
        "serial": int(world.now.timestamp()),
    }  # fmt: skip
    world.operator.public_key().verify(
        base64.b64decode(said["signature"], validate=True),
        f"kerbstone config {said['serial']}\n{SITE}".encode(),
    )


@pytest.mark.parametrize("data", [b"{", b'{"v": 1}', b"\xff", b"[site]\n", b"[" * 200_000])
def test_what_is_no_signed_configuration_is_not_handed_out(
    world: EnrolmentServer, data: bytes
) -> None:
    _, _, identity = world.enrolled(DeviceKey())
    world.home.configs.mkdir(exist_ok=True)
    (world.home.configs / "gw-17.json").write_bytes(data)
    reply = world.ask("config", identity=identity)
    assert reply.status == 404
    assert b"sign it again" in reply.body


def test_cacerts_gives_the_ca_to_anybody(world: EnrolmentServer) -> None:
    reply = world.ask("cacerts")
    assert reply.certificate == x509.load_pem_x509_certificate(world.home.ca.read_bytes())
    assert reply.headers["Date"] == "Tue, 01 Dec 2026 12:00:00 GMT"


def test_the_crl_is_written_again_each_hour_and_after_a_revocation(world: EnrolmentServer) -> None:
    running = world.running
    assert running is not None
    publisher = CrlPublisher(
        world.home, world.home.policy(), running.store, world.home.authority(),
        world.clock, world.log.append,
    )  # fmt: skip

    def updated() -> object:
        return x509.load_pem_x509_crl(world.home.crl.read_bytes()).last_update_utc

    publisher.tick()
    before = updated()
    world.pass_days(0.1)
    world.clock.passes(LOOK_S * 2)
    publisher.tick()
    assert updated() == before
    world.enrolled(DeviceKey())
    running.store.refuse(running.store.find("gw-17")[0].claim, world.now, "superseded")
    world.clock.passes(LOOK_S * 2)
    publisher.tick()
    assert updated() != before
    before = updated()
    world.pass_days(0.1)
    world.clock.passes(FRESH_S)
    publisher.tick()
    assert updated() != before


def test_a_stick_takes_the_place_of_the_network(world: EnrolmentServer) -> None:
    assert world.running
    stick, box = world.folder / "stick", DeviceKey()
    stick.mkdir()
    (stick / "kerbstone-claim.toml").write_bytes(world.claim())
    (stick / approvals.REQUEST).write_bytes(x509.load_der_x509_csr(box.csr()).public_bytes(PEM))
    store = world.running.store
    with pytest.raises(approvals.CodeMismatchError):
        approvals.sign_offline(world.home, store, stick, "AAAA-AAAA", world.clock)
    assert not (stick / approvals.CERTIFICATE).exists()
    for _ in range(2):  # twice is as good as once
        approvals.sign_offline(world.home, store, stick, None, world.clock)
    made = x509.load_pem_x509_certificate((stick / approvals.CERTIFICATE).read_bytes())
    assert made.public_key() == box.key.public_key()
    made.verify_directly_issued_by(
        x509.load_pem_x509_certificate((stick / approvals.CA_FILE).read_bytes())
    )
    other = DeviceKey()
    (stick / approvals.REQUEST).write_bytes(other.csr())
    with pytest.raises(approvals.OfflineDeniedError, match="another key"):
        approvals.sign_offline(world.home, store, stick, None, world.clock)
