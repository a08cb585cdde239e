"""A site file goes from the box to the operator and comes back signed; what may happen between.

The enrolment server is the real one, over HTTPS. Nobody waits: the box's time is virtual.
"""

import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.identity import httpsclient, statefolder
from edge.identity.claim import CLAIM_NAME
from edge.identity.floorclock import FloorClock
from edge.identity.httpsclient import HttpsReply, HttpsRequest
from edge.identity.proposal import PROPOSAL_NAME
from edge.identity.runfiles import BOX_NAME, STATUS_NAME
from tests.identity.enrolling_box import NappingClock, date
from tests.identity.proposing_box import LANES, SITE, ProposingGateway, proposed, sign
from tests.identity.real_server import ApprovingServer


@pytest.fixture
def town(tmp_path: Path) -> Iterator[ApprovingServer]:
    made = ApprovingServer(tmp_path)
    made.start()
    yield made
    made.close()


@pytest.fixture
def box(town: ApprovingServer, tmp_path: Path) -> ProposingGateway:
    """Its claim is on the card, and nobody has signed a configuration."""
    root = town.card(tmp_path / "1", "gw-0001")
    (town.home.configs / "gw-0001.json").unlink()
    return ProposingGateway(root, NappingClock(date(1970)))


@pytest.fixture
def configured(town: ApprovingServer, box: ProposingGateway) -> ProposingGateway:
    sign(town, SITE)
    assert box.power().run() == "enrolled"
    assert box.site == SITE.encode()
    return box


def steps(*acts: Callable[[], None]) -> Callable[[], None]:
    """One at each pause of the box, in turn."""
    left = list(acts)

    def act() -> None:
        if left:
            left.pop(0)()

    return act


def test_a_box_without_a_configuration_proposes_and_has_it_within_a_minute_of_the_signature(
    town: ApprovingServer, box: ProposingGateway
) -> None:
    signed: list[float] = []

    def look() -> None:
        if not signed and town.home.proposals.all():
            assert "proposal:    sent, waits for the operator's signature\n" in box.status
            assert (box.shown / STATUS_NAME).read_text() == box.status
            assert box.progress[0] == "sent"
            sign(town, proposed(town))
            signed.append(box.clock.now_s)

    def begin() -> None:
        if "waits for:   its configuration" not in box.status:
            return
        assert "kerbstone propose" in box.status
        box.propose()
        box.clock.then = look

    box.clock.then = begin
    assert box.power().run() == "enrolled"
    assert box.clock.now_s - signed[0] <= 60
    assert box.site == LANES.encode()
    assert box.progress[0] == "signed"
    assert box.progress[1].endswith("as it was proposed")
    assert "proposal" not in box.status
    assert not (box.boot / CLAIM_NAME).exists()
    names = json.loads((box.shown / BOX_NAME).read_bytes())
    assert (names["site"], names["gateway"]) == ("s17", "gw-0001")
    assert names["broker"].startswith("mqtts://")


def test_within_the_first_hour_a_signed_configuration_comes_within_a_minute_without_a_proposal(
    town: ApprovingServer, box: ProposingGateway
) -> None:
    signed: list[float] = []

    def look() -> None:
        if not signed and box.clock.now_s > 3000:
            sign(town, SITE)
            signed.append(box.clock.now_s)

    box.clock.then = look
    assert box.power().run() == "enrolled"
    assert box.clock.now_s - signed[0] <= 60


def test_a_configured_box_asks_until_the_operator_has_signed(
    town: ApprovingServer, configured: ProposingGateway
) -> None:
    configured.propose()
    renewal = configured.renewal()
    assert renewal.courier
    assert renewal.ask() == "fine"
    assert renewal.courier.wait_s() == 20.0
    assert configured.site == SITE.encode(), "nothing changes before it is signed"
    assert configured.restarts == 0
    assert not (configured.spool / PROPOSAL_NAME).exists()
    town.now = town.now.replace(hour=13)
    sign(town, f"{proposed(town)}# north is the bridge\n")
    assert renewal.ask() == "configured"
    assert configured.restarts == 1
    assert configured.site == f"{LANES}# north is the bridge\n".encode()
    assert configured.progress[0] == "signed"
    assert "changed by the operator" in configured.progress[1]
    assert renewal.courier.wait_s() is None, "then daily again"


def test_a_refusal_is_shown_with_its_reason_until_the_next_proposal(
    town: ApprovingServer, configured: ProposingGateway
) -> None:
    configured.propose()
    assert configured.renewal().ask() == "fine"
    town.home.proposals.refuse("gw-0001", "which lane is \x1b[31mnorth?")
    renewal = configured.renewal()
    assert renewal.ask() == "fine"
    assert configured.progress[0] == "refused"
    for text in (configured.status, configured.console[-1], configured.progress[1]):
        assert "the operator refuses it: which lane is \\x1b[31mnorth?" in text
        assert "kerbstone propose" in text
    assert renewal.courier
    assert renewal.courier.wait_s() is None
    assert configured.renewal().run() == "fine"
    assert "refuses it" in configured.status, "also on the next days"
    configured.propose(number=2)
    assert configured.renewal().ask() == "fine"
    assert "refuses it" not in configured.status
    assert configured.progress[0] == "sent"


def test_a_network_that_dies_and_a_box_that_is_switched_off_lose_nothing(
    town: ApprovingServer, configured: ProposingGateway
) -> None:
    configured.propose()
    town.close()
    renewal = configured.renewal()
    assert renewal.ask() == "fine"
    assert configured.progress[0] == "taken"
    assert "not sent yet (localhost: " in configured.status
    town.start()
    assert configured.renewal().ask() == "fine", "a process of its own, as after a power cut"
    assert configured.progress[0] == "sent"
    town.close()
    assert configured.renewal().ask() == "fine"
    assert "sent, waits for the operator's signature (localhost: " in configured.status
    town.start()
    sign(town, proposed(town))
    assert configured.renewal().ask() == "configured"


def test_what_the_server_has_lost_is_sent_again(
    town: ApprovingServer, configured: ProposingGateway
) -> None:
    configured.propose()
    assert configured.renewal().ask() == "fine"
    (town.home.proposals.folder / "gw-0001.json").unlink()
    renewal = configured.renewal()
    assert renewal.ask() == "fine"
    assert renewal.ask() == "fine"
    assert proposed(town) == LANES


def test_a_server_that_knows_no_proposals_is_named_and_not_asked_again(
    configured: ProposingGateway,
) -> None:
    def older(request: HttpsRequest, clock: FloorClock) -> HttpsReply:
        body = b'{"title": "Not found", "detail": "no such path or label", "code": "missing"}'
        return HttpsReply(404, {}, body)

    configured.ask = older
    configured.propose()
    renewal = configured.renewal()
    assert renewal.ask() == "fine"
    assert "takes no proposals (an older version)" in configured.status
    assert renewal.courier
    assert renewal.courier.wait_s() is None


def test_it_asks_often_at_first_then_seldom_then_once_a_day(
    town: ApprovingServer, configured: ProposingGateway
) -> None:
    """235 times in a day. The server's answer in between is always the same."""
    configured.propose()
    assert configured.renewal().ask() == "fine"
    waiting = b'{"id": "0000000000000001", "state": "waiting"}'
    configured.ask = lambda request, clock: HttpsReply(200, {}, waiting)
    renewal, began_s, waits = configured.renewal(), configured.clock.now_s, []
    courier = renewal.courier
    assert courier
    while True:
        courier.count()
        assert renewal.ask() == "fine"
        if (wait_s := courier.wait_s()) is None:
            break
        waits.append(wait_s)
        courier.wait(wait_s)
    assert (waits.count(20.0), waits.count(45.0), waits.count(600.0)) == (30, 67, 138)
    assert configured.clock.now_s - began_s == pytest.approx(86_400, abs=700)
    assert configured.progress[0] == "late"
    assert "comes within a day" in configured.status
    configured.ask = httpsclient.https_request
    sign(town, proposed(town))
    assert configured.renewal().run() == "configured", "the daily look finds it"


def test_time_in_which_nobody_counted_counts(configured: ProposingGateway) -> None:
    configured.propose()
    courier = configured.renewal().courier
    assert courier
    courier.take()
    for _ in range(145):
        courier.count(600.0)
    assert not courier.attended()
    assert configured.renewal().ask() == "fine"
    assert configured.progress[0] == "late"


@pytest.mark.parametrize("kind", ["text", "huge", "link", "folder", "pipe", "binary"])
def test_whatever_lies_in_the_spool_does_no_harm(configured: ProposingGateway, kind: str) -> None:
    path = configured.spool / PROPOSAL_NAME
    if kind == "link":
        path.symlink_to(configured.state / "current/key.pem")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes({"text": b"hello", "huge": b"x" * (1 << 20), "binary": b"\xff"}[kind])
    renewal = configured.renewal()
    assert renewal.ask() == "fine"
    assert renewal.courier
    assert renewal.courier.waiting() is None
    assert not path.exists()
    assert not path.is_symlink()
    assert (configured.state / "current/key.pem").exists()
    assert "PRIVATE" not in configured.status


def test_a_spool_that_cannot_be_emptied_makes_no_haste(
    town: ApprovingServer, configured: ProposingGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit of an older version may not write there."""

    unlink = Path.unlink

    def refuse(self: Path, missing_ok: bool = False) -> None:
        if self.parent == configured.spool:
            raise OSError(errno.EROFS, "Read-only file system")
        unlink(self, missing_ok)

    configured.propose()
    renewal = configured.renewal()
    assert renewal.courier
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        renewal.courier.take()
    before_s = configured.clock.now_s
    renewal.courier.wait(20.0)
    assert configured.clock.now_s - before_s >= 20.0
    assert renewal.ask() == "fine"
    assert proposed(town) == LANES
    assert renewal.ask() == "fine"
    assert configured.progress[0] == "sent", "the same one is not taken twice"


def test_a_configuration_of_somebody_else_s_key_is_refused_and_the_last_good_one_stays(
    town: ApprovingServer, configured: ProposingGateway
) -> None:
    """Who holds the server alone cannot forge one: a proposal changes nothing in that."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from edge.identity.siteconfig import sign_site_config

    configured.propose()
    assert configured.renewal().ask() == "fine"
    forged = sign_site_config(LANES, "gw-0001", 2**40, Ed25519PrivateKey.generate())
    (town.home.configs / "gw-0001.json").write_bytes(forged)
    assert configured.renewal().ask() == "fine"
    assert configured.site == SITE.encode()
    assert configured.restarts == 0
    assert "not signed by the claim's operator" in configured.status
    assert "proposal:    sent" in configured.status


def test_a_damaged_note_of_a_proposal_is_none(configured: ProposingGateway) -> None:
    configured.propose()
    assert configured.renewal().ask() == "fine"
    (configured.state / statefolder.PROPOSAL).write_bytes(b"{")
    renewal = configured.renewal()
    assert renewal.ask() == "fine"
    assert renewal.courier
    assert renewal.courier.waiting() is None
    configured.propose(number=2)
    assert renewal.ask() == "fine"
    assert configured.progress[0] == "sent"


def test_a_folder_in_run_that_cannot_be_written_stops_nothing(
    town: ApprovingServer, configured: ProposingGateway
) -> None:
    for path in configured.shown.iterdir():
        path.unlink()
    configured.shown.rmdir()
    configured.shown.touch()
    configured.propose()
    assert configured.renewal().ask() == "fine"
    assert proposed(town) == LANES


def test_forgetting_the_identity_forgets_the_proposal(configured: ProposingGateway) -> None:
    configured.propose()
    assert configured.renewal().ask() == "fine"
    configured.power().store.forget()
    assert list(configured.state.iterdir()) == []
