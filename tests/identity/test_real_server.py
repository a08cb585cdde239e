"""A box and the real server: claims that are not good, and a server that is away for days.

What the box shows is read from its status file; nobody waits, for the box's time is virtual.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.identity import httpsclient
from edge.identity.claim import CLAIM_NAME
from edge.identity.statefolder import StateFolder
from tests.identity import card
from tests.identity.city import EnrolmentCity
from tests.identity.enrolling_box import DAY_S, EnrollingGateway, NappingClock, date
from tests.identity.real_server import ApprovingServer, claim_of
from tests.kit.enrolment import START


@pytest.fixture
def town(tmp_path: Path) -> Iterator[ApprovingServer]:
    made = ApprovingServer(tmp_path)
    made.start()
    yield made
    made.close()


def boxed(town: ApprovingServer, root: Path, gateway: str = "gw-0001") -> EnrollingGateway:
    made = EnrollingGateway(town.card(root, gateway), EnrolmentCity(), NappingClock(date(1970)))
    made.ask = httpsclient.https_request
    return made


def reported(box: EnrollingGateway, then: Callable[[], None]) -> str:
    """What it says at its first pause, where somebody does `then`; it is enrolled in the end."""
    said: list[str] = []

    def pause() -> None:
        if not said:
            said.append(box.status)
            then()

    box.clock.then = pause
    assert box.power().run() == "enrolled"
    return said[0]


def test_a_claim_that_another_box_has_used(tmp_path: Path, town: ApprovingServer) -> None:
    first, second = boxed(town, tmp_path / "1"), boxed(town, tmp_path / "2")
    used = (first.boot / CLAIM_NAME).read_bytes()
    second.insert(used)
    assert first.power().run() == "enrolled"
    said = reported(second, lambda: second.insert(town.claim(gateway="gw-0001", role="other")))
    assert "refused (409)" in said
    assert "another box has used this claim" in said
    assert len(second.clock.naps) <= 3


def test_a_box_that_was_reset_cannot_use_its_claim_again(
    tmp_path: Path, town: ApprovingServer
) -> None:
    box = boxed(town, tmp_path / "1")
    used = (box.boot / CLAIM_NAME).read_bytes()
    assert box.power().run() == "enrolled"
    StateFolder(box.state).forget()
    box.insert(used)
    said = reported(box, lambda: box.insert(town.claim(gateway="gw-0001")))
    assert "refused (409)" in said


def test_a_claim_that_has_expired(tmp_path: Path, town: ApprovingServer) -> None:
    box = boxed(town, tmp_path / "1")
    town.now = START + timedelta(days=29)
    said = reported(box, lambda: box.insert(town.claim(gateway="gw-0001")))
    assert "refused (410)" in said
    assert "expired" in said


def test_a_claim_that_was_altered_goes_nowhere(tmp_path: Path, town: ApprovingServer) -> None:
    box = boxed(town, tmp_path / "1")
    whole = (box.boot / CLAIM_NAME).read_bytes()
    box.insert(whole.replace(b'site = "s17"', b'site = "s18"'))
    assert box.power().run() == "bad claim"
    assert "altered" in box.status
    assert not any("simpleenroll" in line for line in town.log)
    box.insert(whole)
    assert box.power().run() == "enrolled"


def test_a_claim_that_a_stranger_has_signed(tmp_path: Path, town: ApprovingServer) -> None:
    box, stranger = boxed(town, tmp_path / "1"), Ed25519PrivateKey.generate()
    box.insert(town.claim(gateway="gw-0001", key=stranger))
    said = reported(box, lambda: box.insert(town.claim(gateway="gw-0001")))
    assert "refused (401)" in said
    assert "does not know the key that signed this claim" in said


def test_a_claim_for_a_site_that_its_operator_has_not(
    tmp_path: Path, town: ApprovingServer
) -> None:
    policy = town.home.policy_file
    policy.write_text(policy.read_text().replace('sites = ["*"]', 'sites = ["s17"]'))
    town.close()
    town.start()
    box = boxed(town, tmp_path / "1")
    box.insert(town.claim(gateway="gw-0001", site="s18"))
    said = reported(box, lambda: box.insert(town.claim(gateway="gw-0001")))
    assert "refused (403)" in said
    assert "s18" in said


def test_a_server_that_is_away_for_three_days(tmp_path: Path, town: ApprovingServer) -> None:
    box = boxed(town, tmp_path / "1")
    code = claim_of(box.root).code
    town.close()
    said: list[str] = []

    def pause() -> None:
        said.append(box.status)
        if box.clock.now_s >= 3 * DAY_S and len(back) == 0:
            back.append(box.clock.now_s)
            town.now += timedelta(days=3)
            town.start()

    back: list[float] = []
    box.clock.then = pause
    assert box.power().run() == "enrolled"
    assert 72 <= len(said) <= 180
    assert "Connection refused" in said[-2]
    assert "3 days of running" in said[-2] or "2 days of running" in said[-2]
    assert box.clock.now_s - back[0] < 3600 + 60, "and it is found within the hour"
    assert card.wrong(box.root, code) == []


def test_a_box_that_was_dark_for_three_days_while_it_waited(
    tmp_path: Path, town: ApprovingServer
) -> None:
    town.patient = frozenset({"gw-0001"})
    box = boxed(town, tmp_path / "1")
    claim = claim_of(box.root)

    class Off(BaseException):
        pass

    def off() -> None:
        raise Off

    box.clock.then = off
    with pytest.raises(Off):
        box.power().run()
    key = StateFolder(box.state).next_key(False).spki()
    town.approve("gw-0001")
    town.now += timedelta(days=3)
    box.clock.set_wall(date(2040))
    box.clock.then = lambda: None
    assert box.power().run() == "enrolled"
    (only,) = town.issued(claim)
    assert only.spki == key, "the one that was approved"
