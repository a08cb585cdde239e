"""A role belongs to the site: another box takes it, and what the former one did stays known."""

import pytest
from cryptography import x509

from edge.provision import operatordocs
from edge.provision.registry import ClaimState
from tests.kit.enrolment import DeviceKey, EnrolmentServer

SITE = '[site]\nid = "s17"\ngateway = "gw-17"\n'


def listed(world: EnrolmentServer) -> set[int]:
    return {each.serial_number for each in x509.load_pem_x509_crl(world.home.crl.read_bytes())}


@pytest.mark.parametrize("name", ["gw-17", "gw-99"], ids=["same name", "another name"])
def test_a_new_box_for_a_role_ends_all_certificates_of_the_old_one(
    world: EnrolmentServer, name: str
) -> None:
    """Also those it had by renewal; and those of nobody else."""
    _, first, identity = world.enrolled(DeviceKey("gw-17"))
    second = world.renew(identity, DeviceKey("gw-17").csr()).certificate
    _, other, _ = world.enrolled(DeviceKey("gw-5"), role="counter")
    _, elsewhere, _ = world.enrolled(DeviceKey("gw-6"), site="s18")
    assert listed(world) == set()
    _, new, _ = world.enrolled(DeviceKey(name))
    assert listed(world) == {first.serial_number, second.serial_number}
    assert not {each.serial_number for each in (other, elsewhere, new)} & listed(world)


def test_the_reason_in_the_list_is_that_it_was_superseded(world: EnrolmentServer) -> None:
    _, first, _ = world.enrolled(DeviceKey("gw-17"))
    world.enrolled(DeviceKey("gw-99"))
    crl = x509.load_pem_x509_crl(world.home.crl.read_bytes())
    entry = crl.get_revoked_certificate_by_serial_number(first.serial_number)
    assert entry is not None
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is x509.ReasonFlags.superseded


def test_what_the_server_knows_of_a_replaced_box_stays(world: EnrolmentServer) -> None:
    """Its request, its certificates and its signed configuration: for who rescues its card."""
    assert world.running
    store, file = world.running.store, world.folder / "site.toml"
    file.write_text(SITE)
    operatordocs.sign_config(file, "gw-17", world.operator, world.home.configs, world.now)
    config = world.home.config("gw-17")
    _, first, _ = world.enrolled(DeviceKey("gw-17"))
    (before,) = store.find("gw-17")
    world.enrolled(DeviceKey("gw-99"))
    (after,) = store.find("gw-17")
    assert after.state is ClaimState.REPLACED
    assert after._replace(state=before.state, decided_at=before.decided_at) == before
    (issued,) = store.certificates(before.claim)
    assert x509.load_der_x509_certificate(issued.der) == first
    assert world.home.config("gw-17") == config is not None


def test_the_replaced_box_cannot_take_the_role_back_without_a_new_claim(
    world: EnrolmentServer,
) -> None:
    claim, _, identity = world.enrolled(DeviceKey("gw-17"))
    world.enrolled(DeviceKey("gw-99"))
    assert world.enrol(claim, DeviceKey("gw-17").csr()).code == "used"
    assert world.renew(identity, DeviceKey("gw-17").csr()).code == "revoked"
    _, back, _ = world.enrolled(DeviceKey("gw-17"))
    assert back.serial_number not in listed(world), "with a new one an operator has decided"
    assert len(listed(world)) == 2


def test_a_box_of_another_site_is_not_taken_over_by_its_name(world: EnrolmentServer) -> None:
    world.enrolled(DeviceKey("gw-17"))
    other = DeviceKey("gw-17")
    reply = world.enrol(world.claim(site="s18", gateway="gw-17"), other.csr())
    assert (reply.status, reply.code) == (403, "forbidden")
    assert "a box at site s17" in reply.body.decode()
    world.revoke("gw-17")
    assert world.enrol(world.claim(site="s18", gateway="gw-17"), other.csr()).status == 202
