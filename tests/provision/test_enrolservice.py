"""A box gets its identity, through real HTTPS: and what is refused, to whom."""

import base64
import json
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID

from edge.identity.names import comparison_code
from edge.provision import approvals
from tests.kit.enrolment import START, DeviceKey, EnrolmentServer, spki


def test_a_box_waits_for_approval_and_then_has_its_certificate(world: EnrolmentServer) -> None:
    box, claim = DeviceKey(), world.claim()
    first = world.enrol(claim, box.csr())
    assert first.status == 202
    assert int(first.headers["Retry-After"]) > 0
    assert world.running
    (row,) = world.running.store.pending()
    code = comparison_code(spki(box.key.public_key()))
    assert approvals.request_map(row)["code"] == code
    assert code in json.loads(first.body)["detail"]

    world.approve("gw-17", code.lower())
    reply = world.enrol(claim, box.csr())
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/pkcs7-mime; smime-type=certs-only"
    made = reply.certificate
    assert made.public_key() == box.key.public_key()
    assert made.subject.rfc4514_string() == "CN=gw-17"
    san = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(san) == [x509.UniformResourceIdentifier("urn:kerbstone:gw:gw-17")]
    life = made.not_valid_after_utc - made.not_valid_before_utc
    assert 90 <= life.total_seconds() / 86400 < 90.1
    assert made.not_valid_before_utc < START


def test_the_same_key_gets_its_certificate_again_and_no_second_one(world: EnrolmentServer) -> None:
    box = DeviceKey()
    claim, certificate, _ = world.enrolled(box)
    world.pass_days(40)  # after the claim's end
    assert world.enrol(claim, box.csr()).certificate == certificate


def test_another_key_is_refused_whether_the_claim_waits_or_gave_a_certificate(
    world: EnrolmentServer,
) -> None:
    box, claim = DeviceKey(), world.claim()
    assert world.enrol(claim, box.csr()).status == 202
    assert world.enrol(claim, DeviceKey().csr()).status == 409
    world.approve("gw-17")
    assert world.enrol(claim, box.csr()).status == 200
    thief = world.enrol(claim, DeviceKey().csr())
    assert (thief.status, thief.code) == (409, "used")


def test_a_claim_ends(world: EnrolmentServer) -> None:
    claim = world.claim(days=2)
    world.pass_days(2)
    reply = world.enrol(claim, DeviceKey().csr())
    assert (reply.status, reply.code) == (410, "expired")


def test_a_claim_used_in_time_may_be_approved_later(world: EnrolmentServer) -> None:
    claim, box = world.claim(days=2), DeviceKey()
    assert world.enrol(claim, box.csr()).status == 202
    world.pass_days(20)
    world.approve("gw-17")
    assert world.enrol(claim, box.csr()).status == 200


def test_a_certificate_that_ended_is_not_had_again_with_the_claim(world: EnrolmentServer) -> None:
    box = DeviceKey()
    claim, _, _ = world.enrolled(box)
    world.pass_days(91)
    assert world.enrol(claim, box.csr()).code == "expired"


def test_an_altered_claim_is_refused_and_leaves_no_trace(world: EnrolmentServer) -> None:
    claim = world.claim()
    for old, new in ((b"s17", b"s18"), (b"gw-17", b"gw-18"), (b"2026-12", b"2036-12")):
        reply = world.enrol(claim.replace(old, new), DeviceKey().csr())
        assert (reply.status, reply.code) == (401, "unknown")
    assert world.running
    assert world.running.store.pending() == []


@pytest.mark.parametrize("length", [0, 1, 100, -1, -20, -90, -91])
def test_a_torn_claim_is_refused(world: EnrolmentServer, length: int) -> None:
    claim = world.claim()
    assert world.enrol(claim[:length], DeviceKey().csr()).status in (400, 401)


def test_an_operator_whom_nobody_knows_is_refused(world: EnrolmentServer) -> None:
    reply = world.enrol(world.claim(key=Ed25519PrivateKey.generate()), DeviceKey().csr())
    assert (reply.status, reply.code) == (401, "unknown")


def test_an_operator_claims_for_his_sites_only(world: EnrolmentServer) -> None:
    text = world.home.policy_file.read_text()
    world.home.policy_file.write_text(text.replace('["*"]', '["s18"]'))
    world.close()
    world.start()
    assert world.enrol(world.claim(site="s17"), DeviceKey().csr()).code == "forbidden"
    assert world.enrol(world.claim(site="s18"), DeviceKey().csr()).status == 202


@pytest.mark.parametrize("name", ["gw-18", "gw/+", "#", "", "GW-17", "gw-17\n", "*"])
def test_a_request_for_another_name_is_refused(world: EnrolmentServer, name: str) -> None:
    csr = DeviceKey(name or "x").csr(name=name) if name else _nameless()
    reply = world.enrol(world.claim(), csr)
    assert (reply.status, reply.code) == (403, "forbidden")


@pytest.mark.parametrize(
    "wanted",
    [x509.DNSName("broker"), x509.UniformResourceIdentifier("urn:kerbstone:gw:gw-18")],
    ids=str,
)
def test_alternative_names_of_others_are_refused(
    world: EnrolmentServer, wanted: x509.GeneralName
) -> None:
    csr = DeviceKey().csr(x509.SubjectAlternativeName([wanted]))
    assert world.enrol(world.claim(), csr).status == 403


def test_who_asks_to_be_a_ca_or_a_server_gets_none_of_it(world: EnrolmentServer) -> None:
    box, claim = DeviceKey(), world.claim()
    csr = box.csr(
        x509.BasicConstraints(ca=True, path_length=3),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
    )
    assert world.enrol(claim, csr).status == 202
    world.approve("gw-17")
    extensions = world.enrol(claim, csr).certificate.extensions
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    keys = extensions.get_extension_for_class(x509.KeyUsage).value
    assert keys.digital_signature
    assert not keys.key_cert_sign
    assert not keys.crl_sign


def test_a_request_that_its_own_key_did_not_sign_is_refused(world: EnrolmentServer) -> None:
    good = bytearray(DeviceKey().csr())
    good[-1] ^= 1
    reply = world.enrol(world.claim(), bytes(good))
    assert (reply.status, reply.code) == (400, "malformed")


def test_a_weak_key_is_refused(world: EnrolmentServer) -> None:
    box = DeviceKey(key=ec.generate_private_key(ec.SECP224R1()))
    assert world.enrol(world.claim(), box.csr()).status == 400


def test_a_wrong_comparison_code_approves_nothing(world: EnrolmentServer) -> None:
    claim, box = world.claim(), DeviceKey()
    world.enrol(claim, box.csr())
    with pytest.raises(approvals.CodeMismatchError, match="do not approve"):
        world.approve("gw-17", "AAAA-AAAA")
    assert world.enrol(claim, box.csr()).status == 202


def test_a_refused_claim_gives_nothing(world: EnrolmentServer) -> None:
    claim, box = world.claim(), DeviceKey()
    world.enrol(claim, box.csr())
    world.revoke("gw-17")
    assert world.enrol(claim, box.csr()).code == "revoked"


def test_a_site_s_role_moves_to_the_new_box(world: EnrolmentServer) -> None:
    old, new = DeviceKey("gw-17"), DeviceKey("gw-99")
    old_claim, first, identity = world.enrolled(old)
    _, other, _ = world.enrolled(DeviceKey("gw-5"), role="counter")  # the same site, another role
    claim = world.claim(gateway="gw-99")
    world.enrol(claim, new.csr())
    assert world.enrol(old_claim, old.csr()).status == 200, "until the operator has approved"
    done = world.approve("gw-99")
    assert [each.serial for each in done.revoked] == [first.serial_number]
    assert world.enrol(claim, new.csr()).status == 200
    assert world.enrol(old_claim, old.csr()).code == "revoked"
    assert world.renew(identity, old.csr()).code == "revoked"
    crl = x509.load_pem_x509_crl(world.home.crl.read_bytes())
    assert crl.get_revoked_certificate_by_serial_number(first.serial_number)
    assert not crl.get_revoked_certificate_by_serial_number(other.serial_number)


def test_what_was_approved_and_never_fetched_is_replaced_too(world: EnrolmentServer) -> None:
    first, second = world.claim(), world.claim(gateway="gw-99")
    old, new = DeviceKey(), DeviceKey("gw-99")
    world.enrol(first, old.csr())
    world.enrol(second, new.csr())
    world.approve("gw-17")
    world.approve("gw-99")
    assert world.enrol(first, old.csr()).code == "revoked"
    assert world.enrol(second, new.csr()).status == 200


def test_two_claims_with_one_number_are_not_mixed_up(world: EnrolmentServer) -> None:
    from edge.identity.claim import parse_claim, sign_claim

    claim, box = world.claim(), DeviceKey()
    assert world.enrol(claim, box.csr()).status == 202
    import msgspec

    twin = sign_claim(msgspec.structs.replace(parse_claim(claim), role="other"), world.operator)
    assert world.enrol(twin, box.csr()).status == 409


def test_the_server_s_certificate_is_no_identity(world: EnrolmentServer, tmp_path: object) -> None:
    both = world.folder / "server-as-client.pem"
    both.write_bytes(world.home.server_key.read_bytes() + world.home.server.read_bytes())
    with pytest.raises(OSError):
        world.renew(both, DeviceKey().csr())


def test_a_store_outlives_the_server(world: EnrolmentServer) -> None:
    box = DeviceKey()
    claim, certificate, _ = world.enrolled(box)
    world.close()
    world.start()
    assert world.enrol(claim, box.csr()).certificate == certificate


def test_the_code_of_a_claim_is_in_no_log(world: EnrolmentServer) -> None:
    claim, box = world.claim(), DeviceKey()
    world.enrol(claim, box.csr())
    code = claim.split(b'code = "')[1][:26].decode()
    assert world.log
    assert not any(code in line for line in world.log)
    assert base64.b64encode(claim)[:40].decode() not in "".join(world.log)


def _nameless() -> bytes:
    from cryptography.hazmat.primitives import hashes, serialization

    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    made = builder.sign(replace(DeviceKey()).key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.DER)
