"""First boot against a simulated city: days pass in no time."""

import base64
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from edge.identity.claim import NAME
from edge.identity.names import comparison
from edge.identity.store import Store
from tests.identity.box import DAY_S, Box, JumpingTime, date
from tests.identity.city import CODE, NOW, Answer, Authority, City, spki


@pytest.fixture(scope="module")
def keys() -> City:
    return City()


@pytest.fixture
def city(keys: City) -> City:
    return City(keys.authority, keys.operator)


@pytest.fixture
def box(tmp_path: Path, city: City) -> Box:
    made = Box(tmp_path, city)
    made.insert(city.claim())
    return made


def test_a_claim_becomes_an_identity_and_is_blanked(box: Box) -> None:
    assert box.power().run() == "enrolled"
    assert box.wrong() == []
    used = (box.boot / "kerbstone-claim.used").read_text()
    assert 'gateway = "gw-0001"' in used
    assert CODE not in used
    assert (box.state / "site.toml").read_text() == '[site]\nid = "s17"\ngateway = "gw-0001"\n'
    assert "enrolled" in box.status


def test_without_a_claim_it_says_what_to_do(tmp_path: Path, city: City) -> None:
    box = Box(tmp_path, city)
    assert box.power().run() == "no claim"
    assert NAME in box.status


def test_a_second_start_asks_nobody(box: Box) -> None:
    box.power().run()
    box.wire.asked.clear()
    assert box.power().run() == "enrolled"
    assert box.wire.asked == []


def test_it_waits_for_the_operator_and_shows_the_code(box: Box) -> None:
    box.city.approves = False

    def approve() -> None:
        if len(box.clock.naps) == 100:
            box.city.approves = True
            key = Store(box.state).next_key(False)
            assert comparison(key.spki()) in box.status
            assert "kerbstone provision pending" in box.status

    box.clock.then = approve
    assert box.power().run() == "enrolled"
    assert all(30 <= nap <= 36 for nap in box.clock.naps)
    assert len(set(box.clock.naps)) > 50, "all boxes would come at once"
    waiting = [line for line in box.console if "approval" in line]
    assert len(waiting) == 1, "the console says it once"
    assert box.wrong() == []


def test_a_server_that_is_away_for_three_days_is_asked_seldom_and_found(box: Box) -> None:
    box.wire.down_until_s = 3 * DAY_S
    seen = []
    box.clock.then = lambda: seen.append(box.status)
    assert box.power().run() == "enrolled"
    assert 72 <= len(box.clock.naps) <= 180
    assert box.clock.now_s < 3 * DAY_S + 3600
    assert "Connection refused" in seen[-1]
    assert "3 days" in seen[-1] or "2 days" in seen[-1]
    assert box.wrong() == []


def test_the_time_it_has_waited_survives_restarts(box: Box) -> None:
    box.wire.down_until_s = 3 * DAY_S

    class Off(BaseException):
        pass

    def off() -> None:
        if len(box.clock.naps) % 10 == 9:
            raise Off

    box.clock.then = off
    for _ in range(12):
        with pytest.raises(Off):
            box.power().run()
    hours = box.clock.now_s / 3600
    told = Store(box.state).pending("0000000000000001").waited_s / 3600
    assert hours > 8
    assert told > hours * 0.3  # each start may lose its last naps
    box.clock.then = lambda: None
    assert box.power().run() == "enrolled"


@pytest.mark.parametrize("year", [1970, 2040])
@pytest.mark.parametrize("known", [False, True])
def test_a_wrong_clock_does_not_stop_it(tmp_path: Path, city: City, year: int, known: bool) -> None:
    box = Box(tmp_path, city, JumpingTime(date(year), known))
    box.insert(city.claim())
    assert box.power().run() == "enrolled"
    assert box.wrong() == []
    assert box.renewal().run() == "fine"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"expires": "2026-11-01T00:00:00Z"}, 410),
        ({"site": "elsewhere"}, 403),
    ],
)
def test_a_claim_that_is_refused_is_said_and_another_one_helps(
    box: Box, changes: dict[str, str], status: int
) -> None:
    box.insert(box.city.claim(1, **changes))
    told = []

    def help_it() -> None:
        told.append(box.status)
        if len(box.clock.naps) == 3:
            box.insert(box.city.claim(2))

    box.clock.then = help_it
    assert box.power().run() == "enrolled"
    assert f"refused ({status})" in told[0]
    assert "write a new one" in told[0]
    assert box.clock.naps[0] >= 900
    assert box.wrong() == []


def test_a_claim_that_another_box_has_used_is_said(tmp_path: Path, city: City) -> None:
    first, second = Box(tmp_path / "1", city), Box(tmp_path / "2", city)
    claim = city.claim()
    first.insert(claim)
    second.insert(claim)
    assert first.power().run() == "enrolled"
    told = []

    def help_it() -> None:
        told.append(second.status)
        second.insert(city.claim(2))

    second.clock.then = help_it
    assert second.power().run() == "enrolled"
    assert "refused (409)" in told[0]


@pytest.mark.parametrize("harm", ["altered", "torn", "empty", "huge", "binary"])
def test_a_damaged_claim_is_refused_and_left_alone(box: Box, harm: str) -> None:
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
    assert (box.boot / NAME).read_bytes() == data
    assert not (box.state / "claim.toml").exists()
    assert box.wire.asked == []


def test_a_claim_that_tears_later_is_there_as_a_copy(box: Box) -> None:
    box.city.approves = False

    def tear() -> None:
        box.insert(b"torn")
        box.city.approves = True

    box.clock.then = tear
    assert box.power().run() == "enrolled"
    assert box.wrong() == []


def other(city: City, kind: str, answer: Answer) -> Answer:
    key = city.issued[-1].public_key()
    stranger = ec.generate_private_key(ec.SECP256R1()).public_key()
    authority = city.authority
    if kind == "somebody else's":
        return city.certificates(authority.gateway("gw-0001", stranger))
    if kind == "another authority's":
        return city.certificates(Authority().gateway("gw-0001", key))
    if kind == "a forged issuer's":
        return city.certificates(Authority("city").gateway("gw-0001", key))
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
def test_a_certificate_that_is_not_ours_is_never_installed(box: Box, kind: str) -> None:
    def change(name: str, answer: Answer) -> Answer:
        wrong = name == "simpleenroll" and len(box.clock.naps) < 3
        return other(box.city, kind, answer) if wrong else answer

    box.wire.changed = change
    box.clock.then = lambda: None if Store(box.state).current() is None else pytest.fail(kind)
    assert box.power().run() == "enrolled"
    assert len(box.clock.naps) == 3
    assert spki(box.city.issued[-1].public_key()).hex() == box.city.used["0000000000000001"]


@pytest.mark.parametrize("kind", ["stranger", "other gateway", "other site", "rubbish", "404"])
def test_a_configuration_that_is_not_for_us_is_never_kept(box: Box, kind: str) -> None:
    strange = City(box.city.authority)
    bodies = {
        "stranger": strange.config("gw-0001"),
        "other gateway": box.city.config("gw-0002"),
        "other site": box.city.config("gw-0001", site="s18"),
        "rubbish": b"{",
        "404": b"",
    }

    def change(name: str, answer: Answer) -> Answer:
        if name != "config" or len(box.clock.naps) >= 2:
            return answer
        return 404 if kind == "404" else 200, {}, bodies[kind]

    def look() -> None:
        assert not (box.state / "site.toml").exists()
        assert (box.boot / NAME).exists(), "the identity has not worked yet"
        assert "configuration" in box.status

    box.wire.changed = change
    box.clock.then = look
    assert box.power().run() == "enrolled"
    assert box.wrong() == []


def test_a_boot_partition_that_cannot_be_written_does_not_stop_it(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    def readonly(path: Path, data: bytes, mode: int = 0o600) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("edge.identity.boot.files.overwrite", readonly)
    assert box.power().run() == "enrolled"
    assert "delete kerbstone-claim.toml" in box.status
    assert (box.state / "claim.toml").exists(), "it is tried again at the next start"
    monkeypatch.undo()
    assert box.power().run() == "enrolled"
    assert box.wrong() == []


def test_a_new_claim_on_an_enrolled_box_is_left_alone_and_said(box: Box) -> None:
    box.power().run()
    box.insert(box.city.claim(2))
    assert box.power().run() == "enrolled"
    assert "forget" in box.status
    assert (box.boot / NAME).read_bytes() == box.city.claim(2)
