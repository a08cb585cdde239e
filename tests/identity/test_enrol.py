"""First boot against a simulated city: days pass in no time."""

from pathlib import Path

import pytest

from edge.identity.claim import CLAIM_NAME
from edge.identity.names import comparison_code
from edge.identity.statefolder import StateFolder
from tests.identity.city import CODE, EnrolmentCity
from tests.identity.enrolling_box import DAY_S, EnrollingGateway, NappingClock, date


def test_a_claim_becomes_an_identity_and_is_blanked(box: EnrollingGateway) -> None:
    assert box.power().run() == "enrolled"
    assert box.wrong() == []
    used = (box.boot / "kerbstone-claim.used").read_text()
    assert 'gateway = "gw-0001"' in used
    assert CODE not in used
    assert (box.state / "site.toml").read_text() == '[site]\nid = "s17"\ngateway = "gw-0001"\n'
    assert "enrolled" in box.status


def test_without_a_claim_it_says_what_to_do(tmp_path: Path, city: EnrolmentCity) -> None:
    box = EnrollingGateway(tmp_path, city)
    assert box.power().run() == "no claim"
    assert CLAIM_NAME in box.status


def test_a_second_start_asks_nobody(box: EnrollingGateway) -> None:
    box.power().run()
    box.wire.asked.clear()
    assert box.power().run() == "enrolled"
    assert box.wire.asked == []


def test_it_waits_for_the_operator_and_shows_the_code(box: EnrollingGateway) -> None:
    box.city.approves = False

    def approve() -> None:
        if len(box.clock.naps) == 100:
            box.city.approves = True
            key = StateFolder(box.state).next_key(False)
            assert comparison_code(key.spki()) in box.status
            assert "kerbstone provision pending" in box.status

    box.clock.then = approve
    assert box.power().run() == "enrolled"
    assert all(30 <= nap <= 36 for nap in box.clock.naps)
    assert len(set(box.clock.naps)) > 50, "all boxes would come at once"
    waiting = [line for line in box.console if "approval" in line]
    assert len(waiting) == 1, "the console says it once"
    assert box.wrong() == []


def test_a_server_that_is_away_for_three_days_is_asked_seldom_and_found(
    box: EnrollingGateway,
) -> None:
    box.wire.down_until_s = 3 * DAY_S
    seen = []
    box.clock.then = lambda: seen.append(box.status)
    assert box.power().run() == "enrolled"
    assert 72 <= len(box.clock.naps) <= 180
    assert box.clock.now_s < 3 * DAY_S + 3600
    assert "Connection refused" in seen[-1]
    assert "3 days" in seen[-1] or "2 days" in seen[-1]
    assert box.wrong() == []


def test_the_time_it_has_waited_survives_restarts(box: EnrollingGateway) -> None:
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
    reported = StateFolder(box.state).pending("0000000000000001").waited_s / 3600
    assert hours > 8
    assert reported > hours * 0.3  # each start may lose its last naps
    box.clock.then = lambda: None
    assert box.power().run() == "enrolled"


@pytest.mark.parametrize("year", [1970, 2040])
@pytest.mark.parametrize("known", [False, True])
def test_a_wrong_clock_does_not_stop_it(
    tmp_path: Path, city: EnrolmentCity, year: int, known: bool
) -> None:
    box = EnrollingGateway(tmp_path, city, NappingClock(date(year), known))
    box.insert(city.claim())
    assert box.power().run() == "enrolled"
    assert box.wrong() == []
    assert box.renewal().run() == "fine"


def test_a_claim_that_tears_later_is_there_as_a_copy(box: EnrollingGateway) -> None:
    box.city.approves = False

    def tear() -> None:
        box.insert(b"torn")
        box.city.approves = True

    box.clock.then = tear
    assert box.power().run() == "enrolled"
    assert box.wrong() == []


def test_a_boot_partition_that_cannot_be_written_does_not_stop_it(
    box: EnrollingGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def readonly(path: Path, data: bytes, mode: int = 0o600) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("edge.identity.bootpartition.overwrite", readonly)
    assert box.power().run() == "enrolled"
    assert "delete kerbstone-claim.toml" in box.status
    assert (box.state / "claim.toml").exists(), "it is tried again at the next start"
    monkeypatch.undo()
    assert box.power().run() == "enrolled"
    assert box.wrong() == []


def test_a_new_claim_on_an_enrolled_box_is_left_alone_and_said(box: EnrollingGateway) -> None:
    box.power().run()
    box.insert(box.city.claim(2))
    assert box.power().run() == "enrolled"
    assert "forget" in box.status
    assert (box.boot / CLAIM_NAME).read_bytes() == box.city.claim(2)
