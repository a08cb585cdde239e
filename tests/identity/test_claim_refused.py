"""Claims that are refused, and answers that are not for us: said, not taken, and asked again."""

import base64
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from edge.identity.claim import CLAIM_NAME
from edge.identity.statefolder import StateFolder
from tests.identity.city import NOW, Answer, CityAuthority, EnrolmentCity, spki
from tests.identity.enrolling_box import EnrollingGateway


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"expires": "2026-11-01T00:00:00Z"}, 410),
        ({"site": "elsewhere"}, 403),
    ],
)
def test_a_claim_that_is_refused_is_said_and_another_one_helps(
    box: EnrollingGateway, changes: dict[str, str], status: int
) -> None:
    box.insert(box.city.claim(1, **changes))
    reported = []

    def help_it() -> None:
        reported.append(box.status)
        if len(box.clock.naps) == 3:
            box.insert(box.city.claim(2))

    box.clock.then = help_it
    assert box.power().run() == "enrolled"
    assert f"refused ({status})" in reported[0]
    assert "write a new claim" in reported[0]
    assert box.clock.naps[0] >= 900
    assert box.wrong() == []


def test_a_claim_that_another_box_has_used_is_said(tmp_path: Path, city: EnrolmentCity) -> None:
    first, second = EnrollingGateway(tmp_path / "1", city), EnrollingGateway(tmp_path / "2", city)
    claim = city.claim()
    first.insert(claim)
    second.insert(claim)
    assert first.power().run() == "enrolled"
    reported = []

    def help_it() -> None:
        reported.append(second.status)
        second.insert(city.claim(2))

    second.clock.then = help_it
    assert second.power().run() == "enrolled"
    assert "refused (409)" in reported[0]


@pytest.mark.parametrize("harm", ["altered", "torn", "empty", "huge", "binary"])
def test_a_damaged_claim_is_refused_and_left_alone(box: EnrollingGateway, harm: str) -> None:
    whole = box.city.claim()
    data = {
        "altered": whole.replace(b"s17", b"s18"),
        "torn": whole[: len(whole) // 2],
        "empty": b"",
        "huge": whole + b"#" * (1 << 20),
        "binary": bytes(range(256)),
    }[harm]
    box.insert(data)
    assert box.power().run() == ("no claim" if harm == "huge" else "bad claim")
    assert (box.boot / CLAIM_NAME).read_bytes() == data
    assert not (box.state / "claim.toml").exists()
    assert box.wire.asked == []


def other(city: EnrolmentCity, kind: str, answer: Answer) -> Answer:
    key = city.issued[-1].public_key()
    stranger = ec.generate_private_key(ec.SECP256R1()).public_key()
    authority = city.authority
    if kind == "somebody else's":
        return city.certificates(authority.gateway("gw-0001", stranger))
    if kind == "another authority's":
        return city.certificates(CityAuthority().gateway("gw-0001", key))
    if kind == "a forged issuer's":
        return city.certificates(CityAuthority("city").gateway("gw-0001", key))
    if kind == "another name":
        return city.certificates(authority.gateway("gw-0002", key))
    if kind == "another URI":
        return city.certificates(authority.gateway("gw-0001", key, uri="urn:kerbstone:gw:gw-0002"))
    if kind == "a server's":
        return city.certificates(authority.server("gw-0001", key))
    if kind == "expired long ago":
        first = NOW - timedelta(days=400)
        return city.certificates(authority.gateway("gw-0001", key, first, first + timedelta(9)))
    if kind == "rubbish":
        return 200, answer[1], base64.b64encode(b"rubbish")
    return 200, {"content-type": "text/html"}, b"<p>Log in to the hotel's network"


@pytest.mark.parametrize(
    "kind",
    ["somebody else's", "another authority's", "a forged issuer's", "another name", "another URI",
     "a server's", "expired long ago", "rubbish", "a hotel's page"],
)  # fmt: skip
def test_a_certificate_that_is_not_ours_is_never_installed(
    box: EnrollingGateway, kind: str
) -> None:
    def change(name: str, answer: Answer) -> Answer:
        wrong = name == "simpleenroll" and len(box.clock.naps) < 3
        return other(box.city, kind, answer) if wrong else answer

    box.wire.changed = change
    box.clock.then = lambda: None if StateFolder(box.state).current() is None else pytest.fail(kind)
    assert box.power().run() == "enrolled"
    assert len(box.clock.naps) == 3
    assert spki(box.city.issued[-1].public_key()).hex() == box.city.used["0000000000000001"]


@pytest.mark.parametrize(
    "kind",
    [
        "stranger",
        "other gateway",
        "other site",
        "rubbish",
        "deep",
        "dotted",
        "many digits",
        "404",
        "deep refusal",
    ],
)
def test_a_configuration_that_is_not_for_us_is_never_kept(box: EnrollingGateway, kind: str) -> None:
    strange = EnrolmentCity(box.city.authority)

    def ours(text: str) -> bytes:
        strange.operator, strange.more = box.city.operator, text
        return strange.config("gw-0001")

    bodies = {
        "stranger": strange.config("gw-0001"),
        "other gateway": box.city.config("gw-0002"),
        "other site": box.city.config("gw-0001", site="s18"),
        "rubbish": b"{",
        "deep": b"[" * 200_000,
        "dotted": ours("a." * 1000 + "a = 1\n"),
        "many digits": ours(f"a = {'1' * 5000}\n"),
        "404": b"",
        "deep refusal": b'{"x": ' + b"[" * 200_000,
    }

    def change(name: str, answer: Answer) -> Answer:
        if name != "config" or len(box.clock.naps) >= 2:
            return answer
        return 404 if kind in ("404", "deep refusal") else 200, {}, bodies[kind]

    def look() -> None:
        assert not (box.state / "site.toml").exists()
        assert (box.boot / CLAIM_NAME).exists(), "the identity has not worked yet"
        assert "configuration" in box.status

    box.wire.changed = change
    box.clock.then = look
    assert box.power().run() == "enrolled"
    assert box.wrong() == []
